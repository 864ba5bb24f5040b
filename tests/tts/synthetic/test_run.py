import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("espeakng_loader", reason="eSpeak NG's wheel is not installed")

from s2s_core.data.speech import CutTable
from s2s_core.errors import UserError
from s2s_tts.cli.synthesize_manifest import main

TEXTS = ["hello there", "one two three", "turn left", "a red box", "GO NORTH", "five green lamps"]
PROGRAM = "import sys; from s2s_tts.cli.synthesize_manifest import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture
def manifest(tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text("id,text\n" + "".join(f"u{i},{text}\n" for i, text in enumerate(TEXTS)))
    return path


def run(manifest, output, *more):
    return main([f"--manifest={manifest}", f"--output={output}", *more])


def contents(output):
    return {path.name: path.read_bytes() for path in sorted(Path(output).rglob("*.wav"))}


@pytest.mark.slow
def test_any_number_of_workers_speaks_the_same(manifest, tmp_path, capsys):
    assert run(manifest, tmp_path / "one", "--workers=1") == 0
    assert run(manifest, tmp_path / "two", "--workers=2") == 0
    one = contents(tmp_path / "one")
    assert len(one) == len(TEXTS)
    assert contents(tmp_path / "two") == one
    assert len(set(one.values())) == len(TEXTS)
    cuts = CutTable.load([tmp_path / "one" / "synthetic.jsonl.gz"])
    assert [cuts.info(i).text for i in range(len(cuts))] == TEXTS
    assert all(len(cuts.audio(i, 16000)) > 4000 for i in range(len(cuts)))
    assert "6 of 6 lines" in capsys.readouterr().out


@pytest.mark.slow
def test_another_seed_draws_other_voices(manifest, tmp_path):
    assert run(manifest, tmp_path / "a", "--limit=3") == 0
    assert run(manifest, tmp_path / "b", "--limit=3", "--seed=1") == 0
    assert contents(tmp_path / "a") != contents(tmp_path / "b")


@pytest.mark.slow
def test_a_run_goes_on_after_a_kill_without_losing_or_repeating_lines(tmp_path):
    manifest, output = tmp_path / "many.csv", tmp_path / "out"
    manifest.write_text("text\n" + "".join(f"call number {i}\n" for i in range(60)))
    arguments = [f"--manifest={manifest}", f"--output={output}", "--workers=2"]
    journal = output / "journal.jsonl"
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], start_new_session=True)
    while process.poll() is None and (not journal.is_file() or len(journal.read_bytes().splitlines()) < 10):
        time.sleep(0.02)
    assert process.poll() is None, "it ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = {path.name: path.stat().st_mtime_ns for path in output.rglob("[!.]*.wav")}
    noted = len([line for line in journal.read_text().splitlines()[1:] if line.endswith("}")])
    assert 9 <= noted < 60
    assert main(arguments) == 0
    after = {path.name: path.stat().st_mtime_ns for path in output.rglob("*.wav")}
    assert len(after) == 60
    repeated = [name for name, written in before.items() if after[name] != written]
    assert len(repeated) <= len(before) - noted  # those that were written, but not yet noted
    assert main([f"--manifest={manifest}", f"--output={tmp_path / 'whole'}", "--workers=1"]) == 0
    assert contents(output) == contents(tmp_path / "whole")


@pytest.mark.slow
def test_a_line_that_fails_is_named_at_the_end(tmp_path, capsys):
    manifest = tmp_path / "texts.jsonl"
    lines = ['{"id": "a", "text": "hello"}', '{"id": "b"}', '{"id": "c", "text": "..."}', '{"id": "d", "text": "go"}']
    manifest.write_text("\n".join(lines))
    assert run(manifest, tmp_path / "out") == 1
    told = capsys.readouterr()
    assert "2 of 4 lines" in told.out
    assert "texts.jsonl:2: no text" in told.err
    assert "texts.jsonl:3: eSpeak NG gave silence" in told.err
    cuts = CutTable.load([tmp_path / "out" / "synthetic.jsonl.gz"])
    assert [cuts.info(i).id for i in range(len(cuts))] == ["a-synthetic", "d-synthetic"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--speakers", "nobody"], "no speaker 'nobody'"),
        (["--accents", "xx"], "no accent 'xx'"),
        (["--speeds", "1.2", "0.8"], "the slower first"),
        (["--speeds", "0.1", "1"], "--speeds: expected 0.47 to 2.65"),
        (["--workers", "0"], "above 0"),
    ],
)
def test_mistakes_are_named_before_anything_is_written(manifest, tmp_path, arguments, named):
    with pytest.raises(UserError, match=named):
        run(manifest, tmp_path / "out", *arguments)
    assert not (tmp_path / "out").exists()


def test_what_was_spoken_before_leaves_no_trace():
    # in a process of its own: other tests may have spoken in this one
    code = (
        "from s2s_tts.synthetic.engines import EspeakEngine; e = EspeakEngine(); e.prepare();"
        "v = {'speaker': 'm3', 'accent': 'en-us', 'rate_wpm': 170, 'pitch': 50};"
        "a, rate = e.speak('hello there', v); e.speak('something else', v); b, _ = e.speak('hello there', v);"
        "print(rate, len(a) > 8000, (a == b).all())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["22050", "True", "True"]


def test_help_needs_no_file(capsys):
    from s2s_tts.cli.synthesize import main as synthesize

    assert synthesize(["--manifest", "--help"]) == 0
    assert "--speakers NAME" in capsys.readouterr().out
