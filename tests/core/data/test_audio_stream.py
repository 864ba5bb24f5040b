import io
import struct

import numpy as np
import pytest
import soundfile
import torch

from s2s_core.data.audio_stream import open_stream
from s2s_core.errors import UserError

SAMPLES = np.random.default_rng(0).uniform(-0.9, 0.9, (5000, 2)).astype(np.float32)


class Dribble(io.BytesIO):
    """A pipe that has an odd number of bytes at a time."""

    def read1(self, size=-1):
        return super().read(min(size, 333))

    def read(self, size=-1):
        return super().read(min(size, 5))


def wav(subtype, samples=SAMPLES, rate=8000):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype=subtype)
    return file.getvalue()


def read(data, rate=16000):
    pieces, found = open_stream(Dribble(data), rate)
    return torch.cat(list(pieces)).numpy(), found


@pytest.mark.parametrize(("subtype", "error"), [("PCM_16", 2e-5), ("PCM_32", 1e-6), ("FLOAT", 1e-6)])
def test_wav_of_two_channels_is_averaged(subtype, error):
    samples, rate = read(wav(subtype))
    assert rate == 8000
    np.testing.assert_allclose(samples, SAMPLES.mean(axis=1), atol=2 * error)


def test_sizes_in_a_piped_header_are_not_believed():
    data = bytearray(wav("PCM_16"))
    place = data.index(b"data") + 4
    data[place : place + 4] = struct.pack("<I", 0xFFFFFFFF)
    samples, _ = read(bytes(data))
    assert len(samples) == 5000


def test_bare_samples():
    numbers = (SAMPLES[:, 0] * 32768).astype("<i2")
    samples, rate = read(numbers.tobytes() + b"\x01", 11025)
    assert rate == 11025
    np.testing.assert_allclose(samples, numbers / 32768, atol=1e-7)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"RIFF\0\0\0\0AVI ", "is not WAV"),
        (wav("PCM_24"), "24 bits"),
        (wav("PCM_16")[:30], "without samples"),
    ],
    ids=["nothing", "another RIFF", "another width", "cut short"],
)
def test_what_is_no_stream_of_samples_is_named(data, message):
    with pytest.raises(UserError, match=f"standard input: .*{message}"):
        read(data)
