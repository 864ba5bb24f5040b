"""How the C library deals with freed memory, where that decides the speed of a step."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # the names of glibc's mallopt, M_ and so on
_KEPT_BYTES = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, for its next allocations, instead of giving it back.

    glibc hands every tensor beyond 32 MiB to the system when it is freed, and the system clears its pages anew for the
    next: for the scores of a large vocabulary that takes a third of the time of computing them. The price is that the
    process stays as large as it ever was. For programs, not for libraries: it changes the whole process.

    Returns:
        whether it took effect; other C libraries and other systems are left as they are.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, _KEPT_BYTES))
