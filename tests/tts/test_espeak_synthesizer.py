import json

import pytest
import soundfile

pytest.importorskip("espeakng_loader", reason="eSpeak NG's wheel is not installed")

from s2s_core.errors import UserError
from s2s_tts.cli.synthesize import main


def spoken(tmp_path, capsys, *arguments):
    assert main(["hello there, you two", "--engine=espeak", f"--output={tmp_path / 'a.wav'}", *arguments]) == 0
    return soundfile.read(tmp_path / "a.wav")


@pytest.mark.slow
def test_it_speaks_without_a_checkpoint(tmp_path, capsys):
    normal, rate = spoken(tmp_path, capsys, "--format=json")
    assert rate == 22050
    assert json.loads(capsys.readouterr().out)["duration_s"] == pytest.approx(len(normal) / rate, abs=1e-3)
    slow, _ = spoken(tmp_path, capsys, "--speed=0.6")
    assert len(slow) > 1.3 * len(normal)
    for changed in ("--speaker=f2", "--pitch=80", "--accent=en-gb-scotland"):
        other, _ = spoken(tmp_path, capsys, changed)
        assert len(other) != len(normal) or (other != normal).any()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--engine=espeak", "--speaker=nobody"], "no variant 'nobody'"),
        (["--engine=espeak", "--accent=xx"], "no voice 'xx'"),
        (["--engine=espeak", "--speed=9"], "--speed, --pitch: rate_wpm must be 80 to 450"),
        (["--engine=espeak", "--pitch=100"], "pitch must be 0 to 99"),
        (["--engine=espeak", "--vocoder=griffin-lim"], "--vocoder: eSpeak NG takes none"),
        (["--engine=espeak", "--style-from=a.wav"], "style: eSpeak NG takes none"),
        ([], "--engine espeak speaks without any training"),
    ],
)
def test_mistakes_are_named(tmp_path, arguments, named):
    with pytest.raises(UserError, match=named):
        main(["hello", f"--output={tmp_path / 'a.wav'}", *arguments])
