"""What a machine can do at best: its measured matrix product, and how much memory a piece of work took."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

SIZE = 4096
SIZE_EMULATED = 512
"""For float16 on a CPU, which computes it by way of float32, 20 times slower."""


def matrix_product_flops(
    dtype: torch.dtype, device: torch.device, budget_s: float = 3.0, size: int | None = None
) -> float:
    """Return the floating-point operations per second of a large square matrix product: the ceiling of any model.

    That of the fastest library at hand: on some processors torch's own float32 product reaches half of oneDNN's.
    """
    return max(library_product_flops(dtype, device, budget_s, size).values())


def library_product_flops(
    dtype: torch.dtype, device: torch.device, budget_s: float = 3.0, size: int | None = None
) -> dict[str, float]:
    """Return the rate of each library's matrix product: ``torch.mm`` and, where torch can call it, ``oneDNN``.

    The medians of as many products as the budget allows, three at least, after one to warm up; of matrices with
    ``size`` rows and columns, `SIZE` if not given.
    """
    emulated = dtype == torch.float16 and device.type == "cpu"
    size = SIZE_EMULATED if emulated else SIZE if size is None else size
    generator = torch.Generator(device).manual_seed(0)  # the global one is the model's
    a, b = (torch.randn(size, size, device=device, generator=generator).to(dtype) for _ in range(2))
    products: dict[str, Callable[[], object]] = {"torch.mm": lambda: torch.mm(a, b)}
    if device.type == "cpu" and dtype == torch.float32 and hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        products["oneDNN"] = lambda: torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")
    return {name: 2.0 * size**3 / _median_time(run, device, budget_s) for name, run in products.items()}


def _median_time(run: Callable[[], object], device: torch.device, budget_s: float) -> float:
    run()
    times: list[float] = []
    while len(times) < 3 or (sum(times) < budget_s and len(times) < 50):
        wait_for(device)
        start = time.perf_counter()
        run()
        wait_for(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def wait_for(device: torch.device) -> None:
    """Return when the device has finished what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class PeakMemory:
    """The most memory held since the object was made: of the device, or of the process on a CPU."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
        else:
            _forget_peak()

    def read_bytes(self) -> int:
        """The peak so far."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        status = Path("/proc/self/status")
        if status.is_file():
            fields = dict(line.split(":", 1) for line in status.read_text(encoding="ascii").splitlines() if ":" in line)
            if "VmHWM" in fields:
                return int(fields["VmHWM"].split()[0]) * 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def _forget_peak() -> None:
    """Linux: set the process's peak to what it holds now. Elsewhere the peak is that of the whole process."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return
