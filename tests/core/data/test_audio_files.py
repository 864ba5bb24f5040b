import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from scipy.signal import resample_poly

from s2s_core.data.audio_files import inspect_audio, read_audio, resample
from s2s_core.errors import UserError

RATE = 16000


def tone(seconds: float = 1.0, rate: int = RATE, channels: int = 1) -> np.ndarray:
    """Sines of 440, 550, ... Hz, one a channel."""
    time = np.arange(round(seconds * rate)) / rate
    waves = [0.4 * np.sin(2 * np.pi * (440 + 110 * channel) * time) for channel in range(channels)]
    return np.stack(waves, axis=1).astype(np.float32)


FORMATS = {
    "wav": {"subtype": "PCM_16"},
    "flac": {},
    "ogg": {"format": "OGG", "subtype": "VORBIS"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "mp3": {},
    "sph": {"format": "NIST"},
}
LOSSLESS = ("wav", "flac", "sph")


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_is_read(tmp_path, suffix):
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, tone(), RATE, **FORMATS[suffix])
    audio, rate = read_audio(path)
    assert rate == RATE
    assert audio.dtype == torch.float32
    assert audio.shape == (RATE,)
    assert inspect_audio(path) == inspect_audio(path, decode=False) == (RATE, RATE, 1)
    difference = np.abs(audio.numpy() - tone()[:, 0])[800:-800]
    assert difference.max() < (1e-4 if suffix in LOSSLESS else 0.05)
    again, _ = read_audio(io.BytesIO(path.read_bytes()))
    assert torch.equal(audio, again)


def test_channels_are_averaged_or_chosen(tmp_path):
    path = tmp_path / "three.wav"
    samples = tone(channels=3)
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(path)[0], samples.mean(axis=1), atol=1e-7)
    np.testing.assert_array_equal(read_audio(path, channels=[1])[0], samples[:, 1])
    np.testing.assert_allclose(read_audio(path, channels=[0, 2])[0], samples[:, [0, 2]].mean(axis=1), atol=1e-7)
    with pytest.raises(UserError, match="channel 3 asked for, the file has 3"):
        read_audio(path, channels=[3])


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_other_rates_are_resampled(tmp_path, rate):
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(rate=rate), rate, subtype="FLOAT")
    audio, got = read_audio(path, RATE)
    assert got == RATE
    assert audio.shape == (RATE,)
    middle = slice(1000, -1000)
    np.testing.assert_allclose(audio[middle], tone()[middle, 0], atol=2e-3)


def test_resampling_agrees_with_scipy_and_keeps_batches():
    rng = np.random.default_rng(0)
    low = resample_poly(rng.normal(size=4000), 4, 1)[:16000]  # nothing near the new Nyquist frequency
    ours = resample(torch.from_numpy(low).float()[None], 16000, 12000)
    expected = resample_poly(low, 3, 4)
    np.testing.assert_allclose(ours[0, 100:-100], expected[100:-100], atol=0.02 * expected.std())
    same = torch.ones(5)
    assert resample(same, 8000, 8000) is same


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_a_stretch_is_the_stretch(tmp_path, suffix):
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, tone(2.0), RATE, **FORMATS[suffix])
    whole, _ = read_audio(path)
    part, _ = read_audio(path, start_s=0.5, duration_s=0.75)
    assert torch.allclose(part, whole[8000:20000], atol=1e-6)
    rest, _ = read_audio(path, start_s=1.5)
    assert torch.allclose(rest, whole[24000:], atol=1e-6)
    with pytest.raises(UserError, match=r"asked to start at 3 s, the file lasts 2 s"):
        read_audio(path, start_s=3.0)
    with pytest.raises(UserError, match=r"truncated: 0\.50 s of 1\.00 s"):
        read_audio(path, start_s=1.5, duration_s=1.0)


def truncated(path: Path, suffix: str) -> Path:
    whole = path / f"whole.{suffix}"
    rng = np.random.default_rng(0)
    soundfile.write(whole, rng.uniform(-0.5, 0.5, 3 * RATE), RATE, **FORMATS[suffix])
    cut = path / f"cut.{suffix}"
    content = whole.read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    return cut


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "opus", "mp3"])
def test_truncated_files_are_refused_by_name(tmp_path, suffix):
    path = truncated(tmp_path, suffix)
    for read in (read_audio, inspect_audio):
        with pytest.raises(UserError, match=rf"cut\.{suffix}: (truncated|not readable audio)") as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_wav_from_a_pipe_is_whole(tmp_path):
    path = tmp_path / "piped.wav"
    soundfile.write(path, tone(), RATE, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = struct.pack("<I", 0xFFFFFFFF)
    content[4:8] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(content)
    assert len(read_audio(path)[0]) == RATE


def test_files_that_are_no_recordings(tmp_path):
    (tmp_path / "zero.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("I am not a recording" * 50)
    soundfile.write(tmp_path / "silent.wav", tone()[:0], RATE)
    for name, message in {
        "zero.wav": "empty file",
        "text.wav": "not readable audio",
        "silent.wav": "empty: the file holds no samples",
        "gone.wav": "no such file",
        "": "not a file",
    }.items():
        for read in (read_audio, inspect_audio):
            with pytest.raises(UserError, match=message) as caught:
                read(tmp_path / name)
            assert str(tmp_path / name) in str(caught.value)
            assert "\n" not in str(caught.value)
