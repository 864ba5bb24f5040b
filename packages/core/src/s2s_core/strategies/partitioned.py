"""Any optimizer on the part of the weights that ZeRO leaves to a rank."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from s2s_core.errors import UserError
from s2s_core.strategies.shards import Shard, as_parameter, shard_of


class PartitionedOptimizer(Optimizer):
    """What DeepSpeed takes for the optimizer: it hands each step's gradients to the real one, tensor by tensor.

    DeepSpeed gives an optimizer one flat float32 tensor, in which norms of tensors mean nothing, and clips and scales
    by rules of its own. Here the flat memory is seen as the shards that it is made of: the real optimizer owns these,
    and the task's gradient rules run on them as on whole parameters.

    Args:
        real: the optimizer, made for the module's parameters.
        names: of these parameters.

    Raises:
        UserError: if it has several groups.
    """

    def __init__(self, real: Optimizer, names: dict[Tensor, str]) -> None:
        if len(real.param_groups) != 1:
            raise UserError(f"ZeRO: expected an optimizer with one group of parameters, got {len(real.param_groups)}")
        self.real = real
        self._names = names
        self._order: list[Tensor] = list(real.param_groups[0]["params"])
        self._finish: Callable[[], Any] | None = None
        super().__init__(self._order, {"lr": 0.0})

    def adopt(self, zero: Any, stage: int, rank: int) -> None:
        """Let the real optimizer own the shards of what a DeepSpeed optimizer has cut.

        Args:
            zero: DeepSpeed's optimizer of this stage.
            stage: 1, 2 or 3.
            rank: this process's place.
        """
        flat, shards = _layout_of_stage_3(zero, rank) if stage == 3 else _layout_of_stage_1_and_2(zero, rank)
        self._flat: Tensor = flat
        made = {
            parameter: as_parameter(Shard(self._names[parameter], *place), flat) for parameter, place in shards.items()
        }
        for parameter, slots in list(self.real.state.items()):  # of an optimizer that makes its states at once
            self.real.state[made[parameter]] = _cut(slots, _known(shard_of(made[parameter])))
            del self.real.state[parameter]
        self.real.param_groups[0]["params"] = [made[parameter] for parameter in self._order]

    @property
    def shards(self) -> list[tuple[Shard, nn.Parameter]]:
        """This rank's part of each parameter, in the order of the real optimizer's."""
        return [(_known(shard_of(p)), p) for p in self.real.param_groups[0]["params"]]

    def finish_with(self, finish: Callable[[], Any]) -> None:
        """Say what the next step does once the shards have their gradients."""
        self._finish = finish

    @property
    def finished(self) -> bool:
        """Whether the step that `finish_with` announced has been taken."""
        return self._finish is None

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Called by DeepSpeed with the flat gradient in place; before training too, to make states, for nothing."""
        if self._finish is not None:
            gradient = self._flat.grad
            assert gradient is not None
            self._take(gradient)

    def overflowed(self) -> None:
        """Take the announced step with infinite gradients: DeepSpeed has found some and thrown them all away."""
        self._take(torch.full_like(self._flat, torch.inf))

    def _take(self, gradient: Tensor) -> None:
        for shard, parameter in self.shards:
            parameter.grad = gradient[shard.offset : shard.offset + shard.length]
        finish, self._finish = self._finish, None
        assert finish is not None
        finish()
        self.real.zero_grad(set_to_none=True)

    def whole_state(self) -> dict[str, Any]:
        """The state as if the parameters were whole, on the first rank; every rank must call it."""
        state = {}
        for index, (shard, parameter) in enumerate(self.shards):
            slots = self.real.state[parameter]
            state[index] = {
                key: shard.whole(value) if isinstance(value, Tensor) and value.shape == parameter.shape else value
                for key, value in slots.items()
            }
        return {"state": state, "param_groups": self.real.state_dict()["param_groups"]}

    def load_whole_state(self, state: dict[str, Any]) -> None:
        """Take this rank's part of a state of whole parameters."""
        parts = {}
        for index, (shard, _) in enumerate(self.shards):
            parts[index] = _cut(state["state"].get(index, {}), shard)
        self.real.load_state_dict({"state": parts, "param_groups": state["param_groups"]})


def _cut(slots: dict[str, Any], shard: Shard) -> dict[str, Any]:
    """A parameter's state for a shard of it: tensors of its shape are cut, others are of the whole."""
    return {
        key: shard.cut(value) if isinstance(value, Tensor) and value.shape == shard.shape else value
        for key, value in slots.items()
    }


def _known(shard: Shard | None) -> Shard:
    assert shard is not None, "the real optimizer owns shards only after `adopt`"
    return shard


_Places = dict[Tensor, tuple[torch.Size, int, int, int]]


def _layout_of_stage_1_and_2(zero: Any, rank: int) -> tuple[Tensor, _Places]:
    # all parameters one after the other, cut into as many equal pieces as there are ranks
    flat = zero.single_partition_of_fp32_groups[0]
    first, last = rank * flat.numel(), (rank + 1) * flat.numel()
    places: _Places = {}
    position = 0
    for parameter in zero.round_robin_bit16_groups[0]:
        begin, end = max(position, first), min(position + parameter.numel(), last)
        length = max(0, end - begin)
        places[parameter] = (parameter.shape, begin - position, length, begin - first) if length else _empty(parameter)
        position += parameter.numel()
    return flat, places


def _layout_of_stage_3(zero: Any, rank: int) -> tuple[Tensor, _Places]:
    # each parameter cut into as many equal pieces as there are ranks, and a rank's pieces one after the other
    if len(zero.fp32_partitioned_groups_flat) != 1:
        raise UserError("ZeRO: expected all parameters in one group, but DeepSpeed has split them by size")
    places: _Places = {}
    position = 0
    for parameter in zero.fp16_groups[0]:
        size = parameter.partition_numel()
        length = max(0, min(size, parameter.ds_numel - rank * size))
        whole = torch.Size(parameter.ds_shape)
        places[parameter] = (whole, rank * size, length, position) if length else (whole, 0, 0, 0)
        position += size
    return zero.fp32_partitioned_groups_flat[0], places


def _empty(parameter: Tensor) -> tuple[torch.Size, int, int, int]:
    return parameter.shape, 0, 0, 0
