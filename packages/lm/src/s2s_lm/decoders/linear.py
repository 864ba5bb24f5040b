"""The output layer that scores every token, with weights of its own or the embeddings'."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s_lm.encoders.recurrence import EMBEDDING_RANGE
from s2s_lm.interfaces import LmDecoder, LmEncoder
from s2s_lm.linear_cross_entropy import linear_cross_entropy, linear_nll


class LinearDecoder(LmDecoder):
    """A linear layer and a softmax over the whole vocabulary.

    Args:
        in_features: the size of an encoding.
        vocab_size: the number of tokens.
        tied: share the encoder's embeddings (Press and Wolf 2017, Inan et al. 2017); the bias stays its own.
        bias: whether there is one.
    """

    def __init__(self, in_features: int, vocab_size: int, tied: bool = True, bias: bool = True) -> None:
        super().__init__()
        self.in_features, self.vocab_size, self.tied = in_features, vocab_size, tied
        self.weight = nn.Parameter(torch.empty(vocab_size, in_features).uniform_(-EMBEDDING_RANGE, EMBEDDING_RANGE))
        self.bias = nn.Parameter(torch.zeros(vocab_size)) if bias else None

    @classmethod
    def examples(cls) -> list[LinearDecoder]:
        return [cls(6, 11, tied=False), cls(6, 11, bias=False)]

    def tie(self, encoder: LmEncoder) -> None:
        if not self.tied:
            return
        weight = encoder.tied_weight()
        if weight is None or weight.shape != self.weight.shape:
            found = "none that can be shared" if weight is None else str(tuple(weight.shape))
            raise ValueError(f"decoder.tied: needs embeddings {tuple(self.weight.shape)}, the encoder has {found}")
        self.weight = weight

    def log_probs(self, encodings: Tensor) -> Tensor:
        return F.log_softmax(F.linear(encodings, self.weight, self.bias).float(), dim=-1)

    def nll(self, encodings: Tensor, targets: Tensor) -> Tensor:
        return linear_nll(encodings, self.weight, self.bias, targets)

    def total_nll(self, encodings: Tensor, targets: Tensor) -> Tensor:
        return linear_cross_entropy(encodings, self.weight, self.bias, targets)
