"""Half-precision copies by themselves: where gradients go, and what memory they leave behind."""

import weakref

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from s2s_core.precision.half_copies import HalfCopies


def two_layers(device="cpu"):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4, device=device), nn.LayerNorm(4, device=device), nn.Linear(4, 2, device=device))


def give_gradients(copies, value):
    for _, copy in copies.pairs:
        copy.grad = torch.full_like(copy, value)
    copies.move_gradients()


def test_gradients_are_added_in_float32():
    copies = HalfCopies(two_layers(), torch.bfloat16, [])
    give_gradients(copies, 1.0)
    give_gradients(copies, 2.0**-10)  # which bfloat16 would lose beside 1
    for master, copy in copies.pairs:
        assert copy.grad is None
        torch.testing.assert_close(master.grad, torch.full_like(master, 1 + 2.0**-10), rtol=0, atol=0)


def test_norms_have_no_copies_and_shared_weights_one():
    model = two_layers()
    model.append(nn.Linear(4, 2))
    model[3].weight = model[2].weight
    copies = HalfCopies(model, torch.bfloat16, [])
    assert [id(master) for master, _ in copies.pairs] == [
        id(p) for p in (*model[0].parameters(), *model[2].parameters(), model[3].bias)
    ]
    with copies.installed():
        assert model[2].weight is model[3].weight
        assert model[2].weight.dtype == torch.bfloat16
    assert model[2].weight.dtype == torch.float32


def test_on_the_host_a_gradient_lies_in_the_same_memory_at_each_step():
    copies = HalfCopies(two_layers(), torch.bfloat16, [])
    places = []
    for _ in range(2):
        give_gradients(copies, 1.0)
        places.append([master.grad.data_ptr() for master, _ in copies.pairs])
        for master, _ in copies.pairs:
            master.grad = None
    assert places[0] == places[1]


def test_elsewhere_its_memory_is_free_when_it_is():
    with FakeTensorMode():
        copies = HalfCopies(two_layers("cuda"), torch.bfloat16, [])
        give_gradients(copies, 1.0)
        gradients = [weakref.ref(master.grad) for master, _ in copies.pairs]
        assert all(gradient().dtype == torch.float32 for gradient in gradients)
        for master, _ in copies.pairs:
            master.grad = None
    assert all(gradient() is None for gradient in gradients)


def test_a_pattern_without_a_module_is_named():
    with pytest.raises(ValueError, match="no module of Sequential is called 'decoder'"):
        HalfCopies(two_layers(), torch.bfloat16, ["decoder"])
