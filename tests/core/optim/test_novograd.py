"""NovoGrad against numbers worked out by hand and a plain loop in float64."""

import copy

import pytest
import torch
from torch import nn

from s2s_core.optim.novograd import NovoGrad


def run_loop(weights, grads, lr, beta1, beta2, eps, weight_decay, averaging, ema):
    """Algorithm 1 written out, one tensor and one step at a time."""
    weights = [w.clone() for w in weights]
    momenta = [torch.zeros_like(w) for w in weights]
    moments = [None] * len(weights)
    for step_grads in grads:
        for i, grad in enumerate(step_grads):
            square = float((grad * grad).sum())
            if ema and moments[i] is not None:
                moments[i] = beta2 * moments[i] + (1 - beta2) * square
            else:
                moments[i] = square
            direction = grad / (moments[i] + eps) ** 0.5 + weight_decay * weights[i]
            if averaging:
                direction = (1 - beta1) * direction
            momenta[i] = beta1 * momenta[i] + direction
            weights[i] = weights[i] - lr * momenta[i]
    return weights


def run_optimizer(weights, grads, **kwargs):
    params = [nn.Parameter(w.clone()) for w in weights]
    optimizer = NovoGrad(params, **kwargs)
    for step_grads in grads:
        for param, grad in zip(params, step_grads, strict=True):
            param.grad = grad.clone()
        optimizer.step()
    return params, optimizer


def some_problem(dtype=torch.float64, steps=5):
    generator = torch.Generator().manual_seed(0)
    shapes = [(4, 3), (7,), (2, 3, 5)]

    def draw(shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    return [draw(s) for s in shapes], [[draw(s) * 10 ** (t % 3) for s in shapes] for t in range(steps)]


@pytest.mark.parametrize("averaging", [False, True])
@pytest.mark.parametrize("ema", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_equals_the_loop(averaging, ema, weight_decay):
    weights, grads = some_problem()
    expected = run_loop(weights, grads, 0.02, 0.95, 0.5, 1e-8, weight_decay, averaging, ema)
    params, _ = run_optimizer(
        weights,
        grads,
        lr=0.02,
        betas=(0.95, 0.5),
        weight_decay=weight_decay,
        grad_averaging=averaging,
        second_moment_ema=ema,
    )
    for param, value in zip(params, expected, strict=True):
        torch.testing.assert_close(param.detach(), value, rtol=1e-12, atol=1e-12)


def step_norms(norms, **kwargs):
    param = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    optimizer = NovoGrad([param], lr=1.0, eps=0.0, **kwargs)
    result = []
    for norm in norms:
        before = param.detach().clone()
        param.grad = torch.tensor([0.6, 0.8], dtype=torch.float64) * norm
        optimizer.step()
        result.append(float((param.detach() - before).norm()))
    return result


def test_the_original_takes_unit_steps_whatever_beta2():
    for beta2 in (0.98, 0.5):
        norms = step_norms([5, 0.5, 50, 5], betas=(0.0, beta2), second_moment_ema=False)
        assert norms == pytest.approx([1, 1, 1, 1])


def test_moving_average_by_hand():
    # v: 25; (25 + 0.25) / 2 = 12.625; (12.625 + 2500) / 2 = 1256.3125
    expected = [1.0, 0.5 / 12.625**0.5, 50 / 1256.3125**0.5]
    assert step_norms([5, 0.5, 50], betas=(0.0, 0.5)) == pytest.approx(expected)


def test_momentum_adds_up():
    assert step_norms([1, 1, 1], betas=(0.5, 0.0)) == pytest.approx([1, 1.5, 1.75])


def test_zero_gradients_leave_the_weight_and_do_not_count_as_the_first():
    param = nn.Parameter(torch.ones(2))
    optimizer = NovoGrad([param], lr=0.5, betas=(0.0, 0.98))
    param.grad = torch.zeros(2)
    optimizer.step()
    assert param.tolist() == [1, 1]
    param.grad = torch.tensor([30.0, 40.0])
    optimizer.step()
    assert param.tolist() == pytest.approx([1 - 0.5 * 0.6, 1 - 0.5 * 0.8])


def test_groups_have_their_own_settings_and_gradientless_parameters_rest():
    a, b, unused = (nn.Parameter(torch.ones(1)) for _ in range(3))
    optimizer = NovoGrad([{"params": [a, unused]}, {"params": [b], "lr": 0.5}], lr=0.1)
    a.grad, b.grad = torch.ones(1), torch.ones(1)
    optimizer.step()
    assert [a.item(), b.item(), unused.item()] == pytest.approx([0.9, 0.5, 1.0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_resuming_is_bit_identical(dtype):
    weights, grads = some_problem(dtype, steps=6)
    straight, _ = run_optimizer(weights, grads, lr=0.02, weight_decay=0.01)
    half, optimizer = run_optimizer(weights, grads[:3], lr=0.02, weight_decay=0.01)
    saved = copy.deepcopy(optimizer.state_dict())
    resumed = [nn.Parameter(p.detach().clone()) for p in half]
    optimizer = NovoGrad(resumed, lr=1.0)
    optimizer.load_state_dict(saved)
    for step_grads in grads[3:]:
        for param, grad in zip(resumed, step_grads, strict=True):
            param.grad = grad.clone()
        optimizer.step()
    for a, b in zip(straight, resumed, strict=True):
        assert torch.equal(a, b)


def test_half_precision_gradients_below_its_range_of_inverses():
    param = nn.Parameter(torch.zeros(4, dtype=torch.float16))
    param.grad = torch.full((4,), 1e-6, dtype=torch.float16)  # 1 / norm exceeds float16's largest number
    NovoGrad([param], lr=1.0, eps=0.0).step()
    assert param.tolist() == pytest.approx([-0.5] * 4, rel=1e-3)


def test_gradients_are_not_changed():
    weights, grads = some_problem()
    params, _ = run_optimizer(weights, grads, weight_decay=0.1)
    for param, grad in zip(params, grads[-1], strict=True):
        assert torch.equal(param.grad, grad)


def test_sparse_gradients_are_refused():
    embedding = nn.Embedding(5, 2, sparse=True)
    embedding(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match="sparse"):
        NovoGrad(embedding.parameters()).step()


@pytest.mark.parametrize("kwargs", [{"lr": -1.0}, {"betas": (1.0, 0.5)}, {"weight_decay": -0.1}])
def test_wrong_values_are_named(kwargs):
    with pytest.raises(ValueError, match=next(iter(kwargs))):
        NovoGrad([nn.Parameter(torch.ones(1))], **kwargs)


def test_closure_is_called_with_gradients_on():
    param = nn.Parameter(torch.ones(1))
    optimizer = NovoGrad([param], lr=0.1)

    def closure():
        loss = (2 * param).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 2.0
    assert param.item() == pytest.approx(0.9)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_device_agrees_with_cpu_and_is_not_waited_for():
    weights, grads = some_problem(torch.float32)
    params, _ = run_optimizer(weights, grads, weight_decay=0.1)
    there = [nn.Parameter(w.cuda()) for w in weights]
    grads_there = [[g.cuda() for g in gs] for gs in grads]
    optimizer = NovoGrad(there, weight_decay=0.1)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for step_grads in grads_there:
            for param, grad in zip(there, step_grads, strict=True):
                param.grad = grad
            optimizer.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for a, b in zip(params, there, strict=True):
        torch.testing.assert_close(a, b.cpu())
