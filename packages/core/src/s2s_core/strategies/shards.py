"""Parts of tensors that lie on different ranks, and what must be known of the whole tensors all the same."""

# torch's multi-tensor functions have no public names
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn


@dataclass(frozen=True)
class Shard:
    """Where this rank's part of a parameter lies. Each rank has one of every parameter, if only of no numbers."""

    name: str
    """As in ``named_parameters`` of the module."""
    shape: torch.Size
    """Of the whole parameter."""
    begin: int
    """The first number of the flattened parameter that is here."""
    length: int
    """How many are."""
    offset: int
    """Where they begin in the rank's flat memory."""

    def cut(self, whole: Tensor) -> Tensor:
        """This part of a tensor of the parameter's shape, flat, a copy."""
        return whole.flatten()[self.begin : self.begin + self.length].clone()

    def whole(self, part: Tensor) -> Tensor:
        """The tensor of which the ranks hold parts, on the first rank, on the host; others get something undefined.

        Every rank must call it.
        """
        whole = torch.zeros(self.shape.numel(), dtype=part.dtype, device=communication_device())
        whole[self.begin : self.begin + self.length] = part.to(whole.device)
        distributed.reduce(whole, dst=0)  # of one number and zeros, so exact
        return whole.cpu().view(self.shape)


def as_parameter(shard: Shard, flat: Tensor) -> nn.Parameter:
    """The shard's numbers in the flat memory as a parameter of their own, which remembers its shard."""
    parameter = nn.Parameter(flat.detach()[shard.offset : shard.offset + shard.length])
    parameter._shard = shard  # type: ignore[attr-defined]
    return parameter


def shard_of(parameter: Tensor) -> Shard | None:
    """The shard that a parameter is; None if it is whole."""
    return getattr(parameter, "_shard", None)


def whole_norms(parameters: Sequence[Tensor], values: Sequence[Tensor], dtype: torch.dtype | None = None) -> Tensor:
    """Euclidean norms ``(parameters,)`` of one value for each parameter, or of the whole of which it is a shard.

    Does not wait for the device.
    """
    norms = torch.stack(torch._foreach_norm(list(values), 2, dtype=dtype))
    if shard_of(parameters[0]) is None:
        return norms
    squares = norms.square().to(communication_device())
    distributed.all_reduce(squares)
    return squares.sqrt().to(norms.device)


def largest_of_all(parameters: Sequence[Tensor], largest: float) -> float:
    """The largest of the ranks' numbers, NaN counting as infinite, if the parameters are shards; else the number."""
    if not parameters or shard_of(parameters[0]) is None:
        return largest
    number = torch.tensor([largest], device=communication_device()).nan_to_num(nan=torch.inf, posinf=torch.inf)
    distributed.all_reduce(number, op=distributed.ReduceOp.MAX)
    return float(number)


def communication_device() -> torch.device:
    """Where tensors must lie to be sent."""
    if distributed.get_backend() == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")
