"""Finding the layer where half precision overflows."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class OverflowWatch:
    """Looks at the outputs of all layers in one forward pass, once armed: it waits for the device at each of them."""

    def __init__(self) -> None:
        self._armed = False
        self.first_layer: str | None = None
        """Where the last watched pass first gave something infinite or NaN; None if nowhere."""

    def arm(self) -> None:
        """Watch the next pass."""
        self._armed = True

    @contextmanager
    def watching(self, module: nn.Module) -> Generator[None, None, None]:
        """Watch what runs inside, if armed."""
        if not self._armed:
            yield
            return
        self._armed, self.first_layer = False, None
        handles = [
            layer.register_forward_hook(lambda _layer, _inputs, output, name=name: self._look(name, output))
            for name, layer in module.named_modules()
            if name and not any(layer.children())
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _look(self, name: str, output: Any) -> None:
        tensors = output if isinstance(output, tuple | list) else [output]
        finite = all(bool(torch.isfinite(t).all()) for t in tensors if isinstance(t, Tensor) and t.is_floating_point())
        if not finite and self.first_layer is None:
            self.first_layer = name


def overflowing_layers(module: nn.Module) -> list[str]:
    """The layers with a parameter whose gradient is not finite, in the module's order."""
    layers: dict[str, None] = {}
    for name, parameter in module.named_parameters():
        if parameter.grad is not None and not bool(torch.isfinite(parameter.grad).all()):
            layers[name.rpartition(".")[0] or name] = None
    return list(layers)


def describe_overflow(module: nn.Module, scale: float, watch: OverflowWatch) -> str:
    """One line that names the layer which overflows, and what to try.

    Gradients flow from the last layer to the first, so of the layers with infinite gradients the last in the module's
    order is where they overflowed, in so far as layers are made in the order of their use.
    """
    layers = overflowing_layers(module)
    if watch.first_layer is not None:
        layer = watch.first_layer
        found = f"layer '{layer}' is the first whose output overflows, so no loss scale helps"
    elif layers:
        layer = layers[-1]
        found = f"the gradients overflow at layer '{layer}' ({len(layers)} layers in all)"
    else:
        return f"the gradients overflow at the smallest loss scale {scale:g}"
    remedies = f"keep it in float32 (float32_modules: ['{layer}']), lower the learning rate, or take bf16"
    return f"{found}; the loss scale is at its minimum {scale:g}: {remedies}"
