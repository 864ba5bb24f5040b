"""The shared cache against caches that each hypothesis keeps for itself."""

import pytest
import torch

from s2s_core.nn.attention import SelfAttention
from s2s_core.nn.key_value_cache import GROWTH, Cache


class Plain:
    """Every row keeps its own inputs; attention is computed anew."""

    def __init__(self, attention, rows):
        self.attention, self.pasts = attention, [torch.zeros(0, 8, dtype=torch.float64)] * rows

    def step(self, x):
        self.pasts = [torch.cat([past, row[None]]) for past, row in zip(self.pasts, x, strict=True)]
        return torch.stack([self._last(past) for past in self.pasts])

    def _last(self, past):
        query, keys, values = self.attention.projection(past).view(len(past), 3, self.attention.heads, -1).unbind(1)
        scores = torch.einsum("hd,thd->ht", query[-1], keys) / query.shape[-1] ** 0.5
        return self.attention.output(torch.einsum("ht,thd->hd", scores.softmax(1), values).flatten())

    def select(self, rows):
        self.pasts = [self.pasts[row] for row in rows.tolist()]


@pytest.mark.parametrize(("width", "before"), [(1, 0), (3, 0), (3, 4), (2, GROWTH + 1)])
@torch.no_grad()
def test_hypotheses_see_their_own_past_through_replacement_and_leaving(width, before):
    generator = torch.Generator().manual_seed(width)
    attention = SelfAttention(8, 2).double()
    sentences = 5
    plain, cache = Plain(attention, sentences), Cache.empty(sentences)

    def compare():
        nonlocal cache
        x = torch.randn(len(plain.pasts), 8, generator=generator, dtype=torch.float64)
        found, cache = attention.step(x, cache)
        torch.testing.assert_close(found, plain.step(x), rtol=0, atol=1e-12)

    for _ in range(before):
        compare()
    plain.select(torch.arange(sentences).repeat_interleave(width))
    cache = cache.expand(width)
    for step in range(6 * GROWTH):
        compare()
        kept = torch.arange(sentences)
        if step in (5, GROWTH + 3):  # a sentence leaves
            kept = kept[kept != 1]
        parents = torch.randint(0, width, (len(kept), width), generator=generator)
        rows = (kept[:, None] * width + parents).flatten()
        plain.select(rows)
        cache = cache.select(rows, None if len(kept) == sentences else kept)
        sentences = len(kept)
    if width > 1:  # what no hypothesis sees has been left behind
        assert cache.length < before + width * 4 * GROWTH


@torch.no_grad()
def test_a_cache_can_be_continued_twice():
    attention = SelfAttention(8, 2).double()
    x = torch.randn(4, 6, 8, dtype=torch.float64)
    _, cache = attention.step(x[0], Cache.empty(6))
    cache = cache.expand(1)
    first, after = attention.step(x[1], cache)
    _, other = attention.step(x[2], cache)
    again, _ = attention.step(x[1], cache)
    torch.testing.assert_close(again, first, rtol=0, atol=0)
    left, _ = attention.step(x[3], after)
    right, _ = attention.step(x[3], other)
    assert not torch.allclose(left, right)
    expected = Plain(attention, 6)
    for part in (x[0], x[1]):
        expected.step(part)
    torch.testing.assert_close(left, expected.step(x[3]), rtol=0, atol=1e-12)
