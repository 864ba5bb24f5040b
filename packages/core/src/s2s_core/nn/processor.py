"""What kernels and reports ask about the host's processor."""

from __future__ import annotations

import functools
import platform
from pathlib import Path


@functools.cache
def processor() -> str:
    """The lines of ``/proc/cpuinfo`` that say what the cores are; the platform's own words where there are none."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    kinds = ("vendor_id", "model name", "flags", "Features")
    return "\n".join(sorted({line for line in lines if line.startswith(kinds)}))


def processor_name() -> str:
    """Its model, for people to read; the architecture where the system does not tell it."""
    lines = processor().splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def is_intel() -> bool:
    """Whether it is Intel's, for which MKL is written."""
    return "GenuineIntel" in processor()
