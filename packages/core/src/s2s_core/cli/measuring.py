"""Timing real training steps of a task: rate, arithmetic, memory, padding and waiting."""

from __future__ import annotations

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.nn.utils.rnn import PackedSequence
from torch.utils.flop_counter import FlopCounterMode

from s2s_core.cli.ceiling import PeakMemory, matrix_product_flops, wait_for
from s2s_core.precision.half_copies import HalfCopies
from s2s_core.task import Task

COMPUTE_TYPES = {
    "32-true": torch.float32,
    "tf32": torch.float32,
    "bf16-mixed": torch.bfloat16,
    "16-mixed": torch.float16,
    "bf16-master": torch.bfloat16,
    "fp16-master": torch.float16,
}
"""In which type each precision multiplies matrices; ``tf32`` lets a CUDA device round their inputs to 10 bits."""
FORWARD_SHARE = 3
"""A training step computes three times its forward: the products of the forward, and two for each in the backward."""
HARMLESS_LR = 1e-6
"""Steps are timed, not taken in earnest: a recipe's rate could diverge on noise."""


@dataclass
class Effort:
    """How long to measure."""

    steps: int = 20
    """The most steps that are timed; three are, at least."""
    warmup: int = 2
    budget_s: float = 15.0
    """No step begins after this time."""


@dataclass
class Measurement:
    """Training speed of one task in one precision on one machine."""

    precision: str
    parameters: int
    """How many numbers the model learns."""
    steps: int
    """How many were timed."""
    steps_per_s: float
    """One over the median time of a step, waiting for data included."""
    units_per_s: dict[str, float]
    """Median rates of what the task counts: examples, tokens, seconds of audio."""
    padding: float
    """The share of padding in the batches, 0 to 1."""
    peak_memory_bytes: int
    flops_per_step: float
    """Matrix products and convolutions of forward and backward as executed, padding included."""
    flops_per_s: float
    ceiling_flops_per_s: float
    """Of this machine's fastest matrix product in the same precision, measured in the same run."""
    waiting: float
    """The share of time spent waiting for the next batch, 0 to 1."""

    @property
    def share_of_ceiling(self) -> float:
        return self.flops_per_s / self.ceiling_flops_per_s


@dataclass
class _Steps:
    batches: list[Any]
    step_s: list[float]
    wait_s: list[float]

    @property
    def times_s(self) -> list[float]:
        return [a + b for a, b in zip(self.step_s, self.wait_s, strict=True)]


def measure(
    task: Task,
    batches: Iterable[Any],
    precision: str,
    device: torch.device,
    effort: Effort,
    clip_norm: float | None = None,
) -> Measurement:
    """Train ``task`` on ``batches`` for a while: forward, loss, backward, gradient rules, optimizer.

    Args:
        task: its weights change.
        batches: one a step; started anew when they end.
        precision: a key of `COMPUTE_TYPES`.
        device: where to train.
        effort: how long.
        clip_norm: bound of the gradient's norm, if any.
    """
    with _tf32(precision == "tf32"):
        ceiling = matrix_product_flops(COMPUTE_TYPES[precision], device)
        memory = PeakMemory(device)
        task.to(device).train()
        step = _Step(task, precision, device, clip_norm)
        taken = _timed_steps(step, _endless(batches), device, effort)
        peak = memory.read_bytes()
    flops = _flops_of_each(step, taken.batches)
    units = [{unit: float(n) for unit, n in task.units_of(batch).items()} for batch in taken.batches]
    times = taken.times_s
    return Measurement(
        precision=precision,
        parameters=sum(parameter.numel() for parameter in task.parameters()),
        steps=len(times),
        steps_per_s=1.0 / statistics.median(times),
        units_per_s={
            unit: statistics.median(u[unit] / t for u, t in zip(units, times, strict=True)) for unit in units[0]
        },
        padding=statistics.mean(padding_of(batch) for batch in taken.batches),
        peak_memory_bytes=peak,
        flops_per_step=statistics.mean(flops),
        flops_per_s=statistics.median(f / t for f, t in zip(flops, taken.step_s, strict=True)),
        ceiling_flops_per_s=ceiling,
        waiting=sum(taken.wait_s) / sum(times),
    )


class _Step:
    """One training step, as the trainer takes it but for logging and augmentation."""

    def __init__(self, task: Task, precision: str, device: torch.device, clip_norm: float | None) -> None:
        self.task = task
        self.device = device
        self.dtype = COMPUTE_TYPES[precision]
        self.clip_norm = clip_norm
        self.copies = HalfCopies(task, self.dtype, []) if precision.endswith("-master") else None
        self.optimizer: Any = task.configure_optimizers()
        for group in self.optimizer.param_groups:
            group["lr"] = HARMLESS_LR
        self.scaler = GradScaler(device.type, enabled=self.dtype == torch.float16)

    def __call__(self, batch: Any) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        if self.copies is not None:
            self.copies.refresh()
        self.scaler.scale(self.loss(batch)).backward()
        if self.copies is not None:
            self.copies.move_gradients()
        self.scaler.unscale_(self.optimizer)
        if self.task.regularizer is not None:
            self.task.regularizer(self.task)
        if self.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.task.parameters(), self.clip_norm)
        if self.task.larc is not None:
            self.task.larc(self.optimizer)
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def loss(self, batch: Any) -> Tensor:
        with self._autocast(), nullcontext() if self.copies is None else self.copies.installed():
            return self.task.loss_of(move_data_to_device(batch, self.device))

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype, cache_enabled=self.copies is None)


@contextmanager
def _tf32(allowed: bool) -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def _timed_steps(step: _Step, batches: Iterator[Any], device: torch.device, effort: Effort) -> _Steps:
    for _ in range(effort.warmup):
        step(next(batches))
    taken = _Steps([], [], [])
    while len(taken.step_s) < effort.steps:
        if len(taken.step_s) >= 3 and sum(taken.times_s) > effort.budget_s:
            break
        wait_for(device)
        start = time.perf_counter()
        batch = next(batches)
        received = time.perf_counter()
        step(batch)
        wait_for(device)
        taken.batches.append(batch)
        taken.wait_s.append(received - start)
        taken.step_s.append(time.perf_counter() - received)
    return taken


def _endless(batches: Iterable[Any]) -> Iterator[Any]:
    while True:
        count = 0
        for batch in batches:
            count += 1
            yield batch
        if count == 0:
            raise ValueError("there are no batches to measure with")


def _flops_of_each(step: _Step, batches: list[Any]) -> list[float]:
    counted: dict[int, float] = {}
    for batch in batches:
        if id(batch) not in counted:
            counted[id(batch)] = float(FORWARD_SHARE * forward_flops(step.task, lambda batch=batch: step.loss(batch)))
    return [counted[id(batch)] for batch in batches]


def _linear_flops(x: list[int], weight: list[int], *_: Any, **__: Any) -> int:
    return 2 * math.prod(x) * weight[0]


_UNCOUNTED = (
    {torch.ops.mkldnn._linear_pointwise: _linear_flops} if hasattr(torch.ops.mkldnn, "_linear_pointwise") else {}
)
"""Operators of ours that torch's counter does not know: oneDNN's matrix product."""


def forward_flops(module: nn.Module, run: Callable[[], Any]) -> int:
    """Count what ``run`` computes with ``module``: matrix products, convolutions, attention; two a multiply-add.

    Recurrent layers run in kernels that show no product to torch's counter: theirs are counted as every weight matrix
    meeting every frame once.
    """
    counter = FlopCounterMode(display=False, custom_mapping=_UNCOUNTED)
    seen_before: dict[nn.Module, int] = {}
    hidden = 0

    def enter(layer: nn.Module, arguments: tuple[Any, ...]) -> None:
        seen_before[layer] = counter.get_total_flops()

    def leave(layer: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        nonlocal hidden
        matrices = sum(2 * parameter.numel() for parameter in layer.parameters() if parameter.dim() == 2)
        hidden += matrices * _frames_of(arguments) - (counter.get_total_flops() - seen_before[layer])

    with ExitStack() as hooks, torch.no_grad(), counter:
        for layer in module.modules():
            if isinstance(layer, nn.RNNBase):
                hooks.callback(layer.register_forward_pre_hook(enter).remove)
                hooks.callback(layer.register_forward_hook(leave).remove)
        run()
    return counter.get_total_flops() + hidden


def _frames_of(arguments: tuple[Any, ...]) -> int:
    """How many frames a recurrent layer runs over: real ones where it is given packed frames or their lengths."""
    inputs = arguments[0]
    if isinstance(inputs, PackedSequence):
        return len(inputs.data)
    if len(arguments) > 1 and isinstance(arguments[1], Tensor) and arguments[1].dim() == 1:
        return int(arguments[1].sum())
    return inputs.numel() // inputs.shape[-1]


def padding_of(batch: Any) -> float:
    """The share of padding in a batch's first padded tensor: a field ``x`` beside ``x_lengths``; 0 without one."""
    if not dataclasses.is_dataclass(batch):
        return 0.0
    for field in dataclasses.fields(batch):
        padded, lengths = getattr(batch, field.name), getattr(batch, f"{field.name}_lengths", None)
        if isinstance(padded, Tensor) and isinstance(lengths, Tensor):
            return 1.0 - float(lengths.sum()) / (padded.shape[0] * padded.shape[1])
    return 0.0
