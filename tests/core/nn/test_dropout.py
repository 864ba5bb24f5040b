"""Dropout's kernel against Philox in Python's integers, and what must hold wherever it runs."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from s2s_core.nn import dropout as module
from s2s_core.nn.dropout import FEWEST, SOURCE, STEPS, Dropout, dropout, relu_dropout
from s2s_core.nn.native import load_library

SIZE = 3 * FEWEST + 77
"""Ends within a tile of the kernel's."""


@pytest.fixture
def compiled():
    if load_library(SOURCE) is None:
        pytest.skip("needs a C++ compiler")


def philox(counter, key, rounds):
    """Philox4x32 of Salmon et al. 2011, as section 3.3 says it."""
    words, keys = list(counter), list(key)
    for _ in range(rounds):
        first, second = words[0] * 0xD2511F53, words[2] * 0xCD9E8D57
        words = [
            second >> 32 ^ words[1] ^ keys[0],
            second & 0xFFFFFFFF,
            first >> 32 ^ words[3] ^ keys[1],
            first & 0xFFFFFFFF,
        ]
        keys = [(keys[0] + 0x9E3779B9) & 0xFFFFFFFF, (keys[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return words


def kept(element, seed, keep):
    """Whether the kernel keeps an element: it has half a word of its tile of 128."""
    tile, place = divmod(element, 128)
    part, lane = divmod(place, 16)
    counter = tile * 16 + lane
    words = philox([counter & 0xFFFFFFFF, counter >> 32, 0, 0], [seed & 0xFFFFFFFF, seed >> 32], 7)
    word = words[part % 4]
    return (word & 0xFFFF if part < 4 else word >> 16) < keep


def test_philox_here_gives_the_published_numbers():
    # Random123's kat_vectors
    assert philox([0] * 4, [0] * 2, 10) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_each_element_is_kept_as_philox_says(dtype, compiled):
    x = torch.linspace(1, 2, SIZE).to(dtype)
    torch.manual_seed(5)
    seed = int(torch.randint(2**63 - 1, ()))
    torch.manual_seed(5)
    y = dropout(x, 0.3)
    keep = round(0.7 * STEPS)
    some = [*range(300), *range(SIZE - 300, SIZE)]
    expected = torch.tensor([kept(element, seed, keep) for element in some])
    assert torch.equal(y[some] != 0, expected)
    scaled = (x.float() * np.float32(1 / 0.7)).to(dtype)
    assert torch.equal(y[y != 0], scaled[y != 0])
    assert y.dtype == dtype


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_share_and_the_mean_are_right_and_neighbours_independent(p):
    count = 200_000
    torch.manual_seed(1)
    y = dropout(torch.ones(count), p)
    mask = (y != 0).double()
    deviation = (p * (1 - p) / count) ** 0.5
    assert abs(mask.mean() - (1 - p)) < 5 * deviation
    centred = (mask - mask.mean()) / mask.std()
    for lag in (1, 16, 64, 128):
        assert abs((centred[lag:] * centred[:-lag]).mean()) < 5 / count**0.5
    other = (dropout(torch.ones(count), p) != 0).double()
    assert abs((centred * (other - other.mean()) / other.std()).mean()) < 5 / count**0.5


def test_gradients_pass_where_values_did(compiled):
    x = torch.randn(4, SIZE, requires_grad=True)
    y = dropout(x, 0.4)
    weights = torch.randn(4, SIZE, requires_grad=True)
    (grad,) = torch.autograd.grad((y * weights).sum(), x, create_graph=True)
    factors = y.detach() / x.detach()
    torch.testing.assert_close(grad, weights * factors)
    (twice,) = torch.autograd.grad(grad.sum(), weights)
    torch.testing.assert_close(twice, factors)


def test_threads_and_precision_change_nothing(set_threads, compiled):
    x = torch.randn(SIZE * 8)
    found = []
    for threads, dtype in ((1, torch.float32), (2, torch.float32), (1, torch.bfloat16)):
        set_threads(threads)
        torch.manual_seed(3)
        found.append(dropout(x.to(dtype), 0.2))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0] != 0, found[2] != 0)


def test_what_the_kernel_does_not_take_is_torchs(monkeypatch):
    cases = {
        "small": (torch.ones(8), 0.5),
        "double": (torch.ones(SIZE, dtype=torch.float64), 0.5),
        "strided": (torch.ones(SIZE, 2).T, 0.5),
        "all": (torch.ones(SIZE), 1.0),
        "next to none": (torch.ones(SIZE), 1e-6),
    }
    for x, p in cases.values():
        torch.manual_seed(2)
        expected = F.dropout(x, p)
        torch.manual_seed(2)
        assert torch.equal(dropout(x, p), expected)
    x = torch.randn(SIZE)
    assert dropout(x, 0.5, training=False) is x
    assert torch.equal(dropout(x, 0.0), x)
    monkeypatch.setattr(module, "_kernel", lambda: None)
    torch.manual_seed(2)
    expected = F.dropout(x, 0.5)
    torch.manual_seed(2)
    assert torch.equal(dropout(x, 0.5), expected)
    with pytest.raises(ValueError, match="dropout probability"):
        dropout(x, 1.5)


def test_the_module_stops_in_evaluation():
    x = torch.ones(SIZE)
    layer = Dropout(0.5)
    assert (layer(x) == 0).any()
    assert torch.equal(layer.eval()(x), x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("size", [SIZE, 100])
def test_relu_and_dropout_together_are_one_after_the_other(dtype, size):
    x = torch.randn(3, size).to(dtype)
    x[0, :2] = torch.tensor([0.0, torch.nan])
    weights, found = torch.randn(3, size).to(dtype), []
    for drop in (relu_dropout, lambda x, p: dropout(F.relu(x), p)):
        torch.manual_seed(4)
        leaf = x.clone().requires_grad_()
        y = drop(leaf, 0.3)
        (grad,) = torch.autograd.grad((y.nan_to_num() * weights).sum(), leaf)
        found.append((y.detach(), grad))
    # a gradient is scaled before or after it is rounded
    rounding = {"rtol": 1e-2, "atol": 1e-2} if dtype == torch.bfloat16 else {}
    torch.testing.assert_close(found[0][0], found[1][0], equal_nan=True, rtol=0, atol=0)
    torch.testing.assert_close(found[0][1], found[1][1], **rounding)


def test_relu_and_dropout_together_keep_their_result_alone():
    kept, x = [], torch.randn(4, SIZE, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        y = relu_dropout(x, 0.3)
        F.linear(y, torch.randn(2, SIZE, requires_grad=True))
    assert {tensor.data_ptr() for tensor in kept if tensor.numel() == x.numel()} == {y.data_ptr()}


def test_relu_and_dropout_together_can_be_differentiated_twice():
    x, weights = torch.randn(SIZE, requires_grad=True), torch.randn(SIZE, requires_grad=True)
    y = relu_dropout(x, 0.4)
    (grad,) = torch.autograd.grad((y * weights).sum(), x, create_graph=True)
    (twice,) = torch.autograd.grad(grad.sum(), weights)
    torch.testing.assert_close(twice, (y.detach() > 0) / 0.6)


def test_relu_and_dropout_together_stop_in_evaluation():
    x = torch.randn(SIZE, requires_grad=True)
    assert torch.equal(relu_dropout(x, 0.4, training=False), F.relu(x))
    assert torch.equal(relu_dropout(x, 0.0), F.relu(x))
    assert not relu_dropout(x, 1.0).any()
    with pytest.raises(ValueError, match="dropout probability"):
        relu_dropout(x, 1.5)
