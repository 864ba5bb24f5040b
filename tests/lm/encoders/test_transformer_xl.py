"""Against section 3.3 of the paper, written out with loops."""

import math

import torch

from s2s_core.nn.relative_attention import RelativeAttention
from s2s_lm.encoders.transformer_xl import _sinusoids
from s2s_lm.memory import remember, visible

HEADS, SIZE, PAST, TIME = 2, 8, 3, 4


def test_attention_is_the_papers():
    torch.manual_seed(0)
    attention = RelativeAttention(SIZE, HEADS, 0.0).double().eval()
    torch.nn.init.normal_(attention.content_bias)
    torch.nn.init.normal_(attention.distance_bias)
    x, memory = torch.randn(2, TIME, SIZE, dtype=torch.float64), torch.randn(2, PAST, SIZE, dtype=torch.float64)
    valid = torch.tensor([3, 1])
    distances = _sinusoids(PAST + TIME, SIZE, x)
    out = attention(x, memory, distances, visible(valid, PAST, TIME))

    def encoding(distance):
        rates = [distance / 10000 ** (2 * i / SIZE) for i in range(SIZE // 2)]
        return torch.tensor([math.sin(a) for a in rates] + [math.cos(a) for a in rates], dtype=torch.float64)

    half = SIZE // HEADS
    w_k, w_v = attention.key_value.weight.chunk(2)
    for row in range(2):
        everything = torch.cat([memory[row], x[row]])
        for i in range(TIME):
            heads = []
            for h in range(HEADS):
                part = slice(h * half, (h + 1) * half)
                query = (attention.query.weight @ x[row, i])[part]
                seen = [j for j in range(PAST + TIME) if PAST - int(valid[row]) <= j <= PAST + i]
                scores = []
                for j in seen:
                    key = (w_k @ everything[j])[part]
                    away = (attention.distance.weight @ encoding(PAST + i - j))[part]
                    u, v = attention.content_bias[h, 0], attention.distance_bias[h, 0]
                    scores.append(((query + u) @ key + (query + v) @ away) / math.sqrt(half))
                shares = torch.softmax(torch.stack(scores), 0)
                heads.append(sum(s * (w_v @ everything[j])[part] for s, j in zip(shares, seen, strict=True)))
            torch.testing.assert_close(out[row, i], attention.output.weight @ torch.cat(heads))


def test_memory_holds_the_last_real_positions_at_the_right_end():
    memory = torch.tensor([[0.0, 0, 1], [0, 0, 0]])[:, :, None]
    new = torch.tensor([[2.0, 3, 99], [7, 99, 99]])[:, :, None]
    assert remember(memory, new, [2, 1], 3).squeeze(2).tolist() == [[1, 2, 3], [0, 0, 7]]
    assert remember(memory, new, None, 2).squeeze(2).tolist() == [[3, 99], [99, 99]]
    assert remember(memory[:, :0], new, [2, 1], 5).squeeze(2).tolist() == [[0, 0, 0, 2, 3], [0, 0, 0, 0, 7]]
