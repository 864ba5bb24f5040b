"""The weights that ZeRO has cut, put together for a checkpoint and cut again from one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from s2s_core.strategies.shards import Shard


class ZeroWeights:
    """Float32 weights of a module that DeepSpeed trains.

    Args:
        module: the trained one.
        zero: DeepSpeed's optimizer.
        stage: 1, 2 or 3.
        shards: this rank's parts of the float32 masters.
        frozen: the values, by name, of parameters that do not learn: DeepSpeed may have rounded those in the module.
    """

    def __init__(
        self,
        module: LightningModule,
        zero: Any,
        stage: int,
        shards: list[tuple[Shard, nn.Parameter]],
        frozen: dict[str, Tensor],
    ) -> None:
        self.module, self.zero, self.stage, self.shards, self.frozen = module, zero, stage, shards, frozen

    @torch.no_grad()
    def gather(self) -> dict[str, Any]:
        """The module's whole state in float32, on the first rank's host; empty on others. Every rank must call it."""
        masters = {shard.name: shard.whole(part.detach()) for shard, part in self.shards}
        if torch.distributed.get_rank() != 0:
            return {}
        first_names = {parameter: name for name, parameter in self.module.named_parameters()}
        state = self.module.state_dict()
        for name, parameter in self.module.named_parameters(remove_duplicate=False):
            first = first_names[parameter]
            state[name] = masters[first] if first in masters else self.frozen[first]
        return state

    @torch.no_grad()
    def scatter(self, state: Mapping[str, Any], strict: bool) -> None:
        """Take over a whole state: masters, the weights that the model runs with, and buffers."""
        for shard, part in self.shards:
            if shard.name in state:
                part.copy_(shard.cut(state[shard.name].to(part.device)))
        for name in self.frozen:
            if name in state:
                self.frozen[name] = state[name].detach().cpu().clone()
        if self.stage < 3:
            self.module.load_state_dict(state, strict=strict)
            return
        self._check(state, strict)
        for name, buffer in self.module.named_buffers():
            if name in state:
                buffer.copy_(state[name])
        self._refresh_cut_weights(state)

    def _refresh_cut_weights(self, state: Mapping[str, Any]) -> None:
        import deepspeed

        self.zero._partition_all_parameters()
        self.zero._reassign_or_swap_out_partitioned_parameters(0)
        kept_whole = self.zero.persistent_parameters
        if kept_whole:
            kept_whole[0].all_gather(kept_whole)
        unlearned = {name: p for name, p in self.module.named_parameters() if name in self.frozen and name in state}
        with deepspeed.zero.GatheredParameters(list(unlearned.values()), modifier_rank=0):
            if torch.distributed.get_rank() == 0:
                for name, parameter in unlearned.items():
                    parameter.copy_(state[name])

    def _check(self, state: Mapping[str, Any], strict: bool) -> None:
        own = self.module.state_dict().keys()
        missing, unknown = own - state.keys(), state.keys() - own
        if strict and (missing or unknown):
            raise RuntimeError(f"weights missing: {sorted(missing)}; unknown: {sorted(unknown)}")
