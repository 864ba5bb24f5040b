"""Texts to sound: the batch does not matter, long texts are joined, and what does not end is an error."""

import numpy as np
import pytest
import torch

from s2s_core.checkpoint import load_task
from s2s_core.errors import UserError
from s2s_tts.synthesize import ATTEMPTS, PAUSE_S, Synthesizer

TEXTS = ["one two. three four!", "five", "six seven eight one two three"]


@pytest.fixture
def synthesizer(checkpoint, ending):
    return Synthesizer(ending(load_task(checkpoint)))


def test_a_text_sounds_the_same_alone_and_in_any_batch(synthesizer, hums):
    style = hums / "one.wav"
    together = synthesizer.synthesize(TEXTS, "bob", style, seed=3)
    small = synthesizer.synthesize(TEXTS[::-1], "bob", style, seed=3, batch_size=1)
    for a, b in zip(together, small[::-1], strict=True):
        assert a.text == b.text
        torch.testing.assert_close(a.sentences[0].mel, b.sentences[0].mel, atol=1e-4, rtol=0)
        np.testing.assert_allclose(a.audio, b.audio, atol=2e-3)
    other = synthesizer.synthesize(TEXTS[:1], "bob", style, seed=4)[0]
    assert not torch.allclose(other.sentences[0].mel, together[0].sentences[0].mel, atol=1e-3)


def test_sentences_are_joined_with_a_pause(synthesizer, hums):
    (speech,) = synthesizer.synthesize(TEXTS[:1], "ann", hums / "one.wav")
    first, second = speech.sentences
    assert [first.text, second.text] == ["one two.", "three four!"]
    assert second.start_s - first.end_s == pytest.approx(PAUSE_S)
    assert speech.duration_s == pytest.approx(second.end_s, abs=1e-3)
    gap = speech.audio[round(first.end_s * 8000) : round(second.start_s * 8000)]
    assert not gap.any()


def test_periods_of_abbreviations_end_no_sentence(synthesizer, hums):
    text = "On Jan. 5, 2021, Dr. Ruiz met Gov. Lee.\n\nSee Fig. 3; it was 5 p.m. on Sept. 4. Later"
    (speech,) = synthesizer.synthesize([text], "ann", hums / "one.wav")
    assert speech.text == text
    assert [sentence.text for sentence in speech.sentences] == [
        "On January fifth, twenty twenty-one, Doctor Ruiz met Governor Lee.",
        "See figure three;",
        "it was five p m on September fourth.",
        "Later",
    ]


def test_voice_and_style_change_the_sound(synthesizer, hums):
    mels = [
        synthesizer.synthesize(["five"], speaker, hums / f"{style}.wav")[0].sentences[0].mel
        for speaker, style in (("ann", "one"), ("bob", "one"), ("ann", "eight"))
    ]
    assert not torch.allclose(mels[0], mels[1], atol=1e-4)
    assert not torch.allclose(mels[0], mels[2], atol=1e-4)


def test_what_does_not_end_is_tried_again_and_then_an_error(checkpoint, hums):
    task = load_task(checkpoint)
    task.decoder.stop_threshold = 2.0
    seen = []
    generate = task.decoder.generate
    task.decoder.generate = lambda memory, seeds, limit: seen.append(seeds.tolist()) or generate(memory, seeds, limit)
    results = list(Synthesizer(task).synthesize_each(["one two", ""], "ann", hums / "one.wav"))
    assert "came to no end in" in str(results[0])
    assert "nothing to say" in str(results[1])
    assert len(seen) == ATTEMPTS
    assert len({tuple(seeds) for seeds in seen}) == ATTEMPTS


def test_mistakes_are_named(synthesizer, hums):
    with pytest.raises(UserError, match=r"no speaker 'anne'.*ann"):
        synthesizer.synthesize(["one"], "anne", hums / "one.wav")
    with pytest.raises(UserError, match="ann, bob"):
        synthesizer.synthesize(["one"], None, hums / "one.wav")
    with pytest.raises(UserError, match="--style-from"):
        synthesizer.synthesize(["one"], "ann")
    with pytest.raises(UserError, match="unknown characters"):
        synthesizer.synthesize(["один"], "ann", hums / "one.wav")
