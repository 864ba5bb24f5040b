"""The compiled kernel against attention in float64, with the dropout that it drew, and its place among other ways."""

import math

import pytest
import torch

from s2s_core.nn import native, packed_attention
from s2s_core.nn.attention_pattern import PackedPattern
from s2s_core.nn.attention_rectangles import Rectangles
from s2s_core.nn.packed_attention import Starts, attend_packed

LENGTHS, SEEN, HEADS, SIZE = [3, 37, 1, 0, 20, 16], [18, 5, 0, 4, 64, 33], 2, 32
FEATURES = HEADS * SIZE


@pytest.fixture(autouse=True)
def _needs_the_kernel():
    if native.load_library(packed_attention.SOURCE) is None:
        pytest.skip("no compiled kernel: no C++ compiler, or S2S_NATIVE=0")


def draw(*shape, dtype=torch.float32):
    return torch.randn(*shape).to(dtype).requires_grad_()


def compare(found, leaves, formula, tolerance):
    """The formula is of float64 copies of the leaves."""
    wide = [leaf.detach().double().requires_grad_() for leaf in leaves]
    expected = formula(*wide)
    weight = torch.randn(expected.shape, dtype=torch.float64)
    ours = torch.autograd.grad((found.double() * weight).sum(), leaves)
    theirs = torch.autograd.grad((expected * weight).sum(), wide)
    for a, b in zip((found, *ours), (expected, *theirs), strict=True):
        torch.testing.assert_close(a.double(), b, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.bfloat16, 3e-2)])
@pytest.mark.parametrize("causal", [False, True])
def test_within(dtype, tolerance, causal):
    torch.manual_seed(0)
    projected = draw(sum(LENGTHS), 3 * FEATURES, dtype=dtype)
    found = attend_packed(projected, None, Starts(LENGTHS, LENGTHS, causal), HEADS, 0.0)
    assert found.dtype == dtype
    rectangles = Rectangles(LENGTHS, LENGTHS, causal)
    compare(found, [projected], lambda x: rectangles.attend_within(x, HEADS, 0.0), tolerance)


@pytest.mark.parametrize("threads", [1, 3])
def test_across(threads, monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    queries, memory = draw(sum(LENGTHS), FEATURES), draw(sum(SEEN), 2 * FEATURES)
    found = attend_packed(queries, memory, Starts(LENGTHS, SEEN, False), HEADS, 0.0)
    rectangles = Rectangles(LENGTHS, SEEN, False)
    compare(found, [queries, memory], lambda q, m: rectangles.attend_across(q, m, HEADS, 0.0), 2e-5)


def attend(lengths, query, keys, values, factors, causal):
    """The formula, with the factors of each sentence's weights ``(heads, queries, keys)``."""
    outputs = []
    for parts in zip(*(x.split(lengths) for x in (query, keys, values)), factors, strict=True):
        q, k, v = (part.view(len(part), HEADS, SIZE).transpose(0, 1) for part in parts[:3])
        scores = q @ k.mT / math.sqrt(SIZE)
        if causal:
            scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -math.inf)
        outputs.append(((scores.softmax(2) * parts[3]) @ v).transpose(0, 1).flatten(1))
    return torch.cat(outputs)


@pytest.mark.parametrize("causal", [False, True])
def test_dropout_and_its_gradients(causal):
    lengths = [7, 32, 20]
    starts = Starts(lengths, lengths, causal)
    identities = torch.cat([torch.eye(n, SIZE) for n in lengths]).repeat(1, HEADS)
    probe = torch.cat([torch.zeros(sum(lengths), 2 * FEATURES), identities], dim=1)
    torch.manual_seed(5)
    weights = attend_packed(probe, None, starts, HEADS, 0.4)
    plain = attend_packed(probe, None, starts, HEADS, 0.0)
    # values that are unit vectors show each weight; the queries make all weights of a row equal
    shown = torch.where(plain > 0, weights / plain.clamp(min=1e-9), 0.0)
    factors = [
        part.view(n, HEADS, SIZE)[..., :n].transpose(0, 1).double()
        for part, n in zip(shown.split(lengths), lengths, strict=True)
    ]
    torch.manual_seed(0)
    projected = draw(sum(lengths), 3 * FEATURES)
    torch.manual_seed(5)
    found = attend_packed(projected, None, starts, HEADS, 0.4)
    compare(found, [projected], lambda x: attend(lengths, *x.chunk(3, dim=1), factors, causal), 2e-5)


def test_dropout_is_even_and_independent():
    lengths = [32] * 60
    starts = Starts(lengths, lengths, False)
    identities = torch.eye(32).repeat(60, HEADS)
    probe = torch.cat([torch.zeros(len(identities), 2 * FEATURES), identities], dim=1)
    torch.manual_seed(0)
    first, second = (attend_packed(probe, None, starts, HEADS, 0.3).view(60, 32, HEADS, 32) for _ in range(2))
    kept = first > 0
    torch.testing.assert_close(first[kept], torch.full_like(first[kept], 1 / 32 / 0.7))
    assert kept.float().mean() == pytest.approx(0.7, abs=0.01)
    both = 0.7**2 + 0.3**2  # how often two independent draws agree
    others = {
        "call": second > 0, "sentence": kept.roll(1, 0), "row": kept.roll(1, 1), "head": kept.roll(1, 2),
        "column": kept.roll(1, 3), "place": kept.transpose(1, 3),
    }  # fmt: skip
    for name, other in others.items():
        assert (kept == other).float().mean() == pytest.approx(both, abs=0.02), name
    for axes in ((1, 2, 3), (0, 2, 3), (0, 1, 2)):
        assert kept.float().mean(axes).std() < 0.06


def test_extreme_scores_and_undefined_ones():
    projected = draw(20, 3 * FEATURES)
    large = (projected * 100).detach()
    starts = Starts([20], [20], False)
    expected = Rectangles([20], [20], False).attend_within(large.double(), HEADS, 0.0)
    torch.testing.assert_close(attend_packed(large, None, starts, HEADS, 0.0).double(), expected, atol=1e-3, rtol=1e-3)
    large[3, 1] = math.nan
    assert attend_packed(large, None, starts, HEADS, 0.0)[3].isnan().any()


def test_a_sentence_is_the_same_bit_by_bit_in_any_batch():
    torch.manual_seed(0)
    projected = torch.randn(sum(LENGTHS), 3 * FEATURES)
    together = attend_packed(projected, None, Starts(LENGTHS, LENGTHS, False), HEADS, 0.0)
    alone = attend_packed(projected[3:40], None, Starts([37], [37], False), HEADS, 0.0)
    assert torch.equal(together[3:40], alone)


def test_what_the_kernel_does_not_suit_takes_another_way(monkeypatch):
    monkeypatch.setattr(packed_attention, "MAX_SCORES", 100)
    x = torch.zeros(4, 8)
    suitable = Starts([4], [10], False)
    assert suitable.suits(x, 16)
    assert suitable.suits(x.bfloat16(), 32)
    assert not suitable.suits(x.double(), 16)
    assert not suitable.suits(x, 24)
    assert not Starts([4, 11], [4, 10], False).suits(x, 16)
    for lengths in ([3, 2], [11, 12]):
        projected = torch.randn(1, sum(lengths), 3 * FEATURES)
        found = PackedPattern(lengths, lengths, True).attend_within(projected, HEADS, 0.0)
        expected = Rectangles(lengths, lengths, True).attend_within(projected[0].double(), HEADS, 0.0)
        torch.testing.assert_close(found[0].double(), expected, atol=1e-5, rtol=1e-5)
