"""The compiled steps of a Tacotron 2 decoder: weights packed as they are read, and the call."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from s2s_core.nn.native import load_library

SOURCE = Path(__file__).with_name("tacotron2_steps.cpp")
LANES, PANEL = 16, 64

_SIZES = ("steps", "rows", "tokens", "hidden", "memory", "size", "kernel", "bfloat16", "only_forward", "threads")
_INPUTS = (
    *("lengths", "recurrent", "query", "keys", "values", "location", "score"),
    *("hidden_state", "cell", "context", "weights", "cumulative"),
    *("gates", "keep", "all_hidden", "activations", "all_cells", "all_contexts", "all_weights"),
)
_FREE_SIZES = ("mels", "outputs", "prenet", "prenet_layers")
_FREE_INPUTS = (
    *("prenet_weights", "prenet_masks", "second", "projection", "bias", "second_bias", "projection_bias"),
    *("second_state", "second_cell", "frame", "made"),
)


class _Loop(ctypes.Structure):
    """The struct of the same name in ``tacotron2_steps.cpp``."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in _SIZES),
        *((name, ctypes.c_void_p) for name in _INPUTS),
        *((name, ctypes.c_int64) for name in _FREE_SIZES),
        *((name, ctypes.c_void_p) for name in _FREE_INPUTS),
        ("stop_logit", ctypes.c_double),
        ("limits", ctypes.c_void_p),
        ("done", ctypes.c_int64),
    ]


def native_steps(like: Tensor, *sizes: int) -> Any:
    """The compiled function for tensors like this one and layers of these sizes, or None where torch has to serve.

    It takes float32 on the host and layers whose sizes are multiples of 16, and needs a C++ compiler once; see
    `s2s_core.nn.native`.
    """
    if like.device.type != "cpu" or like.dtype != torch.float32 or any(size % LANES for size in sizes):
        return None
    library = load_library(SOURCE)
    return None if library is None else library.s2s_tacotron2_steps


def packed_linear(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """``(outputs, inputs)`` as panels ``(panel, inputs, 64)``, zeros beyond the last output."""
    padded = F.pad(weight.detach(), (0, 0, 0, -len(weight) % PANEL))
    return padded.unflatten(0, (-1, PANEL)).transpose(1, 2).to(dtype).contiguous()


def packed_gates(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """``(4 * hidden, inputs)`` as panels of 16 units of each gate, ``(panel, inputs, 4 * 16)``."""
    by_gate = weight.detach().unflatten(0, (4, -1, LANES))
    return by_gate.permute(1, 3, 0, 2).flatten(2).to(dtype).contiguous()


def packed_location(weight: Tensor) -> Tensor:
    """``(size, 2, kernel)`` to ``(2 * kernel, size)``."""
    return weight.detach().flatten(1).t().contiguous()


def call(
    function: Any, tensors: dict[str, Tensor | None], lists: dict[str, Sequence[Tensor | None]], **numbers: Any
) -> int:
    """Run the steps; returns how many were made.

    Args:
        function: what `native_steps` gave.
        tensors: contiguous, by the names of the struct.
        lists: of tensors, likewise.
        numbers: the rest of the struct.
    """
    arrays = {
        name: (ctypes.c_void_p * len(items))(*(None if item is None else item.data_ptr() for item in items))
        for name, items in lists.items()
    }
    for name, tensor in tensors.items():
        assert tensor is None or tensor.is_contiguous(), name
    pointers = {name: tensor.data_ptr() for name, tensor in tensors.items() if tensor is not None}
    pointers |= {name: ctypes.addressof(array) for name, array in arrays.items()}
    struct = _Loop(threads=torch.get_num_threads(), **numbers, **pointers)
    function(ctypes.byref(struct))
    return int(struct.done)
