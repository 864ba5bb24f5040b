"""What a benchmark ran on, for its JSON."""

from __future__ import annotations

from s2s_core.nn.processor import processor, processor_name


def cpu_name() -> str:
    """The processor's model and the instruction sets that decide its speed in half precision."""
    known = processor().split()
    return " ".join([processor_name(), *(flag for flag in ("amx_bf16", "avx512_bf16") if flag in known)])
