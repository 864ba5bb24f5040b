"""The base of every task: parts in, a LightningModule out that optimises, logs and describes itself."""

# torch's multi-tensor functions have no public names
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

from typing import Any, ClassVar, cast

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor
from torch.nn.utils import clip_grad_value_, clip_grads_with_norm_
from torch.optim import Optimizer

from s2s_core.checkpoint import SECTION, assets_of, section_of
from s2s_core.data.resuming import begin_epoch_cleanly
from s2s_core.errors import UserError
from s2s_core.losses.reduction import LossSum
from s2s_core.optim.foreach import with_gradients
from s2s_core.optim.larc import Larc
from s2s_core.optim.schedules import Schedule
from s2s_core.part import Part
from s2s_core.precision.regularizer import L2Regularizer
from s2s_core.random_state import capture_random_state, over_ranks, restore_random_state
from s2s_core.strategies.global_mean import GlobalMean
from s2s_core.strategies.shards import shard_of, whole_norms


class Task(Part, LightningModule):
    """Wires an optimizer, a learning-rate schedule and gradient rules to whatever a domain computes.

    Gradients pass through the regulariser, then the trainer's clipping, then LARC, then the optimizer: the order of
    OpenSeq2Seq. The learning rate is a pure function of the number of optimizer steps taken, so it needs no state.

    Args:
        optimizer: makes the optimizer from the parameters.
        schedule: the learning rate as a function of the step; constant if not given.
        larc: layer-wise adaptive rates, if any.
        regularizer: weight decay added to the gradients, if any.
    """

    name: ClassVar[str]
    """The task's name on the command line."""
    monitor: ClassVar[str]
    """The validation metric that tells the best checkpoint."""
    monitor_mode: ClassVar[str] = "min"
    figures: ClassVar[tuple[str, ...]] = ()
    """What validation measures beside the loss and the monitor, without ``val/``."""
    example_unit: ClassVar[str] = "examples"
    """What throughput is counted in, beside steps."""

    def __init__(
        self,
        optimizer: OptimizerCallable,
        schedule: Schedule | None = None,
        larc: Larc | None = None,
        regularizer: L2Regularizer | None = None,
    ) -> None:
        super().__init__()
        self._make_optimizer = optimizer
        self.schedule = schedule
        self.larc = larc
        self.regularizer = regularizer
        self._random_state: dict[str, Any] | None = None
        self._total_steps = 0
        self._global_mean = GlobalMean()

    @classmethod
    def measured(cls) -> list[str]:
        """The figures of a validation, without ``val/``: what a sweep can search for."""
        return list(dict.fromkeys([cls.monitor.removeprefix("val/"), "loss", *cls.figures]))

    def assets(self) -> dict[str, bytes]:
        """Files that a checkpoint must carry for the task to be rebuilt, by name."""
        return {}

    def load_assets(self, assets: dict[str, bytes]) -> None:
        """Take back what `assets` gave."""

    def configure_optimizers(self) -> Optimizer:
        trained = [p for p in self.parameters() if p.requires_grad]
        if not trained:
            raise UserError("model: every parameter is frozen, there is nothing to train")
        optimizer = self._make_optimizer(trained)
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        return optimizer

    def on_train_start(self) -> None:
        begin_epoch_cleanly(self.trainer)
        if self.global_rank > 0:  # Lightning gives all ranks one seed, and so the same dropout
            torch.manual_seed(torch.initial_seed() + self.global_rank)
        self._total_steps = int(self.trainer.estimated_stepping_batches) if self.schedule is not None else 0

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        if batch_idx % self.trainer.accumulate_grad_batches == 0:
            self._global_mean.begin()
        if self._random_state is not None:
            restore_random_state(self._random_state)
            self._random_state = None
        if self.schedule is not None:
            for optimizer in self.trainer.optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = self.schedule.lr(self.global_step, group["initial_lr"], self._total_steps)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        self._finish_mean(optimizer)
        if self.regularizer is not None:
            shards = ((shard_of(p), p) for group in optimizer.param_groups for p in group["params"])
            self.regularizer(self, {shard.name: part for shard, part in shards if shard is not None})

    @torch.no_grad()
    def _finish_mean(self, optimizer: Optimizer) -> None:
        correction = self._global_mean.correction(self.trainer.accumulate_grad_batches)
        if correction is not None:
            for params in with_gradients(p for group in optimizer.param_groups for p in group["params"]):
                gradients = [cast(Tensor, param.grad) for param in params]
                torch._foreach_mul_(gradients, correction.to(gradients[0]))
        loss = self._global_mean.value
        if loss is not None and (self._logs_this_step() or self.global_step == 0):  # the progress bar shows the first
            self.log("train/loss", loss, prog_bar=True)

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        by_norm = bool(gradient_clip_val) and gradient_clip_algorithm != "value"
        logs = self._logs_this_step()
        norm = self._gradient_norm(parameters) if logs or by_norm else torch.zeros(())
        if logs:
            self.log_dict({"train/grad_norm": norm, "train/lr": optimizer.param_groups[0]["lr"]})
        if getattr(self.trainer.precision_plugin, "scaler", None) is not None:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
        elif gradient_clip_val:
            # under autocast Lightning refuses to clip for a fused optimizer, which is right only with scaled gradients
            if by_norm:
                clip_grads_with_norm_(parameters, gradient_clip_val, norm)
            else:
                clip_grad_value_(parameters, gradient_clip_val)
        if self.larc is not None:
            self.larc(optimizer)

    def _gradient_norm(self, parameters: list[Tensor]) -> Tensor:
        device = parameters[0].device if parameters else self.device
        norms = [
            whole_norms(same, [cast(Tensor, param.grad) for param in same]).to(device)
            for same in with_gradients(parameters)
        ]
        return torch.linalg.vector_norm(torch.cat(norms)) if norms else torch.zeros((), device=device)

    def _logs_this_step(self) -> bool:
        # logging costs more than a small step does, so the figures are taken only when they are written; Lightning
        # itself must say when that is, or it writes figures of earlier steps, or none
        return self.trainer._logger_connector.should_update_logs

    def normalised(self, loss: LossSum) -> Tensor:
        """The number that a training step returns; call it once a step, with all that the step is to minimise.

        Its gradient is that of the loss over its true count on all ranks and micro-batches of the optimizer step,
        which is also what is logged as ``train/loss``. Outside a trainer, the loss over its own count.
        """
        if self._trainer is None:
            return loss.mean
        if not self.automatic_optimization:  # each loss has an optimizer step of its own
            self._global_mean.begin()
        return self._global_mean.add(loss)

    def step_generator(self, batch_idx: int) -> torch.Generator:
        """A generator for the augmentation of a training batch: a function of seed, step, batch and rank only."""
        mixed = 0
        for number in (torch.initial_seed() % (1 << 31), self.global_step, batch_idx, self.global_rank):
            # a linear congruential step each: neighbouring steps get unrelated seeds
            mixed = ((mixed ^ number) * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        return torch.Generator().manual_seed(mixed >> 1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        section = section_of(self)
        data = getattr(self.trainer, "datamodule", None)
        section["data"] = data.describe() if isinstance(data, Part) else None
        states = over_ranks(capture_random_state())
        checkpoint[SECTION] = {**section, "random": states[0], "random_of_ranks": states[1:]}
        spec = section["spec"]
        # Lightning's own form, so that load_from_checkpoint works too
        checkpoint["hyper_parameters"] = {
            "_class_path": spec["class_path"],
            "_instantiator": "lightning.pytorch.cli.instantiate_module",
            **spec["init_args"],
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.load_assets(assets_of(checkpoint))
        section = checkpoint[SECTION]
        others = section.get("random_of_ranks", [])
        same_ranks = self._trainer is not None and len(others) + 1 == self.trainer.world_size
        rank = self.global_rank if same_ranks else 0
        self._random_state = others[rank - 1] if rank > 0 else section.get("random")

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Optimizer) -> None:
        optimizer.zero_grad(set_to_none=True)

    def bench_batch(self, seconds: float, batch_size: int) -> Any:
        """A random batch for ``bench``: what ``training_step`` takes."""
        raise UserError(f"task '{self.name}' has no synthetic batches: give bench the config's data")

    def units_of(self, batch: Any) -> dict[str, Any]:
        """How much one batch holds, by unit, as numbers or tensors: ``{"examples": 32, "audio s": 410.5}``."""
        return {self.example_unit: len(batch)}

    def loss_of(self, batch: Any) -> Tensor:
        """The training loss of a batch, without logging."""
        raise UserError(f"task '{self.name}' cannot be benchmarked")
