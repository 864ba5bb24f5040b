"""The loop with its hand-written gradient against autograd over plain steps."""

import pytest
import torch

from s2s_core.nn.cells import lstm_step
from s2s_core.nn.location_attention import LocationAttention
from s2s_core.nn.mask import length_mask
from s2s_tts.decoders.attention_recurrence import LoopOptions, attention_recurrence
from s2s_tts.decoders.native_steps import native_steps

T, B, N = 5, 3, 7
SMALL, LANES = (6, 4, 5), (48, 16, 32)
"""Sizes of hidden state, memory and attention; the compiled kernel takes multiples of 16."""


def setting(forward, sizes=SMALL, dtype=torch.float64):
    torch.manual_seed(0)
    hidden, memory, size = sizes
    attention = LocationAttention(hidden, memory, size, filters=3, kernel=5, forward=forward).to(dtype)
    tensors = [torch.randn(T, B, 4 * hidden), torch.randn(B, N, size), torch.randn(B, N, memory)]
    tensors.append(torch.randn(4 * hidden, memory + hidden) * (memory + hidden) ** -0.5)
    tensors = [tensor.to(dtype).requires_grad_() for tensor in tensors]
    keep = 2.0 * (torch.rand(T, B, hidden) > 0.5).to(dtype)
    options = LoopOptions(length_mask(torch.tensor([7, 4, 6]), N), keep, forward)
    return attention, tensors, options


def plain(gates, keys, values, recurrent, attention, options):
    """The same loop, one differentiable step after another."""
    hidden = cell = gates.new_zeros(B, gates.shape[2] // 4)
    context, state = values.new_zeros(B, values.shape[2]), attention.start(values)
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


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("forward", [False, True])
def test_the_compiled_forward_pass_is_the_torch_one(forward, threads, set_threads, monkeypatch):
    set_threads(threads)
    attention, tensors, options = setting(forward, LANES, torch.float32)
    if native_steps(tensors[0], *LANES) is None:
        pytest.skip("no C++ compiler: the kernel cannot be built")
    found = attention_recurrence(*tensors, attention, options)
    compiled = gradients(found, tensors, attention)
    monkeypatch.setattr("s2s_tts.decoders.attention_recurrence.native_steps", lambda *_: None)
    expected = attention_recurrence(*tensors, attention, options)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=2e-6, rtol=1e-5)
    for a, b in zip(compiled, gradients(expected, tensors, attention), strict=True):
        torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("sizes", [SMALL, LANES])
def test_bfloat16_gates_give_nearly_the_same(sizes):
    attention, tensors, options = setting(False, sizes, torch.float32)
    exact = attention_recurrence(*tensors, attention, options)
    rough = attention_recurrence(tensors[0].bfloat16(), *tensors[1:], attention, options)
    for a, b in zip(rough, exact, strict=True):
        assert float((a - b).detach().norm() / b.detach().norm()) < 0.02
