"""Conformer against its paper written out in torch's functions, its sizes, and what it can see."""

import pytest
import torch
from torch.nn import functional as F

from s2s_asr.encoders.conformer import ConformerEncoder, ConvolutionModule
from s2s_asr.encoders.conv2d import Conv2dSpec
from s2s_core.nn.frames import PaddedFrames
from s2s_core.nn.positions import sinusoids

SIZE, HEADS, KERNEL = 8, 2, 5


def encoder(**options):
    torch.manual_seed(0)
    built = ConformerEncoder(6, SIZE, 2, HEADS, KERNEL, dropout=0.0, **options).double().eval()
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return built


@pytest.mark.parametrize(("size", "layers", "heads", "millions"), [(144, 16, 4, 10.3), (256, 16, 4, 30.7)])
def test_as_many_parameters_as_the_paper_says(size, layers, heads, millions):
    """Table 1 counts the transducer's decoder too: one layer of 320 with the joint and 1000 word pieces."""
    with torch.device("meta"):
        built = ConformerEncoder(80, size, layers, heads)
    d = size
    feed = 2 * d + 4 * d * d + 4 * d + 4 * d * d + d
    attention = 2 * d + 3 * (d * d + d) + d * d + d * d + d + 2 * d
    conv = 2 * d + 2 * d * d + 2 * d + 31 * d + 2 * d + d * d + d
    front = 9 * d + 9 * d * d + 2 * 2 * d + 20 * d * d + d
    count = sum(p.numel() for p in built.parameters())
    assert count == front + layers * (2 * feed + attention + conv + 2 * d)
    assert 0.8 * millions < count / 1e6 < millions


def norm(x, module):
    return F.layer_norm(x, (x.shape[-1],), module.weight, module.bias, 1e-5)


def feed_forward(x, module):
    inner = F.silu(F.linear(norm(x, module.norm), module.widen.weight, module.widen.bias))
    return F.linear(inner, module.narrow.weight, module.narrow.bias)


def convolution(x, module):
    a, b = F.linear(norm(x, module.norm), module.gated.weight, module.gated.bias).chunk(2, dim=-1)
    y = F.conv1d((a * b.sigmoid()).mT, module.depthwise.weight[:, None], padding=KERNEL // 2, groups=SIZE)
    inner = module.inner_norm
    y = F.batch_norm(y, inner.running_mean, inner.running_var, inner.weight, inner.bias, eps=1e-5).mT
    return F.linear(F.silu(y), module.pointwise.weight, module.pointwise.bias)


def test_one_utterance_equals_the_paper_written_out():
    built = encoder()
    features = torch.randn(1, 21, 6, dtype=torch.float64)
    x, _ = built.subsampling(features, torch.tensor([21]))
    x = F.linear(x, built.project.weight, built.project.bias)
    distances = sinusoids(torch.arange(5, -6, -1), SIZE).double()
    seen = torch.ones(1, 1, 1, 6, dtype=torch.bool)
    for block in built.blocks:
        x = x + 0.5 * feed_forward(x, block.before)
        x = x + block.attention(norm(x, block.attention_norm), None, distances, seen)
        x = x + convolution(x, block.convolution)
        x = norm(x + 0.5 * feed_forward(x, block.after), block.norm)
    encodings, lengths = built(features, torch.tensor([21]))
    assert lengths.tolist() == [6]
    torch.testing.assert_close(encodings, x)


def test_lengths_are_quartered():
    assert encoder().output_lengths(torch.tensor([1, 4, 5, 8, 9])).tolist() == [1, 1, 2, 2, 3]
    given = [Conv2dSpec(3, (3, 3), (2, 2)), Conv2dSpec(3, (3, 3), (1, 2))]
    assert encoder(subsampling=given).output_lengths(torch.tensor([1, 4, 5])).tolist() == [1, 2, 3]


def test_a_convolution_reaches_half_its_kernel():
    torch.manual_seed(0)
    module = ConvolutionModule(SIZE, KERNEL, 0.0, "batch").double().eval()
    x = torch.randn(1, 15, SIZE, dtype=torch.float64, requires_grad=True)
    module(x, PaddedFrames(torch.tensor([15]), 15))[0, 7].sum().backward()
    touched = x.grad[0].abs().sum(dim=1).nonzero()[:, 0].tolist()
    assert touched == list(range(7 - KERNEL // 2, 8 + KERNEL // 2))


def test_dropout_drops_in_training_only():
    torch.manual_seed(0)
    built = ConformerEncoder(6, SIZE, 1, HEADS, KERNEL, dropout=0.5, norm="layer")
    x, lengths = torch.randn(1, 12, 6), torch.tensor([12])
    assert not torch.equal(built(x, lengths)[0], built(x, lengths)[0])
    built.eval()
    assert torch.equal(built(x, lengths)[0], built(x, lengths)[0])


def test_an_empty_utterance_does_no_harm():
    built = encoder(norm="layer").train()
    out, _ = built(torch.randn(2, 9, 6, dtype=torch.float64), torch.tensor([9, 0]))
    assert not out[1].any()
    out.square().sum().backward()
    assert all(p.grad.isfinite().all() for p in built.parameters())


def test_wrong_sizes_are_named():
    with pytest.raises(ValueError, match="layers"):
        ConformerEncoder(6, layers=0)
    with pytest.raises(ValueError, match="even"):
        ConformerEncoder(6, size=7)
    with pytest.raises(ValueError, match="heads"):
        ConformerEncoder(6, size=8, heads=3)
