import io
import json
import sys

import numpy as np
import pytest
import soundfile

from s2s_core.cli.main import main


def classify(*arguments):
    return main(["run", "commands", "classify", *map(str, arguments)])


@pytest.fixture
def folder(tones):
    return tones.parent / "audio" / "test"


def test_text_and_json(checkpoint, folder, tones, capsys):
    assert classify("--checkpoint", checkpoint, folder / "low") == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == [str(folder / "low" / f"{i}.wav") for i in range(5)]
    assert sum(row[1] == "low" for row in rows) >= 4
    assert all(0 < float(row[2]) <= 1 for row in rows)
    assert classify("--checkpoint", checkpoint, "--format", "json", tones / "test.jsonl.gz") == 0
    out, err = capsys.readouterr()
    found = [json.loads(line) for line in out.splitlines()]
    assert len(found) == 15
    assert set(found[0]) == {"path", "label", "probability", "probabilities", "duration_s", "reference"}
    assert set(found[0]["probabilities"]) == {"high", "low", "middle"}
    right = sum(row["label"] == row["reference"] for row in found)
    assert f"accuracy {right / 15:.2%} over 15 labels" in err


def test_what_cannot_be_read_costs_a_status_of_1(checkpoint, folder, tmp_path, capsys):
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    assert classify("--checkpoint", checkpoint, tmp_path / "bad.wav", folder / "low" / "0.wav") == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1
    assert err.startswith(f"error: {tmp_path / 'bad.wav'}: not readable audio")


class Pipe:
    def __init__(self, data):
        self.buffer = io.BytesIO(data)


def stream(folder, rate):
    parts = []
    for name in ("low", "high"):
        parts += [np.zeros(rate), np.tile(soundfile.read(folder / name / "0.wav")[0], 3)[: rate // 2]]
    return (np.concatenate([*parts, np.zeros(rate)]) * 32767).astype("<i2")


@pytest.mark.parametrize("form", ["raw", "wav"])
def test_a_stream_on_standard_input(checkpoint, folder, monkeypatch, capsys, form):
    samples = stream(folder, 8000)
    file = io.BytesIO()
    soundfile.write(file, samples, 8000, format="WAV")
    data = samples.tobytes() if form == "raw" else file.getvalue()
    monkeypatch.setattr(sys, "stdin", Pipe(data))
    options = ["--window-s", "0.3", "--hop-s", "0.05", "--smooth-s", "0.1", "--threshold", "0.6", "--format", "json"]
    assert classify("--checkpoint", checkpoint, *options, "-") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    heard = {row["label"]: row for row in rows}
    assert {"low", "high"} <= set(heard)
    assert 0.7 <= heard["low"]["start_s"] <= 1.5
    assert 2.2 <= heard["high"]["start_s"] <= 3.0
    assert all(row["end_s"] == pytest.approx(row["start_s"] + 0.3, abs=1e-3) for row in rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--threshold", "2", "a.wav"], "argument --threshold: expected a probability up to 1, got '2'"),
        (["--hop-s", "0", "a.wav"], "argument --hop-s: expected a number above 0, got '0'"),
        (["--batch-size", "x", "a.wav"], "argument --batch-size: expected a number above 0, got 'x'"),
        (["--hop-s", "2", "a.wav"], "--hop-s is 2, expected at most --window-s (1)"),
        (["-", "a.wav"], "- stands alone"),
        (["no*where.wav"], "no*where.wav: no file matches the pattern"),
        (["--device", "toaster", "a.wav"], "device 'toaster' cannot be used"),
        (["--ignore", "high,low,middle", "--stream", "a.wav"], "nothing to listen for"),
    ],
)
def test_mistakes_are_one_line(checkpoint, capsys, arguments, message):
    assert classify("--checkpoint", checkpoint, *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1


def test_no_checkpoint(tmp_path, capsys):
    assert classify("--checkpoint", tmp_path / "none.ckpt", "a.wav") == 2
    assert "none.ckpt': no such file" in capsys.readouterr().err
