import shutil
import sys
import threading

import numpy as np
import pytest

from s2s_core.audio import espeak
from s2s_core.audio.espeak import EspeakVoice, synthesize, synthesize_all, variants, voices
from s2s_core.errors import UserError

TEXT = "move the red box"


def pitch_hz(samples, rate):
    """The median of the strongest autocorrelation lag over voiced frames."""
    found = []
    for start in range(0, len(samples) - 2048, 512):
        frame = samples[start : start + 2048]
        if frame.std() < 0.02:
            continue
        correlation = np.fft.irfft(np.abs(np.fft.rfft(frame, 4096)) ** 2)[:2048]
        low, high = rate // 400, rate // 60
        found.append(rate / (low + correlation[low:high].argmax()))
    return float(np.median(found))


def test_speech_has_the_documented_form():
    samples, rate = synthesize(TEXT, EspeakVoice())
    assert rate == 22050
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert 0.5 < len(samples) / rate < 3
    assert 0.05 < np.abs(samples).max() <= 1


def test_rate_shortens_and_pitch_raises():
    slow, rate = synthesize(TEXT, EspeakVoice(rate_wpm=120))
    fast, _ = synthesize(TEXT, EspeakVoice(rate_wpm=240))
    assert len(slow) > 1.5 * len(fast)
    low, _ = synthesize(TEXT, EspeakVoice(pitch=20))
    high, _ = synthesize(TEXT, EspeakVoice(pitch=90))
    assert pitch_hz(high, rate) > 1.2 * pitch_hz(low, rate)


def test_variants_and_texts_differ():
    male, rate = synthesize(TEXT, EspeakVoice(variant="m3"))
    female, _ = synthesize(TEXT, EspeakVoice(variant="f2"))
    assert pitch_hz(female, rate) > 1.3 * pitch_hz(male, rate)
    longer, _ = synthesize(TEXT + " and the blue box", EspeakVoice(variant="m3"))
    assert len(longer) > 1.3 * len(male)


def test_a_list_repeats_itself_to_the_bit_whatever_was_spoken_before():
    request = [(TEXT, EspeakVoice(variant="f2")), ("seven", EspeakVoice("en", "m1", 140, 60)), ("", EspeakVoice())]
    first = list(synthesize_all(request))
    synthesize("something else", EspeakVoice(variant="belinda"))
    second = list(synthesize_all(request))
    assert len(first) == 3
    for (a, rate_a), (b, rate_b) in zip(first, second, strict=True):
        assert rate_a == rate_b == 22050
        np.testing.assert_array_equal(a, b)
    assert len(first[2][0]) < len(first[1][0]) < len(first[0][0])


def test_an_iteration_can_be_given_up():
    for samples, _ in synthesize_all([(TEXT, EspeakVoice())] * 200):
        assert len(samples) > 0
        break


def test_threads_take_turns():
    lengths = {}

    def speak(variant):
        lengths[variant] = [len(synthesize(TEXT, EspeakVoice(variant=variant, rate_wpm=150))[0]) for _ in range(5)]

    alone = {variant: len(synthesize(TEXT, EspeakVoice(variant=variant, rate_wpm=150))[0]) for variant in ("f4", "m3")}
    threads = [threading.Thread(target=speak, args=(variant,)) for variant in alone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for variant, expected in alone.items():
        assert lengths[variant] == pytest.approx([expected] * 5, rel=0.01)


@pytest.mark.parametrize("speak", [synthesize, lambda text, voice: list(synthesize_all([(text, voice)]))])
def test_unknown_names_are_the_users_error(speak):
    with pytest.raises(UserError, match=r"no voice 'xx-yy'.*en-us"):
        speak(TEXT, EspeakVoice(voice="xx-yy"))
    with pytest.raises(UserError, match=r"no variant 'm99'.*m3"):
        speak(TEXT, EspeakVoice(variant="m99"))


def test_missing_wheel_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    espeak._loader_paths.cache_clear()
    try:
        with pytest.raises(UserError, match="pip install espeakng-loader"):
            next(synthesize_all([(TEXT, EspeakVoice())]))
    finally:
        espeak._loader_paths.cache_clear()


def test_a_death_of_the_speaking_process_is_told(monkeypatch):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(RuntimeError, match="has died"):
        list(synthesize_all([(TEXT, EspeakVoice())]))


@pytest.mark.parametrize("arguments", [{"rate_wpm": 20}, {"rate_wpm": 1000}, {"pitch": 100}, {"pitch": -1}])
def test_values_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match=str(next(iter(arguments.values())))):
        EspeakVoice(**arguments)


def test_names_are_listed():
    assert {"en-us", "en", "de"} <= set(voices())
    assert {"m1", "f5", "belinda"} <= set(variants())
