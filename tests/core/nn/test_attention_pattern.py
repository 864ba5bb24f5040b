"""Attention of packed and padded batches against attention of each sequence by itself, with gradients."""

import pytest
import torch

from s2s_core.nn import attention_rectangles
from s2s_core.nn.attention_pattern import pattern_of
from s2s_core.nn.frames import PackedFrames, PaddedFrames

LENGTHS, SEEN, HEADS, FEATURES = [3, 7, 1, 5, 7], [4, 2, 6, 6, 1], 2, 8


def layouts(kind, lengths):
    longest = max(lengths) + 2
    return PackedFrames(lengths, longest) if kind == "packed" else PaddedFrames(torch.tensor(lengths), longest)


def attended(query, key, value, causal):
    """The formula, written out, of one sequence and head."""
    scores = query @ key.T / query.shape[1] ** 0.5
    if causal:
        scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -torch.inf)
    return scores.softmax(1) @ value


def expected(queries, keys, values, causal):
    size = FEATURES // HEADS
    heads = [slice(head * size, (head + 1) * size) for head in range(HEADS)]
    return torch.cat([attended(queries[:, h], keys[:, h], values[:, h], causal) for h in heads], dim=1)


@pytest.fixture(params=["one rectangle", "many rectangles"], autouse=True)
def _grouping(request, monkeypatch):
    if request.param == "many rectangles":
        monkeypatch.setattr(attention_rectangles, "WASTE", 5)


def check(found, wanted, leaves):
    torch.testing.assert_close(found, wanted)
    weight = torch.randn_like(wanted)
    ours = torch.autograd.grad((found * weight).sum(), leaves, retain_graph=True)
    theirs = torch.autograd.grad((wanted * weight).sum(), leaves)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("kind", ["packed", "padded"])
@pytest.mark.parametrize("causal", [False, True])
def test_within(kind, causal):
    torch.manual_seed(0)
    sequences = [torch.randn(n, 3 * FEATURES, dtype=torch.float64, requires_grad=True) for n in LENGTHS]
    layout = layouts(kind, LENGTHS)
    padded = torch.nn.utils.rnn.pad_sequence(sequences, batch_first=True)
    padded = torch.nn.functional.pad(padded, (0, 0, 0, layout.time - padded.shape[1]), value=3.0)
    found = layout.leave(pattern_of(layout, causal=causal).attend_within(layout.enter(padded), HEADS, 0.0))
    found = torch.cat([row[:n] for row, n in zip(found, LENGTHS, strict=True)])
    check(found, torch.cat([expected(*s.chunk(3, dim=1), causal) for s in sequences]), sequences)


@pytest.mark.parametrize("kind", ["packed", "padded"])
def test_across(kind):
    torch.manual_seed(0)
    queries = [torch.randn(n, FEATURES, dtype=torch.float64, requires_grad=True) for n in LENGTHS]
    seen = [torch.randn(n, 2 * FEATURES, dtype=torch.float64, requires_grad=True) for n in SEEN]
    layout, memory = layouts(kind, LENGTHS), layouts(kind, SEEN)
    entered = []
    for place, rows in ((layout, queries), (memory, seen)):
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        entered.append(place.enter(torch.nn.functional.pad(padded, (0, 0, 0, place.time - padded.shape[1]))))
    found = layout.leave(pattern_of(layout, memory).attend_across(*entered, HEADS, 0.0))
    found = torch.cat([row[:n] for row, n in zip(found, LENGTHS, strict=True)])
    wanted = torch.cat([expected(q, *kv.chunk(2, dim=1), False) for q, kv in zip(queries, seen, strict=True)])
    check(found, wanted, [*queries, *seen])


@pytest.mark.parametrize("kind", ["packed", "padded"])
@pytest.mark.parametrize("causal", [False, True])
def test_empty_sequences_make_nothing_undefined(kind, causal):
    layout = layouts(kind, [2, 0, 3])
    x = torch.randn(3, layout.time, 3 * FEATURES, requires_grad=True)
    y = layout.leave(pattern_of(layout, causal=causal).attend_within(layout.enter(x), HEADS, 0.0))
    y.square().sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()
    assert not x.grad[1].any()


@pytest.mark.parametrize("kind", ["packed", "padded"])
def test_dropout_is_of_the_weights_and_keeps_their_mean(kind):
    torch.manual_seed(0)
    layout = layouts(kind, [40, 30])
    x = torch.ones(2, layout.time, 3 * FEATURES)
    pattern = pattern_of(layout)
    y = layout.leave(pattern.attend_within(layout.enter(x), HEADS, 0.5))
    real = torch.cat([y[0, :40], y[1, :30]])
    assert real.mean() == pytest.approx(1.0, abs=0.1)
    # each output is a mean of that many values that are 0 or 2
    assert real[:40, 0].std() == pytest.approx(40**-0.5, rel=0.4)


def test_mixed_layouts_are_refused():
    with pytest.raises(TypeError, match="PackedFrames to PaddedFrames"):
        pattern_of(layouts("packed", [2]), layouts("padded", [2]))
