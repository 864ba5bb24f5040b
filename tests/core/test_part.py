import functools
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from s2s_core.part import Part


@dataclass
class Layer:
    width: int
    kernels: tuple[int, ...] = (3,)


class Leaf(Part, nn.Module):
    def __init__(self, size: int = 2) -> None:
        super().__init__()
        self.linear = nn.Linear(size, size)


class Wide(Leaf):
    def __init__(self, factor: int) -> None:
        super().__init__(size=2 * factor)


class Tree(Part):
    def __init__(self, leaf: Leaf, layers: list[Layer], optimizer=None, path: Path = Path("a/b"), **rest) -> None:
        self.leaf = leaf


def test_defaults_are_recorded():
    assert Leaf().describe() == {"class_path": f"{__name__}.Leaf", "init_args": {"size": 2}}


def test_a_subclass_is_described_by_its_own_arguments():
    # the inner constructor's arguments would rebuild another object
    assert Wide(3).describe()["init_args"] == {"factor": 3}


def test_nested_parts_dataclasses_partials_and_paths_become_plain():
    tree = Tree(Leaf(4), [Layer(8, (3, 5))], optimizer=functools.partial(torch.optim.SGD, lr=0.1))
    assert tree.describe()["init_args"] == {
        "leaf": {"class_path": f"{__name__}.Leaf", "init_args": {"size": 4}},
        "layers": [{"width": 8, "kernels": [3, 5]}],
        "optimizer": {"class_path": "torch.optim.sgd.SGD", "init_args": {"lr": 0.1}},
        "path": "a/b",
        "rest": {},
    }


def test_what_cannot_be_plain_is_refused_by_name():
    with pytest.raises(TypeError, match=r"Tree\.layers\[0\]: a Tensor"):
        Tree(Leaf(), [torch.zeros(1)]).describe()


def test_recording_leaves_a_module_a_module():
    leaf = Leaf(3)
    assert set(leaf.state_dict()) == {"linear.weight", "linear.bias"}
    tree_module = nn.Sequential(leaf)
    assert len(list(tree_module.parameters())) == 2
