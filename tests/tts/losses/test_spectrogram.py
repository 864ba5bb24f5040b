"""Values of the loss and of guided attention, worked out by hand."""

import math

import pytest
import torch

from s2s_tts.decoders.tacotron2 import Tacotron2Decoder, Tacotron2Sizes
from s2s_tts.interfaces import Memory, Prediction, Spectrogram
from s2s_tts.losses.spectrogram import SpectrogramLoss, guided_attention


def prediction(mel, coarse, stop, alignments):
    lengths = torch.tensor([mel.shape[1]])
    return Prediction(coarse, Spectrogram(mel, lengths), stop, alignments, torch.tensor([True]))


def test_parts_by_hand():
    target = Spectrogram(torch.zeros(1, 2, 2), torch.tensor([2]))
    mel, coarse = torch.tensor([[[1.0, 2.0], [0.0, 1.0]]]), torch.full((1, 2, 2), 3.0)
    made = prediction(mel, coarse, torch.tensor([[0.0, 1.0]]), torch.ones(1, 2, 1))
    found = SpectrogramLoss(stop_positive_weight=5.0)(made, target, torch.tensor([1]))
    assert float(found.parts["mel"]) == pytest.approx(2.5 + 0.5)
    assert float(found.parts["coarse"]) == pytest.approx(18.0)
    assert float(found.parts["stop"]) == pytest.approx(math.log(2) + 5 * math.log(1 + math.exp(-1)), rel=1e-5)
    absolute = SpectrogramLoss("absolute", mel_weight=2.0, stop_weight=0.0)(made, target, torch.tensor([1]))
    assert float(absolute.sum.mean) == pytest.approx((2 * (1.5 + 0.5) + 2 * 6.0) / 2)


@pytest.mark.parametrize("postnet", [0, 7])
def test_a_spectrogram_counts_once_without_a_post_net(postnet):
    sizes = Tacotron2Sizes(prenet=6, rnn=8, attention=5, filters=3, kernel=5, postnet=postnet)
    target = Spectrogram(torch.randn(1, 5, 4), torch.tensor([5]))
    made = Tacotron2Decoder(9, 4, sizes=sizes)(Memory(torch.randn(1, 3, 9), torch.tensor([3])), target)
    found = SpectrogramLoss()(made, target, torch.tensor([3]))
    assert set(found.parts) == {"mel", "stop"} | ({"coarse"} if postnet else set())


def test_guided_attention_charges_distance_from_the_diagonal():
    alignments = torch.zeros(1, 4, 2)
    alignments[0, 0, 1] = 1.0  # token 1 of 2 at step 0 of 4
    alignments[0, 2, 1] = 1.0  # on the diagonal
    found = guided_attention(alignments, torch.tensor([4]), torch.tensor([2]), 0.2)
    assert float(found) == pytest.approx(1 - math.exp(-(0.5**2) / (2 * 0.04)), rel=1e-5)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="'cubed'"):
        SpectrogramLoss("cubed")
    with pytest.raises(ValueError, match="guide_width"):
        SpectrogramLoss(guide_width=0.0)
