"""Options of a search, as a user types them."""

import json
import os
from argparse import ArgumentParser

import pytest
import torch

from s2s_asr.cli.search_options import add_search_options
from s2s_asr.cli.transcribe import main as transcribe
from s2s_asr.cli.tune_lm import main as tune_lm
from s2s_asr.decoders.asg import AsgDecoder
from s2s_asr.search.settings import SearchSettings
from s2s_asr.transcribe import Transcriber
from s2s_core.checkpoint import load_task
from s2s_core.errors import UserError


@pytest.mark.parametrize("chunk_s", [30, 0.3])
@pytest.mark.parametrize("model", ["model", "joint", "transducer"])
def test_transcribe_gives_the_nbest_with_scores_times_and_confidences(folder, run, model, chunk_s):
    options = ["--checkpoint", folder / f"{model}.ckpt", "--lm", folder / "model.arpa", "--nbest", 3, "--jobs", 1]
    options += ["--chunk-s", chunk_s, "--overlap-s", 0.1]
    status, out, err = run(transcribe, *options, "--beam-width", 20, "--format", "json", folder / "data.csv")
    assert status == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert len(rows) == 3
    assert "WER" in err
    for row in rows:
        found = row["nbest"]
        assert len({one["text"] for one in found}) == len(found)
        assert len(found) == 3 or chunk_s < 1
        assert [one["score"] for one in found] == sorted((one["score"] for one in found), reverse=True)
        assert row["text"] == found[0]["text"]
        for one in found:
            assert one["score"] == pytest.approx(one["acoustic"] + one["lm"], abs=2e-4)
            assert [word["text"] for word in one["words"]] == one["text"].split()
            times = [(word["start_s"], word["end_s"]) for word in one["words"]]
            assert times == sorted(times)
            assert all(0 <= start < end <= row["duration_s"] + 0.02 for start, end in times)
            assert all(0 <= word["confidence"] <= 1 for word in one["words"])


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


def test_options_are_there_on_systems_without_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    parser = ArgumentParser()
    add_search_options(parser)
    assert parser.parse_args([]).jobs == 7
