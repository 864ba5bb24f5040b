"""Kernels compiled for this machine, where it has a C++ compiler, among them the cells of `s2s_core.nn.cells`."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import subprocess
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from s2s_core.nn.cells import BackwardPass, ForwardPass, Kept
from s2s_core.nn.processor import processor

_log = logging.getLogger(__name__)

SOURCE = Path(__file__).with_name("recurrence.cpp")
HEADERS = SOURCE.parent
"""What the kernels of all packages may include."""
FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-pthread", "-fno-math-errno")
GATES = {"gru": 3, "lstm": 4}
COMPILE_SECONDS = 120

_INTEGERS = ("steps", "batch", "hidden", "reverse", "products", "output_stride")
_POINTERS = (
    *("batch_sizes", "offsets", "weight", "previous", "previous_cell", "activations"),
    *("gates", "bias", "outputs", "state", "cell"),
    *("grad_outputs", "grad_state", "grad_cell", "grad_gates", "grad_recurrent"),
)


class _Direction(ctypes.Structure):
    """The struct of the same name in ``recurrence.cpp``."""

    _fields_ = [(name, ctypes.c_int64) for name in _INTEGERS] + [(name, ctypes.c_void_p) for name in _POINTERS]


class NativeCells:
    """A layer's steps on torch's threads, of which each direction has half; no lock is held meanwhile.

    For float32. A direction whose weight is bfloat16 multiplies float32 states by bfloat16 weights, or where the
    processor has tiles (AMX) states and gradients that are rounded to bfloat16, as torch's own layers do.
    """

    def __init__(self, library: ctypes.CDLL, cell: str) -> None:
        self._run = library.s2s_recurrence
        self._gates = GATES[cell]

    def forward(self, directions: list[ForwardPass]) -> None:
        structs = []
        for one in directions:
            tensors = {"gates": one.gates, "bias": one.bias.contiguous(), "outputs": one.outputs}
            tensors |= {"state": one.hidden, "cell": one.cell}
            structs.append(_Arguments(one, one.kept, one.hidden, one.outputs, tensors))
        self._call(structs, backward=False)

    def backward(self, directions: list[BackwardPass]) -> None:
        structs = []
        for one in directions:
            tensors = {"grad_outputs": one.grad_outputs, "grad_state": one.grad_hidden, "grad_cell": one.grad_cell}
            tensors |= {"grad_gates": one.grad_gates, "grad_recurrent": one.grad_recurrent}
            structs.append(_Arguments(one, one.kept, one.grad_hidden, one.grad_outputs, tensors))
        self._call(structs, backward=True)

    def _call(self, directions: list[_Arguments], backward: bool) -> None:
        structs = (_Direction * len(directions))(*(one.struct for one in directions))
        numbers = (len(directions), self._gates, int(backward), torch.get_num_threads())
        self._run(structs, *(ctypes.c_int64(number) for number in numbers))


class _Arguments:
    """A struct, and the tensors that it points to for as long as it lives."""

    def __init__(
        self,
        one: ForwardPass | BackwardPass,
        kept: Kept | None,
        state: Tensor,
        outputs: Tensor,
        tensors: dict[str, Tensor | None],
    ) -> None:
        self.products = 0 if one.weight.dtype != torch.bfloat16 else 2 if has_tiles() else 1
        self.tensors = {
            **tensors,
            "batch_sizes": torch.tensor(one.steps.batch_sizes),
            "offsets": torch.tensor(one.steps.offsets),
            "weight": one.weight.float().contiguous(),
        }
        if kept is not None:
            self.tensors |= {"previous": kept.previous, "activations": kept.activations}
            self.tensors |= {"previous_cell": kept.previous_cell}
        self.struct = _Direction(
            steps=len(one.steps.batch_sizes),
            batch=state.size(0),
            hidden=state.size(1),
            reverse=int(one.steps.reverse),
            products=self.products,
            output_stride=outputs.stride(0),
            **{name: tensor.data_ptr() for name, tensor in self.tensors.items() if tensor is not None},
        )


def native_cells(cell: str) -> NativeCells | None:
    """Return the compiled cells, or None where they cannot be had.

    The first use in a machine's life compiles ``recurrence.cpp`` (some seconds) into ``S2S_CACHE_DIR``, by default
    ``~/.cache/s2s``. Without a compiler, or with ``S2S_NATIVE=0``, the cells in torch operations serve: the
    same values to rounding, slower. The log says so once.
    """
    library = load_library()
    return None if library is None else NativeCells(library, cell)


@functools.cache
def has_tiles() -> bool:
    """Whether the compiled cells multiply bfloat16 in tiles (AMX)."""
    library = load_library()
    return library is not None and bool(library.s2s_tiles())


@functools.cache
def load_library(source: Path = SOURCE) -> ctypes.CDLL | None:
    """The compiled kernels of a file; None, with one line in the log, where they cannot be had."""
    if os.environ.get("S2S_NATIVE") == "0":
        return None
    try:
        return ctypes.CDLL(str(compiled(source)))
    except (OSError, subprocess.SubprocessError) as error:
        reason = str(error).strip().splitlines()[0]
        _log.warning("%s runs in torch operations, slower: it cannot be compiled (%s)", source.name, reason)
        return None


def compiled(source: Path) -> Path:
    """The library made of a file, which may include the headers here; in the cache, compiled where it is not there yet.

    Raises:
        OSError: where there is no compiler.
        subprocess.SubprocessError: where it fails.
    """
    compiler = os.environ.get("CXX", "c++")
    version = subprocess.run([compiler, "--version"], capture_output=True, check=True, timeout=COMPILE_SECONDS).stdout
    # a home directory may be shared by machines, and -march=native means another thing on each
    texts = [file.read_bytes() for file in (source, *sorted(HEADERS.glob("*.h")))]
    key = hashlib.sha256(b"\0".join([*texts, version, " ".join(FLAGS).encode(), processor().encode()]))
    target = _cache() / f"{source.stem}-{key.hexdigest()[:16]}.so"
    if not target.exists():
        _log.info("compiling %s for this processor, once", source.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            made = Path(scratch) / target.name
            command = [compiler, *FLAGS, f"-I{HEADERS}", str(source), "-o", str(made)]
            subprocess.run(command, capture_output=True, check=True, timeout=COMPILE_SECONDS)
            made.replace(target)  # atomic: processes that start together may all compile
    return target


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("S2S_CACHE_DIR") or Path(base) / "s2s")
