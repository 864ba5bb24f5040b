"""Models to be used and no longer trained: weights in another precision, laid out once for their products."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from s2s_core.errors import UserError
from s2s_core.nn.embedding import Embedding, Output
from s2s_core.nn.linear import Linear

ServingPrecision = Literal["fp32", "bf16"]
DTYPES: dict[ServingPrecision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}
ROWS = 256
"""For how many rows weights are laid out: a batch of hypotheses. Other numbers work too."""

Product = Callable[[Tensor], Tensor]
"""From ``(rows, in)`` to ``(rows, out)``."""


def prepare_for_serving(
    modules: Sequence[nn.Module], precision: ServingPrecision = "fp32", int8: bool = False
) -> list[nn.Module]:
    """Return copies of modules that share what the originals share, in evaluation mode, for inference only.

    On the host the weights of linear layers, of token scores among them, are laid out for oneDNN's products once
    instead of at every call.

    Args:
        modules: encoder and decoder, for example. They are not changed.
        precision: of all weights.
        int8: keep the weights of linear layers as 8-bit integers with a scale a row, and round what they multiply to
            as many with a scale a call (dynamic quantisation). Whatever else there is has ``precision``.

    Raises:
        UserError: if integers are asked for on another device than the host.
        ValueError: if the precision is unknown.
    """
    if precision not in DTYPES:
        raise ValueError(f"precision must be one of {', '.join(DTYPES)}, got {precision!r}")
    parameters = [parameter for module in modules for parameter in module.parameters()]
    on_host = all(parameter.device.type == "cpu" for parameter in parameters)
    if int8 and not on_host:
        raise UserError("8-bit integer weights are for the CPU; this model is on another device")
    served = nn.ModuleList(copy.deepcopy(list(modules))).eval().requires_grad_(False)
    served.to(DTYPES[precision])
    if int8 or (on_host and torch.backends.mkldnn.is_available()):
        _replace(served, int8, {})
    return list(served)


class ServedLinear(nn.Module):
    """A linear layer, or the scores of tokens, with its weight laid out."""

    def __init__(self, weight: Tensor, bias: Tensor | None, int8: bool, columns: int | None = None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.columns = columns
        self._product = _int8_product(weight, bias) if int8 else _packed_product(weight, bias)

    def forward(self, x: Tensor) -> Tensor:
        y = self._product(x.reshape(-1, self.in_features)).view(*x.shape[:-1], self.out_features)
        return y if self.columns is None or self.columns == self.out_features else y[..., : self.columns]


class ServedEmbedding(nn.Module):
    """Vectors of tokens, and scores of tokens by their vectors: an `Embedding` for inference."""

    def __init__(self, embedding: Embedding, int8: bool) -> None:
        super().__init__()
        self.embedding = embedding
        self.vocab_size = embedding.vocab_size
        self._int8 = int8
        self._output: ServedLinear | None = None

    def forward(self, tokens: Tensor) -> Tensor:
        return self.embedding(tokens)

    def scores(self, x: Tensor) -> Tensor:
        if self._output is None:  # many embeddings never score
            self._output = ServedLinear(self.embedding.weight, None, self._int8, self.vocab_size)
        return self._output(x)


def _replace(parent: nn.Module, int8: bool, done: dict[nn.Module, nn.Module]) -> None:
    """Put served layers in the place of trained ones, the same where one module stands in two places."""
    for name, child in list(parent.named_children()):
        if child not in done:
            done[child] = _served(child, int8)
            if done[child] is child:
                _replace(child, int8, done)
        if done[child] is not child:
            setattr(parent, name, done[child])


def _served(module: nn.Module, int8: bool) -> nn.Module:
    if isinstance(module, nn.Linear) and type(module) in (Linear, nn.Linear):  # others may use their weight otherwise
        return ServedLinear(module.weight, module.bias, int8)
    if isinstance(module, Output):
        return ServedLinear(module.weight, module.bias, int8, module.vocab_size)
    if isinstance(module, Embedding):
        return ServedEmbedding(module, int8)
    return module


def _packed_product(weight: Tensor, bias: Tensor | None) -> Product:
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)

    def product(x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x.to(weight.dtype), packed, bias, "none", [], "")

    return product


def _int8_product(weight: Tensor, bias: Tensor | None) -> Product:
    wide = weight.detach().float()
    scales = wide.abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / 127
    quantized = torch.quantize_per_channel(wide, scales, torch.zeros(len(wide), dtype=torch.int64), 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(quantized, None if bias is None else bias.detach().float())

    def product(x: Tensor) -> Tensor:
        return torch.ops.quantized.linear_dynamic(x.float(), packed).to(x.dtype)

    return product
