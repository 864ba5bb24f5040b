"""Half-precision copies of a module's weights that take their place while the module runs."""

# torch's multi-tensor functions have no public names
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

_NORM = re.compile(r"Norm(\d+d)?$")
CHUNK_NUMBERS = 1 << 24
"""How many gradients are cast at a time: bounds what both precisions of them occupy together."""


@dataclass
class _Place:
    """Where a parameter stands in a module; a shared one has several."""

    owner: nn.Module
    name: str
    master: nn.Parameter
    copy: nn.Parameter


class HalfCopies:
    """Copies of a module's float32 parameters in half precision, one for each parameter however many layers share it.

    At rest the module holds its masters, so that everything that reads or changes weights (checkpoints, averages,
    regularisers, optimizers) does so in float32 and knows nothing of the copies. While the module runs, the copies
    stand in the masters' places and collect the gradients.

    Norms keep their parameters in float32 and return the type that they were given. Modules named by a pattern run in
    float32 altogether.

    Args:
        module: whose parameters to copy, already on its device.
        dtype: of the copies.
        float32_modules: patterns (``*`` and ``?``) of modules to leave in float32, as in ``named_modules``, with all
            that they contain.

    Raises:
        ValueError: if a pattern names no module.
    """

    def __init__(self, module: nn.Module, dtype: torch.dtype, float32_modules: list[str]) -> None:
        self._handles: list[RemovableHandle] = []
        kept = self._keep_in_float32(module, float32_modules)
        copies: dict[nn.Parameter, nn.Parameter] = {}
        self._memory: dict[nn.Parameter, Tensor] = {}
        self._places: list[_Place] = []
        self._recurrent: list[nn.RNNBase] = []
        for layer in module.modules():
            if layer in kept:
                continue
            for name, master in layer._parameters.items():
                if master is None or master.dtype != torch.float32:
                    continue
                if master not in copies:
                    copies[master] = nn.Parameter(master.detach().to(dtype), requires_grad=master.requires_grad)
                self._places.append(_Place(layer, name, master, copies[master]))
            if isinstance(layer, nn.RNNBase):
                self._recurrent.append(layer)
        self.pairs = list(copies.items())
        """(master, copy), each parameter once."""
        with self.installed():
            for layer in self._recurrent:
                layer.flatten_parameters()

    def _keep_in_float32(self, module: nn.Module, patterns: list[str]) -> set[nn.Module]:
        kept: set[nn.Module] = set()
        named = dict(module.named_modules())
        device = next((parameter.device.type for parameter in module.parameters()), "cpu")
        for layer in named.values():
            if _NORM.search(type(layer).__name__):
                kept.add(layer)
                self._handles.append(layer.register_forward_hook(_return_the_given_type))
        for pattern in patterns:
            chosen = [layer for name, layer in named.items() if fnmatchcase(name, pattern)]
            if not chosen:
                raise ValueError(f"float32_modules: no module of {type(module).__name__} is called {pattern!r}")
            for layer in chosen:
                kept.update(layer.modules())
                self._handles += _run_in_float32(layer, device)
        return kept

    @contextmanager
    def installed(self) -> Generator[None, None, None]:
        """The copies stand in the masters' places."""
        self.install()
        try:
            yield
        finally:
            self.remove()

    def install(self) -> None:
        for place in self._places:
            place.owner._parameters[place.name] = place.copy
        self._renew_lists()

    def remove(self) -> None:
        for place in self._places:
            place.owner._parameters[place.name] = place.master
        self._renew_lists()

    def _renew_lists(self) -> None:
        # torch's recurrent layers keep a list of their weights beside the weights
        for layer in self._recurrent:
            layer._flat_weights = [getattr(layer, name) for name in layer._flat_weights_names]

    @torch.no_grad()
    def refresh(self) -> None:
        """Give the copies the masters' values. OpenSeq2Seq saturated them; beyond float16's range nothing helps."""
        if self.pairs:
            masters: list[Tensor] = [master for master, _ in self.pairs]
            copies: list[Tensor] = [copy for _, copy in self.pairs]
            torch._foreach_copy_(copies, masters)

    @torch.no_grad()
    def move_gradients(self) -> None:
        """Add the copies' gradients to the masters' in float32, and clear them.

        On the host a master's gradient lies in the same memory at each step, as new memory costs more there than the
        sum. Elsewhere it is freed with the gradient, and serves the next step's activations.
        """
        for chunk in self._chunks():
            arrived = [copy.grad for _, copy in chunk if copy.grad is not None]
            wide: list[Tensor] = []
            sums: list[Tensor] = []
            addends: list[Tensor] = []
            for (master, copy), grad in zip(chunk, arrived, strict=True):
                copy.grad = None
                if master.grad is None:
                    master.grad = self._memory_of(master, grad)
                    wide.append(master.grad)
                else:
                    wide.append(torch.empty_like(grad, dtype=torch.float32))
                    sums.append(master.grad)
                    addends.append(wide[-1])
            torch._foreach_copy_(wide, arrived)
            if sums:
                torch._foreach_add_(sums, addends)

    def _memory_of(self, master: nn.Parameter, grad: Tensor) -> Tensor:
        if grad.device.type != "cpu":
            return torch.empty_like(grad, dtype=torch.float32)
        memory = self._memory.get(master)
        if memory is None or memory.stride() != grad.stride():
            memory = self._memory[master] = torch.empty_like(grad, dtype=torch.float32)
        return memory

    def _chunks(self) -> Iterator[list[tuple[nn.Parameter, nn.Parameter]]]:
        chunk: list[tuple[nn.Parameter, nn.Parameter]] = []
        size = 0
        for master, copy in self.pairs:
            if copy.grad is None:
                continue
            chunk.append((master, copy))
            size += copy.numel()
            if size >= CHUNK_NUMBERS:
                yield chunk
                chunk, size = [], 0
        if chunk:
            yield chunk

    @torch.no_grad()
    def return_gradients(self) -> None:
        """Give the masters' sums back to the copies: a reduction over processes sees only those."""
        for master, copy in self.pairs:
            if master.grad is not None:
                copy.grad = master.grad.to(copy.dtype)
                master.grad = None

    def hand_over(self, optimizer: Optimizer) -> None:
        """Let an optimizer that was made for the copies own the masters."""
        master_of: dict[Tensor, Tensor] = {copy: master for master, copy in self.pairs}
        for group in optimizer.param_groups:
            group["params"] = [master_of.get(param, param) for param in group["params"]]
        for copy in [param for param in optimizer.state if param in master_of]:
            master = master_of[copy]
            optimizer.state[master] = {key: _widened(value, copy) for key, value in optimizer.state.pop(copy).items()}

    def release(self) -> None:
        """Leave the module as it was."""
        self.remove()
        for handle in self._handles:
            handle.remove()
        self._places, self.pairs, self._handles, self._recurrent = [], [], [], []
        self._memory = {}


def keep_norms_in_float32(module: nn.Module, patterns: list[str]) -> None:
    """Let the norms of a module whose weights are half, and what patterns name, compute in float32 all the same.

    Their weights are widened for each use, so they have the digits of the half type. For good: there is no way back.
    """
    device = next((parameter.device.type for parameter in module.parameters()), "cpu")
    for name, layer in module.named_modules():
        if _NORM.search(type(layer).__name__):
            _widen_weights(layer)
            layer.register_forward_hook(_return_the_given_type)
        elif any(fnmatchcase(name, pattern) for pattern in patterns):
            for inner in layer.modules():
                _widen_weights(inner)
            _run_in_float32(layer, device)


def _widen_weights(layer: nn.Module) -> None:
    stored: list[dict[str, Any]] = []

    def enter(_layer: nn.Module, _inputs: Any) -> None:
        stored.append(dict(layer._parameters))
        layer._parameters.update({name: _wide(p) for name, p in layer._parameters.items()})

    def leave(_layer: nn.Module, _inputs: Any, _output: Any) -> None:
        layer._parameters.update(stored.pop())

    # within DeepSpeed's own hooks, which bring and take away the weights
    layer.register_forward_pre_hook(enter)
    layer.register_forward_hook(leave, prepend=True, always_call=True)


def _widened(value: Any, copy: Tensor) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype == copy.dtype else value


def _return_the_given_type(_layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
    given = next((x for x in inputs if isinstance(x, Tensor)), None)
    half = given is not None and given.dtype in (torch.float16, torch.bfloat16)
    return output.to(given.dtype) if given is not None and half and isinstance(output, Tensor) else output


def _run_in_float32(layer: nn.Module, device: str) -> list[RemovableHandle]:
    """Make a layer compute in float32: what it is given is cast, and autocast is off within."""
    contexts: list[torch.autocast] = []

    def enter(_layer: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        context = torch.autocast(device, enabled=False)
        context.__enter__()
        contexts.append(context)
        return tuple(_wide(x) for x in inputs), {key: _wide(x) for key, x in options.items()}

    def leave(_layer: nn.Module, _inputs: Any, _output: Any) -> None:
        contexts.pop().__exit__(None, None, None)

    return [
        layer.register_forward_pre_hook(enter, with_kwargs=True),
        layer.register_forward_hook(leave, always_call=True),
    ]


def _wide(value: Any) -> Any:
    if isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16):
        return value.float()
    return type(value)(_wide(x) for x in value) if type(value) in (tuple, list) else value
