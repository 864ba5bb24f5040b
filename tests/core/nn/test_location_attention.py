"""Values of location-sensitive and forward attention against loops over scalars."""

import math

import pytest
import torch

from s2s_core.nn.location_attention import LocationAttention


def by_hand(attention, query, memory, last, cumulative, length):
    """Weights of one row, scalar by scalar."""
    p = {name: value.detach().tolist() for name, value in attention.named_parameters()}
    taps = len(p["location_conv"][0][0])
    scores = []
    for n in range(length):
        features = []
        for kernel in p["location_conv"]:
            total = 0.0
            for channel, signal in zip(kernel, (last, cumulative), strict=True):
                for k, tap in enumerate(channel):
                    place = n + k - taps // 2
                    total += tap * (signal[place] if 0 <= place < length else 0.0)
            features.append(total)
        score = 0.0
        for s, v in enumerate(p["score_weight"]):
            inner = sum(w * x for w, x in zip(p["query_weight"][s], query, strict=True)) + p["bias"][s]
            inner += sum(w * x for w, x in zip(p["memory_weight"][s], memory[n], strict=True))
            inner += sum(w * x for w, x in zip(p["location_weight"][s], features, strict=True))
            score += v * math.tanh(inner)
        scores.append(math.exp(score))
    soft = [score / sum(scores) for score in scores]
    if not attention.only_forward:
        return soft
    moved = [(last[n] + (last[n - 1] if n else 0.0)) * soft[n] for n in range(length)]
    return [weight / sum(moved) for weight in moved]


@pytest.mark.parametrize("forward", [False, True])
def test_three_steps_of_rows_of_two_lengths(forward):
    torch.manual_seed(0)
    attention = LocationAttention(4, 3, 5, filters=2, kernel=3, forward=forward).double()
    with torch.no_grad():
        attention.bias.normal_()
    memory, lengths = torch.randn(2, 6, 3).double(), [6, 4]
    mask = torch.arange(6) < torch.tensor(lengths)[:, None]
    keys, state = attention.keys(memory), attention.start(memory)
    expected = [([1.0 if forward and n == 0 else 0.0 for n in range(6)], [0.0] * 6) for _ in lengths]
    for _ in range(3):
        queries = torch.randn(2, 4).double()
        context, state = attention.step(queries, keys, memory, mask, state)
        for row, length in enumerate(lengths):
            last, cumulative = expected[row]
            found = by_hand(attention, queries[row].tolist(), memory[row].tolist(), last, cumulative, length)
            found += [0.0] * (6 - length)
            expected[row] = (found, [a + b for a, b in zip(cumulative, found, strict=True)])
            assert state.weights[row].tolist() == pytest.approx(found, abs=1e-12)
            assert context[row].tolist() == pytest.approx((torch.tensor(found).double() @ memory[row]).tolist())


def test_forward_attention_never_skips_a_frame():
    torch.manual_seed(1)
    attention = LocationAttention(4, 3, 5, kernel=3, forward=True)
    memory, mask = torch.randn(1, 9, 3), torch.ones(1, 9, dtype=torch.bool)
    keys, state = attention.keys(memory), attention.start(memory)
    for step in range(1, 5):
        _, state = attention.step(torch.randn(1, 4), keys, memory, mask, state)
        assert state.weights[0, : step + 1].gt(0).all()
        assert not state.weights[0, step + 1 :].any()


def test_an_even_kernel_is_refused():
    with pytest.raises(ValueError, match="got 32"):
        LocationAttention(4, 3, 5, kernel=32)
