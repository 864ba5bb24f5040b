"""`tune-lm` as a user types it."""

import json

import pytest

from s2s_asr.cli.transcribe import main as transcribe
from s2s_asr.cli.tune_lm import main as tune_lm
from s2s_core.errors import UserError


@pytest.mark.parametrize("model", ["model", "joint", "transducer"])
def test_tuned_weights_are_used_by_transcribe_and_test(folder, run, tmp_path, model):
    options = ["--checkpoint", folder / f"{model}.ckpt", "--lm", folder / "model.arpa", "--jobs", 1]
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
        status, out, err = run(tune_lm, *options, *grid, folder / "data.csv")
        assert status == 0
        assert "best WER" in err
        tables.append(out)
    assert tables[0] == tables[1]
    lines = tables[0].splitlines()
    assert lines[0].split() == ["alpha", "beta", "rescore", "WER"]
    assert len(lines) == 7
    (best,) = (line.split() for line in lines if line.endswith("chosen"))
    written = json.loads((tmp_path / "best.json").read_text())
    assert [written["alpha"], written["beta"]] == [float(best[0]), float(best[1])]
    arguments = ["--checkpoint", folder / f"{model}.ckpt", "--search", tmp_path / "best.json", "--jobs", 1]
    _, _, err = run(transcribe, *arguments, folder / "data.csv")
    assert f"WER {best[3]}" in err


def test_tuning_needs_something_to_tune_and_transcripts(folder):
    common = ["--checkpoint", str(folder / "model.ckpt"), "--jobs", "1"]
    with pytest.raises(UserError, match="nothing to tune"):
        tune_lm([*common, str(folder / "data.csv")])
    with pytest.raises(UserError, match=r"0\.wav: has no transcript"):
        tune_lm([*common, "--lm", str(folder / "model.arpa"), str(folder / "0.wav")])
    with pytest.raises(UserError, match="expected FROM:TO:STEP"):
        tune_lm([*common, "--lm", str(folder / "model.arpa"), "--alpha", "0:1:0", str(folder / "0.wav")])
