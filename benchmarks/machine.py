"""What a benchmark ran on, for its JSON."""

from __future__ import annotations

from pathlib import Path


def cpu_name() -> str:
    """The processor's model and the instruction sets that decide its speed in half precision."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return "CPU"
    fields = dict(line.split(":", 1) for line in info.read_text(encoding="utf-8").splitlines() if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    flags = [flag for flag in ("amx_bf16", "avx512_bf16") if flag in fields.get("flags", "").split()]
    return " ".join([fields.get("model name", "CPU"), *flags])
