"""Language models that learn from the text they score: a pointer into the recent past, and dynamic evaluation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from s2s_lm.interfaces import LmDecoder


class Adaptation(ABC):
    """Turns the encodings of each segment, in order, into negative log-probabilities; every target is scored before
    anything is learnt from it."""

    wants_gradients: bool = False

    @abstractmethod
    def nll(self, decoder: LmDecoder, encodings: Tensor, targets: Tensor) -> Tensor:
        """Score ``targets`` (count,) under encodings ``(count, features)``, and learn from them."""


class NoAdaptation(Adaptation):
    """The model as it was trained."""

    def nll(self, decoder: LmDecoder, encodings: Tensor, targets: Tensor) -> Tensor:
        return decoder.nll(encodings, targets)


@dataclass
class CacheOptions:
    """The neural cache; the defaults are those of AWD-LSTM for WikiText-2 (pointer.py of its authors)."""

    window: int = 3785
    """How many positions are remembered."""
    flatness: float = 0.6625
    """What inner products of encodings are multiplied by (theta)."""
    weight: float = 0.1279
    """The pointer's share of the probability (lambda)."""


class NeuralCache(Adaptation):
    """The continuous cache (Grave et al. 2017, https://arxiv.org/abs/1612.04426, section 3).

    ``(1 - weight) * p(w) + weight * sum over i of softmax_i(flatness * h h_i) [w_i+1 = w]`` over the last ``window``
    encodings. Before anything is remembered the weight is 0, so that probabilities sum to 1 from the first token on.
    """

    def __init__(self, options: CacheOptions) -> None:
        if not 0 <= options.weight < 1:
            raise ValueError(f"cache weight must be in [0, 1), got {options.weight}")
        if options.window < 1:
            raise ValueError(f"cache window must be at least 1, got {options.window}")
        self.options = options
        self._keys: Tensor | None = None
        self._next: Tensor | None = None

    def nll(self, decoder: LmDecoder, encodings: Tensor, targets: Tensor) -> Tensor:
        keys = encodings if self._keys is None else torch.cat([self._keys, encodings])
        following = targets if self._next is None else torch.cat([self._next, targets])
        past, window = len(keys) - len(encodings), self.options.window
        place = torch.arange(len(keys), device=keys.device)
        query = past + torch.arange(len(encodings), device=keys.device)
        seen = (place < query[:, None]) & (place >= query[:, None] - window)
        scores = (self.options.flatness * encodings.float() @ keys.float().T).masked_fill(~seen, -torch.inf)
        shares = torch.softmax(scores, dim=1).nan_to_num(0.0)  # the first token has nothing to look at
        pointed = (shares * (following == targets[:, None])).sum(1)
        weight = torch.where(seen.any(1), self.options.weight, 0.0)
        own = torch.exp(-decoder.nll(encodings, targets))
        self._keys, self._next = keys[-window:], following[-window:]
        return -torch.log((1 - weight) * own + weight * pointed)


@dataclass
class DynamicOptions:
    """Dynamic evaluation by gradient steps on what was just scored."""

    rate: float = 0.1
    """Of a step."""
    decay: float = 0.0
    """Share of the way back to the trained weights after each step."""
    max_norm: float = 0.25
    """Longer gradients are shortened to this."""


class DynamicEvaluation(Adaptation):
    """Gradient steps along the text (Krause et al. 2018, https://arxiv.org/abs/1709.07432): the SGD variant with decay.

    Each segment is scored with the weights as they are, then they take one step down the gradient of its mean loss
    and a step back towards the trained ones. The paper's RMS variant needs gradient statistics of the training
    set, which a checkpoint does not hold. Weights stay changed until `restore`.
    """

    wants_gradients = True

    def __init__(self, model: nn.Module, options: DynamicOptions) -> None:
        if options.rate < 0 or not 0 <= options.decay <= 1:
            raise ValueError(f"dynamic evaluation: rate {options.rate} and decay {options.decay} must not be negative")
        self.options = options
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self._trained = [p.detach().clone() for p in self._parameters]

    def nll(self, decoder: LmDecoder, encodings: Tensor, targets: Tensor) -> Tensor:
        scores = decoder.nll(encodings, targets)
        gradients = torch.autograd.grad(scores.mean(), self._parameters, allow_unused=True)
        found = [g for g in gradients if g is not None]
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in found]))
        step = self.options.rate * float((self.options.max_norm / (norm + 1e-6)).clamp(max=1.0))
        with torch.no_grad():
            for parameter, gradient, trained in zip(self._parameters, gradients, self._trained, strict=True):
                if gradient is not None:
                    parameter.sub_(gradient, alpha=step)
                    parameter.lerp_(trained, self.options.decay)
        return scores.detach()

    @torch.no_grad()
    def restore(self) -> None:
        """Put the trained weights back."""
        for parameter, trained in zip(self._parameters, self._trained, strict=True):
            parameter.copy_(trained)
