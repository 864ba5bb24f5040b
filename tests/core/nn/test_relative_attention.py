"""Both directions, against loops; the past alone is tested with Transformer-XL, which has a memory."""

import pytest
import torch

from s2s_core.nn.positions import sinusoids
from s2s_core.nn.relative_attention import RelativeAttention

HEADS, SIZE, TIME = 2, 8, 5


def test_positions_after_are_as_far_as_positions_before():
    torch.manual_seed(0)
    attention = RelativeAttention(SIZE, HEADS, 0.0, bias=True).double().eval()
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x = torch.randn(1, TIME, SIZE, dtype=torch.float64)
    seen = torch.tensor([True, True, True, False, True])[None, None, None]
    distances = sinusoids(torch.arange(TIME - 1, -TIME, -1), SIZE).double()
    out = attention(x, None, distances, seen)[0]
    keys, values = (x[0] @ attention.key_value.weight.T + attention.key_value.bias).chunk(2, dim=1)
    queries = x[0] @ attention.query.weight.T + attention.query.bias
    half = SIZE // HEADS
    for i in range(TIME):
        heads = []
        for h in range(HEADS):
            part = slice(h * half, (h + 1) * half)
            scores = []
            for j in range(TIME):
                away = attention.distance.weight @ sinusoids(torch.tensor(i - j), SIZE).double()
                content = (queries[i, part] + attention.content_bias[h, 0]) @ keys[j, part]
                distance = (queries[i, part] + attention.distance_bias[h, 0]) @ away[part]
                scores.append((content + distance) / half**0.5 if bool(seen[..., j]) else torch.tensor(-torch.inf))
            heads.append(torch.stack(scores).softmax(0) @ values[:, part])
        expected = attention.output.weight @ torch.cat(heads) + attention.output.bias
        torch.testing.assert_close(out[i], expected)


def test_heads_must_divide_the_features():
    with pytest.raises(ValueError, match="divisor of 8"):
        RelativeAttention(8, 3, 0.0)
