"""What every vocoder must keep; a new one is found by its base class."""

import pytest
import torch

from s2s_core import testing
from s2s_tts.interfaces import Spectrogram, Vocoder

FOUND = testing.find_parts(Vocoder)
CASES = [pytest.param(cls, i, id=f"{cls.__name__}-{i}") for cls in FOUND for i in range(len(testing.examples_of(cls)))]
FRAMES = [14, 9, 1]
SEEDS = [3, 8, 5]


def build(cls, index):
    torch.manual_seed(0)
    return testing.examples_of(cls)[index].eval()


def batch_of(features, filler=0.0):
    """Log bands of loud noise, with ``filler`` after each end."""
    lengths = torch.tensor(FRAMES)
    generator = torch.Generator().manual_seed(1)
    mel = torch.randn(len(FRAMES), max(FRAMES), features.num_features, generator=generator)
    for row, length in enumerate(FRAMES):
        mel[row, length:] = filler
    return Spectrogram(mel, lengths)


def test_vocoders_were_found():
    assert FOUND


@pytest.mark.parametrize(("cls", "index"), CASES)
@torch.no_grad()
def test_an_utterance_sounds_the_same_alone_and_in_a_batch(cls, index):
    vocoder = build(cls, index)
    batch = batch_of(vocoder.features, filler=2.0)
    together = vocoder(batch, torch.tensor(SEEDS))
    ends = vocoder.features.samples(batch.lengths).tolist()
    assert together.shape == (len(FRAMES), max(ends))
    for row, (length, end) in enumerate(zip(FRAMES, ends, strict=True)):
        alone = Spectrogram(batch.mel[row : row + 1, :length], batch.lengths[row : row + 1])
        audio = vocoder(alone, torch.tensor(SEEDS[row : row + 1]))
        torch.testing.assert_close(together[row, :end], audio[0], rtol=1e-4, atol=1e-5)
        assert not together[row, end:].any()


@pytest.mark.parametrize(("cls", "index"), CASES)
@torch.no_grad()
def test_audio_is_float32_within_bounds_and_repeats_itself(cls, index):
    vocoder = build(cls, index)
    batch = batch_of(vocoder.features)
    batch.mel += 6.0
    audio = vocoder(batch, torch.tensor(SEEDS))
    assert audio.dtype == torch.float32
    assert audio.abs().max() <= 1.0
    assert audio.std() > 0
    assert torch.equal(vocoder(batch, torch.tensor(SEEDS)), audio)
    assert torch.equal(vocoder(batch), vocoder(batch, torch.zeros(len(FRAMES), dtype=torch.int64)))


@pytest.mark.parametrize(("cls", "index"), CASES)
@torch.no_grad()
def test_other_seeds_give_other_audio(cls, index):
    vocoder = build(cls, index)
    batch = batch_of(vocoder.features)
    assert not torch.allclose(vocoder(batch, torch.tensor([9, 9, 9])), vocoder(batch, torch.tensor(SEEDS)))
