import pytest
import torch
from torch.nn import functional as F

from s2s_asr.encoders.gated_convolutional import GatedConv, GatedConvEncoder


def encoder():
    torch.manual_seed(0)
    return GatedConvEncoder(5, [GatedConv(6, 5, stride=2), GatedConv(4, 3), GatedConv(7, 1)]).double().eval()


def test_one_utterance_equals_plain_convolutions_of_normalised_weights():
    built = encoder()
    x = torch.randn(1, 5, 9, dtype=torch.float64)
    encodings, lengths = built(x.mT, torch.tensor([9]))
    for layer, spec in zip(built.layers, built.specs, strict=True):
        parameters = dict(layer.named_parameters())
        length, direction = (parameters[f"parametrizations.weight.original{i}"] for i in (0, 1))
        weight = length * direction / direction.flatten(1).norm(dim=1)[:, None, None]
        a, b = F.conv1d(x, weight.mT, layer.bias, spec.stride, spec.kernel // 2).chunk(2, dim=1)
        x = a * b.sigmoid()
    torch.testing.assert_close(encodings, x.mT)
    assert lengths.tolist() == [5]


def test_a_row_of_weights_has_the_length_that_is_learnt():
    built = encoder()
    with torch.no_grad():
        built.layers[1].parametrizations.weight.original0.fill_(2.5)
        built.layers[1].parametrizations.weight.original1.mul_(7.0)
    torch.testing.assert_close(built.layers[1].weight.flatten(1).norm(dim=1), torch.full((8,), 2.5).double())


def test_wrong_layers_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        GatedConvEncoder(5, [])
    with pytest.raises(ValueError, match="odd"):
        GatedConvEncoder(5, [GatedConv(6, 4)])
    with pytest.raises(ValueError, match="dropout"):
        GatedConv(6, 5, dropout=1.0)


@torch.no_grad()
@pytest.mark.parametrize("piece", [1, 4, 30])
def test_pieces_give_what_the_whole_gives(piece):
    built = encoder()
    x = torch.randn(1, 30, 5, dtype=torch.float64)
    stream = built.stream()
    pieces = x.split(piece, dim=1)
    found = [stream.push(part, last=i == len(pieces) - 1) for i, part in enumerate(pieces)]
    torch.testing.assert_close(torch.cat(found, dim=1), built(x, torch.tensor([30]))[0])
    assert (stream.stride, stream.lookahead) == (2, 2 + 2 * 1)
