import io
import struct

import numpy as np
import pytest
import soundfile
import torch

from s2s_core.audio.uploads import read_upload, wav_bytes
from s2s_core.data.audio_files import read_audio
from s2s_core.errors import UserError
from s2s_core.serving.endpoint import TooLong, Upload

TONE = (0.5 * np.sin(np.arange(8000) * 0.2)).astype(np.float32)


def upload(samples, rate=8000, form="WAV", subtype=None, name="a.wav"):
    held = io.BytesIO()
    soundfile.write(held, samples, rate, format=form, subtype=subtype)
    return Upload(name, held)


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "MP3", "AIFF"])
def test_formats_are_read_whatever_the_name_says(form):
    audio = read_upload(upload(TONE, form=form, name="thing.bin"), 8000, 10)
    assert abs(len(audio) - 8000) <= 2500, "MP3 encoders pad"
    if form in ("WAV", "FLAC", "AIFF"):
        np.testing.assert_allclose(audio, TONE, atol=1e-4)


def test_rate_and_channels_become_the_models_as_for_files(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([TONE, -0.5 * TONE], axis=1), 8000)
    expected, _ = read_audio(tmp_path / "a.wav", 16_000)
    audio = read_upload(upload(np.stack([TONE, -0.5 * TONE], axis=1)), 16_000, 10)
    torch.testing.assert_close(audio, expected, atol=1e-6, rtol=0)


def test_what_is_longer_than_the_limit_is_not_decoded(monkeypatch):
    monkeypatch.setattr("s2s_core.audio.uploads.read_audio", lambda *_, **__: pytest.fail("was decoded"))
    silence = upload(np.zeros(8000 * 60, dtype=np.int16), form="FLAC")
    assert silence.file.seek(0, 2) < 100_000, "small to send"
    with pytest.raises(TooLong, match=r"a\.wav: lasts 60\.0 s, expected at most 59 s"):
        read_upload(silence, 8000, 59)


def test_channels_and_rate_count_towards_the_limit(monkeypatch):
    many = upload(np.zeros((4000, 16), dtype=np.int16))
    assert len(read_upload(many, 8000, 0.7)) == 4000
    monkeypatch.setattr("s2s_core.audio.uploads.read_audio", lambda *_, **__: pytest.fail("was decoded"))
    with pytest.raises(TooLong, match=r"holds 64000 samples, expected at most 57600, as 0\.6 s of stereo at 48 kHz"):
        read_upload(many, 8000, 0.6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"a\.wav: empty file"),
        (b"not a sound", r"a\.wav: not readable audio"),
        (wav_bytes(TONE[:0], 8000), r"a\.wav: empty"),
        (wav_bytes(TONE, 8000)[:-5000], r"a\.wav: truncated"),
        (wav_bytes(TONE, 100), r"a\.wav: 100 samples a second, expected 4000 to 384000"),
        (wav_bytes(np.zeros((100, 17)), 8000), r"a\.wav: 17 channels, expected at most 16"),
    ],
)
def test_what_is_no_recording_is_said(content, message):
    with pytest.raises(UserError, match=message):
        read_upload(Upload("a.wav", io.BytesIO(content)), 8000, 10)


def test_samples_that_are_no_numbers():
    with pytest.raises(UserError, match="infinite or no number"):
        read_upload(upload(np.array([0.0, np.nan], dtype=np.float32), subtype="FLOAT"), 8000, 10)


def test_rates_without_a_common_divisor_take_no_memory_to_speak_of(monkeypatch):
    sizes = []
    monkeypatch.setattr("torchaudio.transforms.Resample.__init__", lambda self, a, b: sizes.append(a * b) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        read_upload(upload(TONE, rate=15_001), 16_000, 10)
    assert sizes[0] <= 4000 * 4000


def test_wav_bytes():
    content = wav_bytes(np.array([0.0, 0.5, -1.0]), 8000)
    assert (content[:4], content[8:12], len(content)) == (b"RIFF", b"WAVE", 50)
    assert struct.unpack("<I", content[24:28]) == (8000,)
    assert struct.unpack("<3h", content[44:]) == (0, 16384, -32768)
