"""The loop with its hand-written gradient against autograd over plain steps."""

import pytest
import torch

from s2s_core.nn.cells import lstm_step
from s2s_core.nn.location_attention import LocationAttention
from s2s_core.nn.mask import length_mask
from s2s_tts.decoders.attention_recurrence import LoopOptions, attention_recurrence

T, B, N, HIDDEN, MEMORY, SIZE = 5, 3, 7, 6, 4, 5


def setting(forward, dtype=torch.float64, hidden=HIDDEN):
    torch.manual_seed(0)
    attention = LocationAttention(hidden, MEMORY, SIZE, filters=3, kernel=5, forward=forward).to(dtype)
    tensors = [torch.randn(T, B, 4 * hidden), torch.randn(B, N, SIZE), torch.randn(B, N, MEMORY)]
    tensors.append(0.5 * torch.randn(4 * hidden, MEMORY + hidden))
    tensors = [tensor.to(dtype).requires_grad_() for tensor in tensors]
    keep = 2.0 * (torch.rand(T, B, hidden) > 0.5).to(dtype)
    options = LoopOptions(length_mask(torch.tensor([7, 4, 6]), N), keep, forward)
    return attention, tensors, options


def plain(gates, keys, values, recurrent, attention, options):
    """The same loop, one differentiable step after another."""
    hidden = cell = gates.new_zeros(B, gates.shape[2] // 4)
    context, state = values.new_zeros(B, MEMORY), attention.start(values)
    outputs = []
    for t in range(T):
        share = torch.cat((context, hidden), 1) @ recurrent.t()
        hidden, cell = lstm_step(gates[t], share, (hidden, cell))
        query = hidden * options.keep[t]
        context, state = attention.step(query, keys, values, options.mask, state)
        outputs.append((query, context, state.weights))
    return [torch.stack(column) for column in zip(*outputs, strict=True)]


def gradients(outputs, tensors, attention):
    torch.manual_seed(1)
    total = sum((output * torch.randn(output.shape).to(output)).sum() for output in outputs)
    wanted = [*tensors, *(p for name, p in attention.named_parameters() if name not in ("memory_weight", "bias"))]
    return torch.autograd.grad(total, wanted)


@pytest.mark.parametrize("forward", [False, True])
def test_values_and_gradients_in_float64(forward):
    attention, tensors, options = setting(forward)
    expected = plain(*tensors, attention, options)
    found = attention_recurrence(*tensors, attention, options)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-12, rtol=1e-10)
    for a, b in zip(gradients(found, tensors, attention), gradients(expected, tensors, attention), strict=True):
        assert b.any()
        torch.testing.assert_close(a, b, atol=1e-10, rtol=1e-8)
