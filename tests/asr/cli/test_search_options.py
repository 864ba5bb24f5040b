"""The verbs that search, as a user types them, with an untrained model of real parts."""

import json
import os
from argparse import ArgumentParser
from functools import partial

import numpy as np
import pytest
import soundfile
import torch

from s2s_asr.cli.search_options import add_search_options
from s2s_asr.cli.test import main as measure
from s2s_asr.cli.transcribe import main as transcribe
from s2s_asr.cli.tune_lm import main as tune_lm
from s2s_asr.decoders.asg import AsgDecoder
from s2s_asr.decoders.ctc import CtcDecoder
from s2s_asr.encoders.tdnn import TdnnBlock, TdnnEncoder
from s2s_asr.losses.ctc import CtcLoss
from s2s_asr.search.rescoring import Rescorer
from s2s_asr.search.settings import SearchSettings
from s2s_asr.task import SpeechToText
from s2s_asr.transcribe import Transcriber
from s2s_core.audio.features import LogMel
from s2s_core.checkpoint import SECTION, load_task, section_of
from s2s_core.errors import UserError
from s2s_core.text.tokenizers import CharTokenizer

ARPA = """Noise of a toolkit
\\data\\
ngram 1=5
ngram 2=1

\\1-grams:
-99\t<s>\t0
-1\t</s>
-0.5\tAB\t0
-0.7\tBA\t0
-1\tA\t0

\\2-grams:
-0.1\tAB BA

\\end\\
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint, three recordings of noise, a manifest with transcripts and a language model."""
    folder = tmp_path_factory.mktemp("search")
    torch.manual_seed(3)
    decoder = CtcDecoder(24, 3)
    torch.nn.init.normal_(decoder.linear.weight, std=1.0)
    task = SpeechToText(
        features=LogMel(20),
        encoder=TdnnEncoder(20, [TdnnBlock(24, 11, stride=2)]),
        decoder=decoder,
        loss=CtcLoss(),
        tokenizer=CharTokenizer(" ab"),
        optimizer=partial(torch.optim.SGD, lr=0.1),
    )
    lightning = {"pytorch-lightning_version": "2.6.6", "epoch": 0, "global_step": 0}
    torch.save({SECTION: section_of(task), "state_dict": task.state_dict(), **lightning}, folder / "model.ckpt")
    rng = np.random.default_rng(0)
    rows = ["wav_filename,wav_filesize,transcript"]
    for number in range(3):
        soundfile.write(folder / f"{number}.wav", 0.1 * rng.standard_normal(8000 + 4000 * number), 16_000)
        rows.append(f"{number}.wav,1,ab ba")
    (folder / "data.csv").write_text("\n".join(rows) + "\n")
    (folder / "model.arpa").write_text(ARPA)
    return folder


def run(verb, capsys, *arguments):
    status = verb([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_transcribe_gives_the_nbest_with_scores_times_and_confidences(folder, capsys):
    options = ["--checkpoint", folder / "model.ckpt", "--lm", folder / "model.arpa", "--nbest", 3, "--jobs", 1]
    status, out, err = run(transcribe, capsys, *options, "--beam-width", 20, "--format", "json", folder / "data.csv")
    assert status == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert len(rows) == 3
    assert "WER" in err
    for row in rows:
        found = row["nbest"]
        assert len({one["text"] for one in found}) == 3
        assert [one["score"] for one in found] == sorted((one["score"] for one in found), reverse=True)
        assert row["text"] == found[0]["text"]
        for one in found:
            assert one["score"] == pytest.approx(one["acoustic"] + one["lm"], abs=2e-4)
            assert [word["text"] for word in one["words"]] == one["text"].split()
            times = [(word["start_s"], word["end_s"]) for word in one["words"]]
            assert all(0 <= start < end <= row["duration_s"] + 0.02 for start, end in times)
            assert all(0 <= word["confidence"] <= 1 for word in one["words"])


def test_tuned_weights_are_used_by_transcribe_and_test(folder, capsys, tmp_path):
    options = ["--checkpoint", folder / "model.ckpt", "--lm", folder / "model.arpa", "--jobs", 1]
    grid = [
        "--alpha",
        "0:1:0.5",
        "--beta",
        "0,20",
        "--logits",
        tmp_path / "kept.pt",
        "--output",
        tmp_path / "best.json",
    ]
    tables = []
    for _ in range(2):  # the second time from the kept frames
        status, out, err = run(tune_lm, capsys, *options, *grid, folder / "data.csv")
        assert status == 0
        assert "best WER" in err
        tables.append(out)
    assert tables[0] == tables[1]
    lines = tables[0].splitlines()
    assert lines[0].split() == ["alpha", "beta", "rescore", "WER"]
    assert len(lines) == 7
    (best,) = (line.split() for line in lines if line.endswith("best"))
    written = json.loads((tmp_path / "best.json").read_text())
    assert [written["alpha"], written["beta"]] == [float(best[0]), float(best[1])]
    arguments = ["--checkpoint", folder / "model.ckpt", "--search", tmp_path / "best.json", "--jobs", 1]
    _, _, err = run(transcribe, capsys, *arguments, folder / "data.csv")
    assert f"WER {best[3]}" in err


@pytest.mark.slow
def test_test_measures_with_a_search(folder, capsys, tmp_path):
    manifest = prepared(folder, tmp_path)
    common = ["--ckpt_path", folder / "model.ckpt", *manifest]
    rates = []
    for search in ([], ["--lm", folder / "model.arpa", "--jobs", 1, "--alpha", 2, "--beta", 3]):
        status, out, _ = run(measure, capsys, *common, *search)
        assert status == 0
        rates.append(json.loads(out.splitlines()[-1])["test/wer"])
    assert rates[0] != rates[1]
    status, out, _ = run(measure, capsys, "--help")
    assert status == 0
    assert "--beam-width" in out


def test_test_rescores_on_the_device_of_the_model(folder, monkeypatch):
    devices = []

    def evaluate(verb, task, argv, prepare):
        prepare(load_task(folder / "model.ckpt", "asr"), torch.device("cuda:1"))
        return 0

    def load(path, device):
        devices.append(device)
        return Rescorer(None)

    monkeypatch.setattr("s2s_asr.cli.test.evaluate", evaluate)
    monkeypatch.setattr(Rescorer, "load", load)
    assert measure(["--rescore", "lm.ckpt", "--jobs", "1"]) == 0
    assert devices == ["cuda:1"]


def test_every_verb_that_searches_refuses_another_decoder_alike(folder, monkeypatch):
    task = load_task(folder / "model.ckpt", "asr")
    transcriber = Transcriber(task)
    transcriber.decoder = task.decoder = AsgDecoder(24, 3)
    message = "only a CTC model can be searched so, this one has a AsgDecoder"
    with pytest.raises(UserError, match=message):
        Transcriber(task, search=SearchSettings())
    with pytest.raises(UserError, match=message):
        next(transcriber.log_probs_each([torch.zeros(8000)]))
    monkeypatch.setattr(Transcriber, "load", lambda *arguments: transcriber)
    with pytest.raises(UserError, match=message):
        tune_lm(["--checkpoint", "m.ckpt", "--lm", str(folder / "model.arpa"), str(folder / "data.csv")])


def prepared(folder, tmp_path):
    from s2s_asr.cli.prepare import main as prepare

    assert prepare(["csv", "--input", str(folder / "data.csv"), "--output", str(tmp_path / "cuts")]) == 0
    (manifest,) = (tmp_path / "cuts").glob("data*.jsonl.gz")
    return ["--data", "s2s_asr.data.SpeechData", "--data.test", manifest, "--data.num_workers", 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lm", "absent.arpa"], "absent.arpa: No such file"),
        (["--search", "absent.json"], "--search absent.json: No such file"),
        (["--lm", "m.arpa", "--nbest", "500"], "--nbest is 500"),
        (["--rescore", "absent.ckpt"], "absent.ckpt"),
    ],
)
def test_mistakes_are_named(folder, arguments, message):
    with pytest.raises(UserError, match=message):
        transcribe(["--checkpoint", str(folder / "model.ckpt"), *arguments, str(folder / "0.wav")])


def test_tuning_needs_something_to_tune_and_transcripts(folder):
    common = ["--checkpoint", str(folder / "model.ckpt"), "--jobs", "1"]
    with pytest.raises(UserError, match="nothing to tune"):
        tune_lm([*common, str(folder / "data.csv")])
    with pytest.raises(UserError, match=r"0\.wav: has no transcript"):
        tune_lm([*common, "--lm", str(folder / "model.arpa"), str(folder / "0.wav")])
    with pytest.raises(UserError, match="expected FROM:TO:STEP"):
        tune_lm([*common, "--lm", str(folder / "model.arpa"), "--alpha", "0:1:0", str(folder / "0.wav")])


def test_options_are_there_on_systems_without_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    parser = ArgumentParser()
    add_search_options(parser)
    assert parser.parse_args([]).jobs == 7
