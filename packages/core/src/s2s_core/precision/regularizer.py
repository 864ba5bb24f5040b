"""L2 regularisation as a gradient, not a term of the loss."""

# torch's multi-tensor functions have no public names
# pyright: reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from s2s_core.part import Part


class L2Regularizer(Part):
    """Adds ``scale * w`` to the gradients: the gradient of ``scale / 2 * sum(w ** 2)``.

    What is regularised is every parameter named ``weight...`` outside embeddings: kernels of convolutions, linear
    and recurrent layers, and the gains (gamma) of norms; no bias, no shift (beta). That is OpenSeq2Seq's choice.
    Called on unscaled gradients before clipping and LARC, so that it counts in the gradient's norm; on float32
    master weights where there are any. Parameters without a gradient are left alone. The reported loss does not
    include the term; OpenSeq2Seq's did.

    Args:
        scale: the factor of ``w``.
        exclude: patterns (``*`` and ``?``) of parameter names to leave out, as in ``named_parameters``.
    """

    def __init__(self, scale: float, exclude: list[str] | None = None) -> None:
        if scale < 0.0:
            raise ValueError(f"scale: expected at least 0, got {scale}")
        self.scale = scale
        self.exclude = exclude or []

    @torch.no_grad()
    def __call__(self, module: nn.Module, stand_ins: Mapping[str, Tensor] | None = None) -> None:
        """Add to the gradients of the module's parameters.

        Args:
            module: whose parameters to regularise.
            stand_ins: by name, what is trained in place of a parameter: the part of it that lies on this rank.
        """
        weights, grads = [], []
        for name, own in self.regularized(module).items():
            weight = (stand_ins or {}).get(name, own)
            if weight.grad is not None:
                weights.append(weight)
                grads.append(weight.grad)
        if grads:
            torch._foreach_add_(grads, weights, alpha=self.scale)

    def regularized(self, module: nn.Module) -> dict[str, Tensor]:
        """The parameters that are regularised, by name, each once however many layers share it."""
        chosen: dict[str, Tensor] = {}
        seen: set[int] = set()
        for prefix, layer in module.named_modules():
            if isinstance(layer, nn.Embedding | nn.EmbeddingBag):
                continue
            for own_name, param in layer.named_parameters(prefix, recurse=False):
                is_weight = own_name.rpartition(".")[2].startswith("weight")
                excluded = any(fnmatchcase(own_name, pattern) for pattern in self.exclude)
                if is_weight and not excluded and id(param) not in seen:
                    seen.add(id(param))
                    chosen[own_name] = param
        return chosen
