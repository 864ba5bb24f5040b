import pytest
import torch

from s2s_lm.decoders.adaptive import AdaptiveDecoder
from s2s_lm.encoders.transformer_xl import TransformerXlEncoder


def test_equals_torchs_adaptive_softmax():
    torch.manual_seed(0)
    ours = AdaptiveDecoder(16, 40, [10, 25], 4.0, tied=False)
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(16, 40, [10, 25], 4.0, head_bias=True)
    with torch.no_grad():
        theirs.head.weight.copy_(torch.cat([ours.bands.vectors[0], ours.band_weight]))
        theirs.head.bias.copy_(torch.randn(12))
        ours.biases[0].copy_(theirs.head.bias[:10])
        ours.band_bias.copy_(theirs.head.bias[10:])
        for band in (1, 2):
            theirs.tail[band - 1][0].weight.copy_(ours.bands.projections[band - 1].T)
            theirs.tail[band - 1][1].weight.copy_(ours.bands.vectors[band])
    encodings, targets = torch.randn(60, 16), torch.arange(60) % 40
    torch.testing.assert_close(ours.log_probs(encodings), theirs.log_prob(encodings))
    torch.testing.assert_close(ours.nll(encodings, targets), -theirs(encodings, targets).output)


def test_shares_the_vectors_of_adaptive_input():
    encoder = TransformerXlEncoder(40, 16, 1, 2, 32, memory=4, cutoffs=[10, 25])
    decoder = AdaptiveDecoder(16, 40, [10, 25])
    decoder.tie(encoder)
    assert decoder.bands is encoder.embedding
    assert encoder.embedding.vectors[2].shape == (15, 1)
    with pytest.raises(ValueError, match="cutoffs"):
        AdaptiveDecoder(16, 40, [10]).tie(encoder)
