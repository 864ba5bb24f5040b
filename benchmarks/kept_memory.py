"""What a training step of a Transformer holds on a GPU when its backward pass begins, counted without one.

    python benchmarks/kept_memory.py

Forward passes of the packaged recipes run on fake CUDA tensors, which have types and sizes but no numbers, and every
storage that autograd keeps is counted once. To these come weights, their half-precision copies and Adam's states.
Temporary tensors, libraries' workspaces and the allocator's gaps do not count. Attention is taken to keep what the
fused kernels do: queries, keys, values and the result. The comparison is FP32; the goal is 0.6 of it in half precision.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from recipes import build_recipe
from timing import print_table
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from s2s_core.precision.half_copies import HalfCopies
from s2s_core.task import Task

HERE = Path(__file__).parent
CONFIGS = ("transformer-base", "transformer-big")
PRECISIONS = ("fp32", "bf16-mixed", "bf16-master")
SECONDS = 17.0
"""The longest sentences, read aloud: 51 tokens, as in `precision.py`."""
ADAM_BYTES = 8
"""Two float32 averages a parameter."""


class _FusedAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        result = torch.empty_like(query.transpose(1, 2)).transpose(1, 2)
        ctx.save_for_backward(query, key, value, result)
        return result


def attend(query: Tensor, key: Tensor, value: Tensor, *_: Any) -> Tensor:
    """`scaled_dot_product_attention` as far as its memory goes."""
    if torch.is_autocast_enabled("cuda"):
        half = torch.get_autocast_dtype("cuda")
        query, key, value = query.to(half), key.to(half), value.to(half)
    found = _FusedAttention.apply(query, key, value)
    assert isinstance(found, Tensor)
    return found


class KnownCounts(TorchDispatchMode):
    """Indexing by a mask, whose number of true elements fake tensors do not know, gets as many as the batch has."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.index.Tensor and args[1][0].dtype == torch.bool:
            place = args[1][0].new_zeros(self.count, dtype=torch.int64)
            args = (args[0], [place] * args[1][0].dim())
        return func(*args, **(kwargs or {}))


def on_fake_gpu(task: Task) -> None:
    """Put stand-ins on a fake GPU in the places of a task's parameters and buffers, under a fake mode."""
    made: dict[Tensor, nn.Parameter] = {}
    for module in task.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                if parameter not in made:
                    made[parameter] = nn.Parameter(torch.empty_like(parameter, device="cuda"))
                module._parameters[name] = made[parameter]
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = torch.empty_like(buffer, device="cuda")


def kept_bytes(task: Task, batch: Any, real: int, precision: str, held: set[int]) -> int:
    """The storages that a forward pass over so many real target tokens keeps, besides those held anyway."""
    kept: dict[int, int] = {}
    alive: list[Tensor] = []  # or a storage's address might be that of another before

    def count(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        alive.append(tensor)
        if storage._cdata not in held:
            kept[storage._cdata] = storage.nbytes()
        return tensor

    half = nullcontext()
    if precision != "fp32":
        half = torch.autocast("cuda", torch.bfloat16, cache_enabled=False)
    fake = {
        field.name: torch.empty_like(value, device="cuda")
        for field in dataclasses.fields(batch)
        if isinstance(value := getattr(batch, field.name), Tensor)
    }
    with half, KnownCounts(real), torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        task.loss_of(dataclasses.replace(batch, **fake))
    return sum(kept.values())


def measure(config: str, precision: str, batch_size: int) -> dict:
    task = build_recipe("nmt", config)
    batch = task.bench_batch(SECONDS, batch_size)
    real = int(batch.target_lengths.sum())
    with FakeTensorMode(allow_non_fake_inputs=True):
        on_fake_gpu(task.train())
        copies = HalfCopies(task, torch.bfloat16, []) if precision == "bf16-master" else None
        held = [parameter.untyped_storage() for parameter in task.parameters()]
        held += [copy.untyped_storage() for _, copy in copies.pairs] if copies else []
        with copies.installed() if copies else nullcontext():
            kept = kept_bytes(task, batch, real, precision, {storage._cdata for storage in held})
        fixed = sum(storage.nbytes() for storage in held)
        fixed += ADAM_BYTES * sum(parameter.numel() for parameter in task.parameters())
    figures = {"weights_and_states_gb": fixed, "kept_gb": kept, "together_gb": fixed + kept}
    return {"config": config, "precision": precision, **{key: round(n / 1e9, 2) for key, n in figures.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=512, help="pairs of sentences")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "kept_memory.json")
    options = parser.parse_args()
    rows: list[dict] = []
    # without a GPU torch refuses autocast for one, and its attention takes the form that keeps all weights
    with (
        mock.patch("torch.cuda.amp.common.amp_definitely_not_available", return_value=False),
        mock.patch.object(torch.cuda, "is_bf16_supported", return_value=True),
        mock.patch.object(F, "scaled_dot_product_attention", attend),
    ):
        for config in CONFIGS:
            cells = [measure(config, precision, options.batch) for precision in PRECISIONS]
            rows += [{**cell, "of_fp32": round(cell["together_gb"] / cells[0]["together_gb"], 3)} for cell in cells]
    print_table(rows, list(rows[0]))
    about = {"torch": torch.__version__, "pairs": options.batch, "tokens": round(3 * SECONDS)}
    options.output.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
