"""Attention layers against torch's own with the same weights, and their initial weights."""

import pytest
import torch
from torch import nn

from s2s_core.nn.attention import CrossAttention, SelfAttention
from s2s_core.nn.attention_pattern import pattern_of
from s2s_core.nn.frames import PackedFrames

LENGTHS, SEEN = [4, 6], [3, 5]


def packed(lengths, features):
    rows = [torch.randn(n, features) for n in lengths]
    return rows, PackedFrames(lengths, max(lengths)), torch.cat(rows)[None]


def test_self_attention_is_torchs():
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(12, 3, batch_first=True)
    nn.init.normal_(theirs.in_proj_bias)
    ours = SelfAttention(12, 3)
    ours.projection.load_state_dict({"weight": theirs.in_proj_weight, "bias": theirs.in_proj_bias})
    ours.output.load_state_dict(theirs.out_proj.state_dict())
    rows, layout, x = packed(LENGTHS, 12)
    expected = torch.cat([theirs(row, row, row)[0] for row in rows])
    torch.testing.assert_close(ours(x, pattern_of(layout))[0], expected)


def test_cross_attention_is_torchs():
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(12, 3, batch_first=True)
    nn.init.normal_(theirs.in_proj_bias)
    ours = CrossAttention(12, 12, 3)
    ours.query.load_state_dict({"weight": theirs.in_proj_weight[:12], "bias": theirs.in_proj_bias[:12]})
    ours.memory.load_state_dict({"weight": theirs.in_proj_weight[12:], "bias": theirs.in_proj_bias[12:]})
    ours.output.load_state_dict(theirs.out_proj.state_dict())
    rows, layout, x = packed(LENGTHS, 12)
    memories, seen, memory = packed(SEEN, 12)
    expected = torch.cat([theirs(row, m, m)[0] for row, m in zip(rows, memories, strict=True)])
    torch.testing.assert_close(ours(x, memory, pattern_of(layout, seen))[0], expected)


def test_queries_keys_and_values_start_as_if_in_matrices_of_their_own():
    torch.manual_seed(0)
    attention = SelfAttention(64, 4)
    bound = (6 / 128) ** 0.5
    assert attention.projection.weight.detach().abs().max() == pytest.approx(bound, rel=0.01)
    assert not attention.projection.bias.any()


def test_dropout_is_off_in_evaluation():
    attention = SelfAttention(8, 2, dropout=0.9).eval()
    _, layout, x = packed(LENGTHS, 8)
    assert torch.equal(attention(x, pattern_of(layout)), attention(x, pattern_of(layout)))
    attention.train()
    assert not torch.equal(attention(x, pattern_of(layout)), attention(x, pattern_of(layout)))


@pytest.mark.parametrize("heads", [0, 3])
def test_heads_must_share_the_features(heads):
    with pytest.raises(ValueError, match=f"got {heads}"):
        SelfAttention(8, heads)
    with pytest.raises(ValueError, match=f"got {heads}"):
        CrossAttention(8, 4, heads)
