"""``synthesize`` as a user types it."""

import io
import json

import pytest
import soundfile

from s2s_core.errors import UserError
from s2s_tts.cli.synthesize import main
from s2s_tts.task import TextToSpeech


@pytest.fixture
def run(checkpoint, hums, ending, monkeypatch, tmp_path):
    """Runs the verb in an empty folder with a model that ends."""
    monkeypatch.chdir(tmp_path)
    setup = TextToSpeech.eval
    monkeypatch.setattr(TextToSpeech, "eval", lambda task: ending(setup(task)))

    def run(*arguments):
        common = ["--checkpoint", str(checkpoint), "--speaker", "ann", "--style-from", str(hums / "one.wav")]
        return main([*arguments, *common])

    return run


def test_texts_become_one_file_and_json_tells_all(run, capsys, tmp_path):
    assert run("one two", "three", "--output", "all.flac", "--format", "json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["text"] for row in rows] == ["one two", "three"]
    assert rows[0]["sentences"][0]["attempts"] == 1
    info = soundfile.info(tmp_path / "all.flac")
    assert (info.samplerate, info.channels) == (8000, 1)
    assert info.duration == pytest.approx(sum(row["duration_s"] for row in rows), abs=0.01)


def test_a_file_and_standard_input_become_a_folder(run, monkeypatch, tmp_path, capsys):
    (tmp_path / "texts.txt").write_text("one\n\ntwo\n")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"three\n")))
    assert run("-", "--file", "texts.txt", "--output", "out") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["00001.wav", "00002.wav", "00003.wav"]
    assert capsys.readouterr().out.splitlines()[1] == "out/00002.wav\tone"


def test_one_bad_text_does_not_stop_the_others(run, tmp_path, capsys):
    assert run("one", "\u0436\u0436", "two", "--output", "out") == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["00001.wav", "00003.wav"]
    assert "error: text 2: unknown characters" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to say"),
        (["one", "--output", "no/where.wav"], "no folder 'no'"),
        (["one", "--output", "out.mp3"], "ends in .wav or .flac"),
        (["--file", "absent.txt"], "--file absent.txt: No such file"),
        (["one", "--vocoder", "absent.ckpt"], "absent.ckpt"),
        (["one", "--vocoder", "wavenet"], r"trained first, name its checkpoint"),
        (["one", "--batch-size", "0"], "above 0"),
    ],
)
def test_mistakes_are_one_line(run, arguments, message):
    with pytest.raises(UserError, match=message) as error:
        run(*arguments)
    assert "\n" not in str(error.value)
