"""Centaur's decoder looks only back, says freely what it says when forced, and its window only moves forward."""

import torch

from s2s_tts.decoders.centaur import CentaurDecoder, CentaurSizes
from s2s_tts.interfaces import Memory, Spectrogram


def decoder_of(layers=2, **sizes):
    torch.manual_seed(0)
    small = CentaurSizes(8, layers, 1, 1, 3, dropout=0.0, prenet_dropout=0.0, **sizes)
    return CentaurDecoder(10, 4, magnitude_bins=6, stop_threshold=2.0, sizes=small).eval()


def memory_of():
    return Memory(torch.randn(2, 6, 10, generator=torch.Generator().manual_seed(1)), torch.tensor([6, 4]))


def test_a_frame_does_not_see_later_ones():
    decoder = decoder_of()
    mel = torch.randn(1, 12, 4, requires_grad=True)
    memory = Memory(memory_of().values[:1], torch.tensor([6]))
    made = decoder(memory, Spectrogram(mel, torch.tensor([12])))
    made.spectrogram.magnitude[0, 6:8].sum().backward()
    assert mel.grad[0, :6].any(1).all()
    assert not mel.grad[0, 6:].any()


def test_free_speech_is_a_fixed_point_of_teacher_forcing_without_a_window():
    decoder = decoder_of(forced=())
    with torch.no_grad():
        made = decoder.generate(memory_of(), torch.tensor([0, 1]), torch.tensor([12, 8]))
        again = decoder(memory_of(), Spectrogram(made.spectrogram.mel, made.spectrogram.lengths))
    torch.testing.assert_close(again.spectrogram.mel, made.spectrogram.mel, atol=1e-5, rtol=0)
    torch.testing.assert_close(again.spectrogram.magnitude, made.spectrogram.magnitude, atol=1e-5, rtol=0)


def test_forced_attention_only_moves_forward_within_its_window():
    decoder = decoder_of(1, forced=(0,), window=2)
    with torch.no_grad():
        made = decoder.generate(memory_of(), torch.tensor([0, 1]), torch.tensor([40, 40]))
    at = made.alignments.argmax(2)
    moves = at[:, 1:] - at[:, :-1]
    assert int(at[:, 0].max()) <= 1
    assert int(moves.min()) >= 0
    assert int(moves.max()) <= 1
    assert int((made.alignments > 0).sum(2).max()) <= 2


def test_published_sizes():
    decoder = CentaurDecoder(256, magnitude_bins=513)
    assert decoder.projection.weight.shape == (160, 512)
    assert len(decoder.blocks) == len(decoder.convolutions) == len(decoder.magnitude_blocks) == 4
    assert decoder.sizes.forced == (1, 3)
