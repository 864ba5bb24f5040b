import random

import numpy as np
import pytest

from s2s_core.checkpoint import load_task
from s2s_core.errors import UserError
from s2s_tts.cli.synthesize_manifest import main
from s2s_tts.synthesize import Synthesizer
from s2s_tts.synthetic.engines import CheckpointEngine


@pytest.fixture
def engine(checkpoint, ending, hums):
    made = CheckpointEngine(checkpoint, styles=[hums / "one.wav", hums / "two.wav"])
    made.check()
    made._synthesizer = Synthesizer(ending(load_task(checkpoint)))  # as prepare does, but it comes to an end
    return made


def test_a_model_speaks_with_voices_drawn_from_the_seed(engine):
    voices = [engine.draw(random.Random(seed)) for seed in range(30)]
    assert {voice["speaker"] for voice in voices} == {"ann", "bob"}
    assert len({voice["style"] for voice in voices}) == 2
    assert all(0.8 <= voice["speed"] <= 1.2 for voice in voices)
    assert engine.draw(random.Random(7)) == voices[7]
    first, rate = engine.speak("one two", voices[0])
    assert rate == 8000
    engine.speak("three", voices[1])
    np.testing.assert_array_equal(engine.speak("one two", voices[0])[0], first)


def test_speed_shortens_what_the_model_says(engine):
    voice = {**engine.draw(random.Random(0)), "speed": 1.0}
    normal, _ = engine.speak("one two", voice)
    fast, _ = engine.speak("one two", {**voice, "speed": 1.25})
    assert len(fast) == pytest.approx(len(normal) / 1.25, abs=2)


def test_what_the_model_has_not_is_named_first(checkpoint, hums, tmp_path):
    manifest = tmp_path / "texts.csv"
    manifest.write_text("text\none two\n")

    def run(*more):
        main([f"--manifest={manifest}", f"--output={tmp_path / 'out'}", *more])

    with pytest.raises(UserError, match="--styles: the model takes recordings"):
        run(f"--checkpoint={checkpoint}")
    with pytest.raises(UserError, match="no speaker 'eve'; it has ann, bob"):
        run(f"--checkpoint={checkpoint}", "--styles", str(hums / "one.wav"), "--speakers", "eve")
    with pytest.raises(UserError, match=r"gone\.wav: no such file"):
        run(f"--checkpoint={checkpoint}", "--styles", str(tmp_path / "gone.wav"))
    with pytest.raises(UserError, match="--accents: only eSpeak NG takes it"):
        run(f"--checkpoint={checkpoint}", "--accents", "en")
    with pytest.raises(UserError, match="--styles: only a model takes it"):
        run("--styles", str(hums / "one.wav"))
    assert not (tmp_path / "out").exists()
