"""Recurrent layers against packed torch.nn.GRU and LSTM, forward and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from s2s_core.nn import native
from s2s_core.nn.recurrence import recurrence
from s2s_core.nn.rnn import STEP, Recurrent

LENGTHS = torch.tensor([3, 7, 5, 1, 7])


@pytest.fixture(params=["compiled", "torch operations"])
def cells(request, monkeypatch):
    """Both implementations of the steps."""
    if request.param == "torch operations":
        monkeypatch.setattr("s2s_core.nn.recurrence.native_cells", lambda cell: None)
    elif native.native_cells("gru") is None:
        pytest.skip("no C++ compiler here")


def peer_of(ours: Recurrent) -> nn.Module:
    kind = nn.GRU if ours.rnn_type == "gru" else nn.LSTM
    peer = kind(
        ours.input_size,
        ours.hidden_size,
        ours.num_layers,
        batch_first=True,
        bidirectional=ours.bidirectional,
        dtype=ours.weight_hh_l0.dtype,
    )
    peer.load_state_dict(ours.state_dict())
    return peer


def run_peer(peer, x, lengths, state):
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    out, end = peer(packed, state[0] if isinstance(peer, nn.GRU) else state)
    out, _ = pad_packed_sequence(out, batch_first=True, total_length=x.size(1))
    return out, end if isinstance(end, tuple) else (end,)


def random_state(ours, batch, dtype):
    shape = (ours.num_layers * (2 if ours.bidirectional else 1), batch, ours.hidden_size)
    parts = 1 if ours.rnn_type == "gru" else 2
    return tuple(torch.randn(shape, dtype=dtype, requires_grad=True) for _ in range(parts))


def value_and_gradients(run, module, x, state):
    x = x.detach().clone().requires_grad_()
    out, end = run(x)
    weighted = [t * torch.linspace(-1, 1, t.numel()).to(t).view_as(t) for t in (out, *end)]
    grads = torch.autograd.grad(sum(t.sum() for t in weighted), [x, *state, *module.parameters()])
    return [out, *end, *grads]


def assert_all_close(got, wanted, tolerance):
    assert len(got) == len(wanted)
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("rnn_type", ["gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("num_layers", "hidden"), [(1, 19), (3, 64)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_equals_packed_torch(cells, rnn_type, bidirectional, num_layers, hidden, dtype, tolerance):
    torch.manual_seed(0)
    ours = Recurrent(rnn_type, 6, hidden, num_layers, bidirectional).to(dtype)
    peer = peer_of(ours)
    x, state = torch.randn(5, 8, 6, dtype=dtype), random_state(ours, 5, dtype)
    got = value_and_gradients(lambda x: ours(x, LENGTHS, state), ours, x, state)
    wanted = value_and_gradients(lambda x: run_peer(peer, x, LENGTHS, state), peer, x, state)
    assert_all_close(got, wanted, tolerance)


@pytest.mark.parametrize("rnn_type", ["gru", "lstm"])
def test_gradients_by_finite_differences(rnn_type):
    torch.manual_seed(0)
    cell = 3 if rnn_type == "gru" else 4
    batch_sizes, hidden = [3, 3, 2, 1], 4
    directions = [[torch.randn(9, cell * hidden), torch.randn(cell * hidden, hidden), torch.randn(cell * hidden)]] * 2
    flat = [t.double().requires_grad_() for direction in directions for t in direction]
    state = [torch.randn(2, 3, hidden).double().requires_grad_() for _ in range(cell - 2)]

    def run(*tensors):
        gates, weights = tensors[0:6:3], list(zip(tensors[1:6:3], tensors[2:6:3], strict=True))
        outputs, ends = recurrence(rnn_type, gates, weights, tensors[6:], batch_sizes)
        return (outputs, *ends)

    assert torch.autograd.gradcheck(run, (*flat, *state))


@pytest.mark.parametrize("rnn_type", ["gru", "lstm"])
@pytest.mark.parametrize("whole_model", [False, True], ids=["autocast", "bfloat16 weights"])
def test_bfloat16_is_near_float32(cells, rnn_type, whole_model):
    torch.manual_seed(0)
    ours = Recurrent(rnn_type, 20, 48, 2, bidirectional=True)
    x = torch.randn(5, 8, 20)
    wanted = value_and_gradients(lambda x: ours(x, LENGTHS), ours, x, ())
    if whole_model:
        ours, x = ours.bfloat16(), x.bfloat16()
    with torch.autocast("cpu", torch.bfloat16, enabled=not whole_model):
        got = value_and_gradients(lambda x: ours(x, LENGTHS), ours, x, ())
    assert got[0].dtype == torch.bfloat16
    for a, b in zip(got, wanted, strict=True):
        assert (a.float() - b).norm() < 0.02 * b.norm()


def test_compiled_bfloat16_products_are_those_of_rounded_weights(monkeypatch):
    """Exact up to float32 rounding: only the weights are rounded, not the state."""
    if native.native_cells("gru") is None:
        pytest.skip("no C++ compiler here")
    monkeypatch.setattr(native, "has_tiles", lambda: False)
    torch.manual_seed(0)
    gates, state = torch.randn(9, 3 * 40).bfloat16(), (torch.randn(1, 3, 40),)
    weight, bias = torch.randn(3 * 40, 40), torch.randn(3 * 40)
    got, (end,) = recurrence("gru", [gates], [(weight, bias)], state, [3, 3, 2, 1])
    rounded = weight.bfloat16().float()
    wanted, (wanted_end,) = recurrence("gru", [gates.float()], [(rounded, bias)], state, [3, 3, 2, 1])
    assert torch.equal(got, wanted.bfloat16())
    torch.testing.assert_close(end, wanted_end)


@pytest.mark.parametrize("rnn_type", ["gru", "lstm"])
@pytest.mark.parametrize(("rows", "hidden"), [(3, 40), (16, 17), (37, 70)])
def test_tiles_multiply_rounded_states_and_gradients(rnn_type, rows, hidden):
    """Against float64 steps in which every operand of a product is rounded to bfloat16."""
    if not native.has_tiles():
        pytest.skip("no tiles (AMX) or no C++ compiler here")
    torch.manual_seed(0)
    cell = native.GATES[rnn_type]
    batch_sizes = [rows, rows, rows - 1, 1]
    leaves = [torch.randn(sum(batch_sizes), cell * hidden), torch.randn(cell * hidden, hidden) / hidden**0.5]
    leaves += [torch.randn(cell * hidden), *torch.randn(cell - 2, 1, rows, hidden)]
    results = []
    for stepwise in (False, True):
        gates, weight, bias, *state = ((t.double() if stepwise else t.clone()).requires_grad_() for t in leaves)
        if stepwise:
            outputs = _steps_with_rounding(rnn_type, gates.bfloat16(), weight, bias, state, batch_sizes)
        else:
            outputs, _ = recurrence(rnn_type, [gates.bfloat16()], [(weight, bias)], tuple(state), batch_sizes)
        outputs.double().square().sum().backward()
        results.append([outputs, *(t.grad for t in (gates, weight, bias, *state))])
    for a, b in zip(*results, strict=True):
        assert (a.double() - b.double()).norm() < 8e-3 * b.double().norm()


class _Rounded(torch.autograd.Function):
    """``x @ weight.T`` of bfloat16 operands in float64, forward and backward."""

    @staticmethod
    def forward(ctx, x, weight):
        x, weight = x.bfloat16().double(), weight.bfloat16().double()
        ctx.save_for_backward(x, weight)
        return x @ weight.T

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        grad = grad.bfloat16().double()
        return grad @ weight, grad.T @ x


def _steps_with_rounding(rnn_type, gates, weight, bias, state, batch_sizes):
    state, outputs = [part[0] for part in state], []
    for frames in gates.double().split(batch_sizes):
        rows = tuple(part[: len(frames)] for part in state)
        after = STEP[rnn_type](frames, _Rounded.apply(rows[0], weight) + bias, rows)
        outputs.append(after[0])
        state = [torch.cat((new, old[len(frames) :])) for new, old in zip(after, state, strict=True)]
    return torch.cat(outputs)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_compiled_result_does_not_depend_on_threads(threads, set_threads):
    if native.native_cells("gru") is None:
        pytest.skip("no C++ compiler here")
    torch.manual_seed(0)
    ours = Recurrent("lstm", 6, 100, bidirectional=True)
    x = torch.randn(5, 8, 6)
    set_threads(1)
    wanted = value_and_gradients(lambda x: ours(x, LENGTHS), ours, x, ())
    set_threads(threads)
    got = value_and_gradients(lambda x: ours(x, LENGTHS), ours, x, ())
    assert_all_close(got, wanted, 1e-6)


def test_an_infinite_input_is_not_hidden(cells):
    ours = Recurrent("gru", 2, 16)
    x = torch.randn(1, 4, 2)
    x[0, 1, 0] = float("nan")
    outputs, _ = ours(x, torch.tensor([4]))
    assert outputs[0, 0].isfinite().all()
    assert outputs[0, 1:].isnan().all()


def test_large_gates_saturate(cells):
    ours = Recurrent("lstm", 1, 16)
    with torch.no_grad():
        ours.weight_ih_l0.fill_(1.0)
    outputs, _ = ours(torch.tensor([[[1e4], [-1e4], [1e4]]]), torch.tensor([3]))
    peer, _ = peer_of(ours)(torch.tensor([[[1e4], [-1e4], [1e4]]]))
    torch.testing.assert_close(outputs, peer)


def test_an_empty_row_keeps_its_state():
    ours = Recurrent("lstm", 3, 4, bidirectional=True)
    x, state = torch.randn(2, 5, 3), random_state(ours, 2, torch.float32)
    outputs, ends = ours(x, torch.tensor([0, 3]), state)
    assert not outputs[0].any()
    for end, begin in zip(ends, state, strict=True):
        assert torch.equal(end[:, 0], begin[:, 0])
        assert not torch.equal(end[:, 1], begin[:, 1])


def test_dropout_lies_between_layers_and_only_in_training():
    torch.manual_seed(0)
    x, lengths = torch.randn(2, 5, 3), torch.tensor([5, 5])
    deep, shallow = Recurrent("gru", 3, 8, 2, dropout=0.5), Recurrent("gru", 3, 8, 1, dropout=0.5)
    assert not torch.equal(deep(x, lengths)[0], deep(x, lengths)[0])
    assert torch.equal(shallow(x, lengths)[0], shallow(x, lengths)[0])
    assert torch.equal(deep.eval()(x, lengths)[0], deep(x, lengths)[0])


def test_without_a_compiler_it_still_runs_and_says_so_once(monkeypatch, caplog, tmp_path):
    monkeypatch.setenv("CXX", str(tmp_path / "no-such-compiler"))
    native.load_library.cache_clear()
    try:
        ours = Recurrent("gru", 3, 8)
        for _ in range(2):
            assert ours(torch.randn(1, 4, 3), torch.tensor([4]))[0].shape == (1, 4, 8)
    finally:
        native.load_library.cache_clear()
    assert len(caplog.messages) == 1
    assert "no-such-compiler" in caplog.messages[0]


def test_a_broken_compiler_is_not_fatal(monkeypatch, tmp_path):
    broken = tmp_path / "c++"
    broken.write_text("#!/bin/sh\ntest $1 = --version && echo 1.0 || exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    monkeypatch.setenv("S2S_CACHE_DIR", str(tmp_path))
    native.load_library.cache_clear()
    try:
        assert native.native_cells("gru") is None
    finally:
        native.load_library.cache_clear()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("rnn_type", ["gru", "lstm"])
def test_cuda_equals_cpu(rnn_type, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    torch.manual_seed(0)
    ours = Recurrent(rnn_type, 6, 32, 2, bidirectional=True)
    x, state = torch.randn(5, 8, 6), random_state(ours, 5, torch.float32)
    wanted = value_and_gradients(lambda x: ours(x, LENGTHS, state), ours, x, state)
    ours = ours.cuda()
    state = tuple(part.detach().cuda().requires_grad_() for part in state)
    got = value_and_gradients(lambda x: ours(x, LENGTHS.cuda(), state), ours, x.cuda(), state)
    assert_all_close([t.cpu() for t in got], wanted, 1e-3)


def test_compiled_for_all_lengths_it_computes_what_it_did():
    torch.manual_seed(0)
    plain = Recurrent("lstm", 4, 3, bidirectional=True)
    compiled = torch.compile(plain, backend="aot_eager", dynamic=True)
    for batch, time in ((2, 5), (3, 9), (4, 6)):
        x, lengths = torch.randn(batch, time, 4), torch.randint(1, time + 1, (batch,))
        torch.testing.assert_close(compiled(x, lengths)[0], plain(x, lengths)[0])
