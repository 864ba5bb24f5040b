"""A recogniser as synthesis uses it: from its checkpoint, through core alone."""

import numpy as np
import pytest

from s2s_asr.transcribe import Transcriber
from s2s_core.recognition import load_recogniser
from untrained import write_recogniser


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.ckpt"
    write_recogniser(path)
    return path


def test_it_hears_what_the_transcriber_hears_at_any_rate(checkpoint):
    rng = np.random.default_rng(0)
    noise = (0.1 * rng.standard_normal(16_000)).astype(np.float32)
    recogniser = load_recogniser(checkpoint)
    (expected,) = Transcriber.load(checkpoint).transcribe([noise])
    heard = recogniser.recognise([noise, noise[:8000]], 16_000)
    assert heard[0] == expected.text != ""
    assert len(heard) == 2
    slow = recogniser.recognise([np.repeat(noise, 2)], 32_000)[0]
    assert slow != ""


def test_a_recording_without_samples_has_no_words(checkpoint):
    assert load_recogniser(checkpoint).recognise([np.zeros(0, np.float32)], 16_000) == [""]


def test_texts_are_spelt_as_it_writes_them(checkpoint):
    recogniser = load_recogniser(checkpoint)
    assert recogniser.spell("Don’t  stop: the café, well-known!") == "don't stop the cafe well known"
