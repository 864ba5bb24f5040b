import io
import math
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
import torchaudio

from s2s_asr import audio_input
from s2s_asr.audio_input import Waveform, from_waveform, open_recording, resampled
from s2s_core.errors import UserError


def tone(rate, seconds=1.0, hz=440.0):
    return np.sin(2 * math.pi * hz * np.arange(int(rate * seconds)) / rate).astype(np.float32) / 2


@pytest.mark.parametrize("size", [1, 137, 4_000, 100_000])
@pytest.mark.parametrize(("from_hz", "to_hz"), [(44_100, 16_000), (8_000, 16_000), (48_000, 16_000), (11_025, 16_000)])
def test_resampling_in_blocks_equals_resampling_at_once(from_hz, to_hz, size):
    audio = torch.randn(from_hz // (20 if size == 1 else 2) + 3, generator=torch.Generator().manual_seed(size))
    blocks = torch.cat(list(resampled(iter(audio.split(size)), from_hz, to_hz)))
    torch.testing.assert_close(blocks, torchaudio.transforms.Resample(from_hz, to_hz)(audio), atol=2e-6, rtol=0)


def test_the_same_rate_is_left_alone():
    audio = torch.randn(100)
    (same,) = resampled(iter([audio]), 16_000, 16_000)
    assert same is audio


@pytest.mark.parametrize(("from_hz", "to_hz"), [(44_099, 16_000), (16_001, 16_000), (15_999, 16_000), (7_919, 16_000)])
def test_rates_without_a_common_factor_come_out_right(from_hz, to_hz):
    out = torch.cat(list(resampled(iter([torch.from_numpy(tone(from_hz, 2.0))]), from_hz, to_hz))).numpy()
    assert len(out) == pytest.approx(2 * to_hz, rel=5e-4)
    crossings = np.flatnonzero((out[:-1] < 0) & (out[1:] >= 0))
    hz = to_hz * (len(crossings) - 1) / (crossings[-1] - crossings[0])
    assert hz == pytest.approx(440, rel=1e-3)


@pytest.mark.parametrize(("name", "fmt"), [("a.wav", "WAV"), ("a.flac", "FLAC"), ("a.ogg", "OGG"), ("a.mp3", "MP3")])
def test_formats(tmp_path, name, fmt):
    samples = tone(16_000, 2.0)
    soundfile.write(tmp_path / name, samples, 16_000, format=fmt)
    recording = open_recording(tmp_path / name)
    audio = torch.cat(list(recording.blocks(16_000))).numpy()
    assert recording.duration_s == pytest.approx(2.0, abs=0.1)
    assert np.corrcoef(audio[: len(samples)], samples)[0, 1] > 0.98


def test_opus_and_stereo(tmp_path):
    samples = np.stack([tone(16_000), 3 * tone(16_000) / 5], axis=1)
    soundfile.write(tmp_path / "a.opus", samples, 16_000, format="OGG", subtype="OPUS")
    audio = torch.cat(list(open_recording(tmp_path / "a.opus").blocks(16_000))).numpy()
    loudness = np.sqrt(np.square(audio[4000:12000]).mean() / np.square(0.8 * tone(16_000)[4000:12000]).mean())
    assert loudness == pytest.approx(1.0, abs=0.05)


def test_integers_use_their_range():
    (block,) = from_waveform(Waveform(np.array([-32768, 0, 16384], dtype=np.int16), 8_000), "x").blocks(8_000)
    assert block.tolist() == [-1.0, 0.0, 0.5]


def test_channels_of_an_array_are_its_columns():
    (block,) = from_waveform(Waveform(torch.tensor([[0.0, 1.0], [0.5, 0.5]]), 8_000), "x").blocks(8_000)
    assert block.tolist() == [0.5, 0.5]
    with pytest.raises(UserError, match=r"x: samples have shape \(1, 2, 3\)"):
        from_waveform(Waveform(np.zeros((1, 2, 3)), 8_000), "x")


def stdin_of(monkeypatch, data: bytes):
    monkeypatch.setattr(audio_input.sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))


@pytest.mark.parametrize("streamed", [False, True])
def test_wav_on_standard_input(monkeypatch, streamed):
    buffer = io.BytesIO()
    samples = tone(22_050)
    soundfile.write(buffer, samples, 22_050, format="WAV", subtype="FLOAT")
    data = bytearray(buffer.getvalue())
    if streamed:  # as ffmpeg and sox write to a pipe
        data[4:8] = b"\xff" * 4
        at = data.index(b"data") + 4
        data[at : at + 4] = b"\xff" * 4
    stdin_of(monkeypatch, bytes(data))
    recording = open_recording("-")
    assert recording.name == "standard input"
    np.testing.assert_array_equal(torch.cat(list(recording.blocks(22_050))).numpy(), samples)


def test_rubbish_on_standard_input(monkeypatch):
    stdin_of(monkeypatch, b"")
    with pytest.raises(UserError, match="standard input: "):
        open_recording("-")
