import csv
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from s2s_asr.audio_input import open_recording
from s2s_asr.cli import transcribe as verb
from s2s_asr.sources import NamedSource
from s2s_asr.transcribe import Transcriber, Transcript
from s2s_asr.words import Word
from s2s_core.errors import UserError
from s2s_core.text.tokenizers import CharTokenizer


class Echo:
    """Stands in for a model: what a recording says is its length in tenths of seconds."""

    sample_rate_hz = 16_000
    task = SimpleNamespace(tokenizer=CharTokenizer())

    def close(self):
        pass

    def transcribe_each(self, sources, batch_seconds, chunk_s, overlap_s, progress):
        self.options = batch_seconds, chunk_s, overlap_s
        for source in sources:
            try:
                recording = open_recording(source) if isinstance(source, str) else source
                seconds = sum(len(block) for block in recording.blocks(16_000)) / 16_000
            except UserError as error:
                yield error
                continue
            progress(seconds)
            text = f"{'abcdefghij'[round(seconds * 10) - 1]} x"
            yield Transcript(recording.name, text, [Word(text[0], 0.0, 0.04, 0.98765432)], seconds)


@pytest.fixture
def echo(monkeypatch):
    echo = Echo()
    loads = []

    def load(path, device, precision, search, jobs):
        loads.append((str(path), device, precision))
        return echo

    monkeypatch.setattr(Transcriber, "load", load)
    echo.loads = loads
    return echo


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{name}.wav" for name in "pqr"]
    for tenths, path in enumerate(paths, start=1):
        soundfile.write(path, np.full(1600 * tenths, 0.1), 16_000)
    return [str(path) for path in paths]


def run(*arguments):
    return verb.main(["--checkpoint", "model.ckpt", "--device", "cpu", *map(str, arguments)])


def test_one_recording_prints_its_text_alone(echo, files, capsys):
    assert run(files[1]) == 0
    out, err = capsys.readouterr()
    assert out == "b x\n"
    assert err.startswith("1 recording, 0.2 s of audio in ")
    assert "real-time factor" in err
    assert echo.loads == [("model.ckpt", "cpu", "32-true")]


def test_several_print_name_and_text_in_order(echo, files, capsys):
    assert run(files[2], *files[:2]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{files[2]}\tc x", f"{files[0]}\ta x", f"{files[1]}\tb x"]


def test_json_lines(echo, files, capsys):
    assert run("--format", "json", *files) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == {
        "path": files[0],
        "text": "a x",
        "duration_s": 0.1,
        "words": [{"text": "a", "start_s": 0.0, "end_s": 0.04, "confidence": 0.9877}],
    }
    assert [row["path"] for row in rows] == files


def test_csv_reads_back(echo, files, tmp_path, capsys):
    awkward = tmp_path / 'a, "b".wav'
    awkward.write_bytes((tmp_path / "p.wav").read_bytes())
    output = tmp_path / "out.csv"
    assert run("--format", "csv", "--output", output, awkward, files[1]) == 0
    assert capsys.readouterr().out == ""
    rows = list(csv.DictReader(io.StringIO(output.read_text())))
    assert rows == [
        {"wav_filename": str(awkward), "predicted_transcript": "a x"},
        {"wav_filename": files[1], "predicted_transcript": "b x"},
    ]


def test_a_bad_file_is_named_and_the_rest_goes_on(echo, files, tmp_path, capsys):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"")
    assert run(files[0], bad, files[1]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == [f"{files[0]}\ta x", f"{files[1]}\tb x"]
    assert err.splitlines()[0].startswith(f"error: {bad}: ")
    assert "3 recordings, 1 failed, 0.3 s of audio" in err.splitlines()[1]


def test_known_transcripts_give_a_word_error_rate(echo, files, tmp_path, capsys):
    manifest = tmp_path / "test.csv"
    manifest.write_text("wav_filename,wav_filesize,transcript\np.wav,1,A X\nq.wav,1,B Y Z\n")
    assert run("--format", "json", manifest) == 0
    out, err = capsys.readouterr()
    assert json.loads(out.splitlines()[1])["reference"] == "B Y Z"
    assert "WER 40.00% over 2 references" in err


def test_options_reach_the_transcriber(echo, files):
    run("--precision", "bf16", "--batch-seconds", "7", "--chunk-s", "0", files[0])
    assert echo.options == (7.0, None, 4.0)
    assert echo.loads[0][2] == "bf16"
    run("--chunk-s", "20", "--overlap-s", "2.5", files[0])
    assert echo.options == (120.0, 20.0, 2.5)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--format", "xml", "a.wav"], "xml"),
        (["--batch-seconds", "0", "a.wav"], "above 0"),
        (["--chunk-s", "nan", "a.wav"], "'nan'"),
        ([], "FILES"),
    ],
)
def test_wrong_arguments_are_user_errors(echo, arguments, reason):
    with pytest.raises(UserError, match=reason):
        run(*arguments)


def test_mistakes_are_user_errors(echo, files, tmp_path):
    with pytest.raises(UserError, match="no file matches"):
        run(tmp_path / "x*.wav")
    with pytest.raises(UserError, match="overlap-s is 4, expected less than --chunk-s"):
        run("--chunk-s", "3", files[0])
    with pytest.raises(UserError, match=r"--output .*absent"):
        run("--output", tmp_path / "absent" / "out.txt", files[0])


def test_a_terminal_sees_progress_and_time_left(echo, files, capsys, monkeypatch):
    monkeypatch.setattr(verb.sys.stderr, "isatty", lambda: True, raising=False)
    sources = [NamedSource(file, file) for file in files]
    progress = verb._Progress(sources)
    progress.heard(0.3)
    shown = capsys.readouterr().err
    assert "0 of 3 done, 0:00 of 0:01 heard" in shown
    assert shown.endswith("left")
