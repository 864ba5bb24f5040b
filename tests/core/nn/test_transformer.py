"""Stacks against ``torch.nn.Transformer`` with the same weights, and in both layouts."""

import pytest
import torch
from torch import nn

from s2s_core.nn.attention_pattern import pattern_of
from s2s_core.nn.frames import PackedFrames, PaddedFrames
from s2s_core.nn.transformer import FeedForward, LayerSpec, TransformerStack

SOURCE, TARGET, FEATURES = [5, 2, 7], [3, 6, 4], 12


def copy_attention(theirs, projections, output):
    weights, biases = theirs.in_proj_weight, theirs.in_proj_bias
    for linear in projections:
        size = len(linear.weight)
        linear.load_state_dict({"weight": weights[:size], "bias": biases[:size]})
        weights, biases = weights[size:], biases[size:]
    output.load_state_dict(theirs.out_proj.state_dict())


def copy_layer(ours, theirs):
    copy_attention(theirs.self_attn, [ours.attention.projection], ours.attention.output)
    norms = [ours.attention_residual.norm]
    if ours.cross is not None:
        copy_attention(theirs.multihead_attn, [ours.cross.query, ours.cross.memory], ours.cross.output)
        norms.append(ours.cross_residual.norm)
    ours.feed_forward.widen.load_state_dict(theirs.linear1.state_dict())
    ours.feed_forward.narrow.load_state_dict(theirs.linear2.state_dict())
    for i, norm in enumerate([*norms, ours.feed_forward_residual.norm], start=1):
        norm.load_state_dict(getattr(theirs, f"norm{i}").state_dict())


def shake(module):
    for parameter in module.parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter, mean=0.5, std=0.3)


def rows_of(padded, lengths):
    return torch.cat([row[:n] for row, n in zip(padded, lengths, strict=True)])


@pytest.mark.parametrize("pre_norm", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("layout_of", [PackedFrames, lambda n, time: PaddedFrames(torch.tensor(n), time)])
def test_weights_of_torchs_transformer_give_its_outputs(pre_norm, activation, layout_of):
    torch.manual_seed(0)
    options = {"dropout": 0.0, "activation": activation, "batch_first": True, "norm_first": pre_norm}
    theirs = nn.Transformer(FEATURES, 3, 2, 2, 20, **options).double()
    shake(theirs)
    spec = LayerSpec(FEATURES, 3, 20, dropout=0.0, activation=activation, pre_norm=pre_norm)
    encoder, decoder = TransformerStack(2, spec).double(), TransformerStack(2, spec, FEATURES).double()
    for ours, one in ((encoder, theirs.encoder), (decoder, theirs.decoder)):
        for layer, its in zip(ours.layers, one.layers, strict=True):
            copy_layer(layer, its)
        if pre_norm:
            ours.norm.load_state_dict(one.norm.state_dict())
        else:
            one.norm = None  # torch normalises what post-norm layers have normalised once more
    source = torch.randn(3, max(SOURCE), FEATURES, dtype=torch.float64)
    target = torch.randn(3, max(TARGET), FEATURES, dtype=torch.float64)
    layout, memory_layout = layout_of(TARGET, max(TARGET)), layout_of(SOURCE, max(SOURCE))
    memory = encoder(memory_layout.enter(source), memory_layout, pattern_of(memory_layout))
    patterns = pattern_of(layout, causal=True), pattern_of(layout, memory_layout)
    found = layout.leave(decoder(layout.enter(target), layout, patterns[0], memory, patterns[1]))
    padding = torch.arange(max(SOURCE))[None] >= torch.tensor(SOURCE)[:, None]
    causal = nn.Transformer.generate_square_subsequent_mask(max(TARGET), dtype=torch.float64)
    expected = theirs(source, target, tgt_mask=causal, src_key_padding_mask=padding, memory_key_padding_mask=padding)
    torch.testing.assert_close(rows_of(found, TARGET), rows_of(expected, TARGET))


@pytest.mark.parametrize("norm", ["layer", "rms", "batch"])
def test_layouts_agree_in_training(norm):
    spec = LayerSpec(8, 2, 12, dropout=0.0, norm=norm)
    results = []
    for layout in (PackedFrames(SOURCE, 7), PaddedFrames(torch.tensor(SOURCE), 7)):
        torch.manual_seed(0)
        stack = TransformerStack(2, spec).double()
        x = torch.randn(3, 7, 8, dtype=torch.float64)
        y = layout.leave(stack(layout.enter(x), layout, pattern_of(layout)))
        y.square().sum().backward()
        gradients = {name: parameter.grad for name, parameter in stack.named_parameters()}
        results.append({"y": y.detach(), **gradients, **dict(stack.named_buffers())})
    for name, packed in results[0].items():
        torch.testing.assert_close(packed, results[1][name], msg=name)


def test_dropouts_are_where_they_say():
    torch.manual_seed(0)
    layout = PackedFrames([50], 50)
    x = torch.randn(1, 50, 8)
    for name in ("dropout", "attention_dropout", "inner_dropout"):
        rates = {"dropout": 0.0, name: 0.5}
        stack = TransformerStack(1, LayerSpec(8, 2, 12, **rates))
        first, second = (stack(x, layout, pattern_of(layout)) for _ in range(2))
        assert not torch.equal(first, second), name
        stack.eval()
        first, second = (stack(x, layout, pattern_of(layout)) for _ in range(2))
        assert torch.equal(first, second), name


def test_biases_of_attention_are_an_option():
    names = [name for name, _ in TransformerStack(1, LayerSpec(8, 2, 12, attention_bias=False), 8).named_parameters()]
    assert not [name for name in names if "bias" in name and ("attention." in name or "cross." in name)]
    assert [name for name in names if name.endswith("widen.bias")]


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match="got 'tanh'"):
        FeedForward(8, 12, "tanh")
    with pytest.raises(ValueError, match="got 0"):
        TransformerStack(0, LayerSpec())
