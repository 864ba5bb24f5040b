"""`test` as a user types it: error rates with a search and without."""

import json

import pytest
import torch

from s2s_asr.cli.prepare import main as prepare
from s2s_asr.cli.test import main as measure
from s2s_asr.search.rescoring import Rescorer
from s2s_core.checkpoint import load_task


def prepared(folder, tmp_path):
    assert prepare(["csv", "--input", str(folder / "data.csv"), "--output", str(tmp_path / "cuts")]) == 0
    (manifest,) = (tmp_path / "cuts").glob("data*.jsonl.gz")
    return ["--data", "s2s_asr.data.SpeechData", "--data.test", manifest, "--data.num_workers", 0]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["model", "joint"])
def test_test_measures_with_a_search(folder, run, tmp_path, model):
    manifest = prepared(folder, tmp_path)
    common = ["--ckpt_path", folder / f"{model}.ckpt", *manifest]
    rates = []
    for search in ([], ["--lm", folder / "model.arpa", "--jobs", 1, "--alpha", 2, "--beta", 3]):
        status, out, _ = run(measure, *common, *search)
        assert status == 0
        rates.append(json.loads(out.splitlines()[-1])["test/wer"])
    assert rates[0] != rates[1]
    status, out, _ = run(measure, "--help")
    assert status == 0
    assert "--beam-width" in out


def test_test_rescores_on_the_device_of_the_model(folder, monkeypatch):
    devices = []

    def evaluate(verb, task, argv, prepare, options):
        prepare(load_task(folder / "model.ckpt", "asr"), torch.device("cuda:1"))
        return 0

    def load(path, device):
        devices.append(device)
        return Rescorer(None)

    monkeypatch.setattr("s2s_asr.cli.test.evaluate", evaluate)
    monkeypatch.setattr(Rescorer, "load", load)
    assert measure(["--rescore", "lm.ckpt", "--jobs", "1"]) == 0
    assert devices == ["cuda:1"]
