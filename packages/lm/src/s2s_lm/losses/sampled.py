"""Cross entropy against a sample of the vocabulary, for vocabularies too large to score whole at each step."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from s2s_core.losses.reduction import LossSum
from s2s_lm.decoders.linear import LinearDecoder
from s2s_lm.interfaces import LmDecoder, LmLoss


class SampledSoftmax(LmLoss):
    """Softmax over the true token and a sample (Jean et al. 2015, https://arxiv.org/abs/1412.2007, section 3).

    Tokens are drawn log-uniformly by rank, ``q(k) = log((k + 2) / (k + 1)) / log(vocab + 1)``, so ids must go by
    falling frequency, as ``prepare text`` writes them. ``samples`` draws with replacement serve all positions of a
    segment. A drawn token enters the sum with weight ``times drawn / (samples * q)`` and the true one with weight 1,
    its own draws left out: the estimate of the softmax's denominator is unbiased. (TensorFlow's sampler, which
    OpenSeq2Seq used, draws without replacement; its estimate is unbiased too.)

    Args:
        samples: how many are drawn.
    """

    def __init__(self, samples: int = 8192) -> None:
        super().__init__()
        if samples < 1:
            raise ValueError(f"samples must be at least 1, got {samples}")
        self.samples = samples

    @classmethod
    def examples(cls) -> list[SampledSoftmax]:
        return [cls(5)]

    def forward(self, decoder: LmDecoder, encodings: Tensor, targets: Tensor) -> LossSum:
        if not isinstance(decoder, LinearDecoder):
            raise ValueError(f"SampledSoftmax needs a LinearDecoder, got {type(decoder).__name__}")
        valid = targets >= 0
        wanted = targets.clamp(min=0)
        true = (encodings * F.embedding(wanted, decoder.weight).to(encodings.dtype)).sum(1).float()
        others = self.log_denominator_of_others(decoder, encodings, wanted)
        if decoder.bias is not None:
            true = true + decoder.bias[wanted].float()
        losses = torch.logaddexp(true, others) - true
        return LossSum(losses.masked_fill(~valid, 0.0).sum(), valid.sum().float())

    def log_denominator_of_others(self, decoder: LinearDecoder, encodings: Tensor, targets: Tensor) -> Tensor:
        """Log of an unbiased estimate ``(count,)`` of the sum of ``exp(logit)`` over all tokens but the true one."""
        size = decoder.vocab_size
        uniform = torch.rand(self.samples, device=encodings.device, dtype=torch.float64)
        drawn, times = torch.unique(
            (torch.exp(uniform * math.log(size + 1)) - 1).long().clamp(max=size - 1), return_counts=True
        )
        chance = torch.log1p(1 / (drawn + 1).double()) / math.log(size + 1)
        weights = torch.log(times / (self.samples * chance)).float()
        bias = None if decoder.bias is None else decoder.bias[drawn]
        logits = F.linear(encodings, F.embedding(drawn, decoder.weight), bias).float() + weights
        return torch.logsumexp(logits.masked_fill(drawn == targets[:, None], -torch.inf), dim=1)
