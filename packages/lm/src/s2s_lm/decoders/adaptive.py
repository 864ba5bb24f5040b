"""Adaptive softmax and adaptive input: rare tokens get smaller vectors and are scored only when they are needed."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s_lm.adaptive_embedding import AdaptiveEmbedding, band_sizes, check_cutoffs
from s2s_lm.interfaces import LmDecoder, LmEncoder


class AdaptiveDecoder(LmDecoder):
    """Adaptive softmax (Grave et al. 2017, https://arxiv.org/abs/1609.04309) over bands of falling frequency.

    The head scores the most frequent tokens and, beside them, each band of rarer tokens as a whole; within band ``i``
    encodings are projected to ``in_features / divisor ** i``. Ids must go by falling frequency, as ``prepare text``
    writes them.

    Args:
        in_features: the size of an encoding.
        vocab_size: the number of tokens.
        cutoffs: the first id of each band but the first.
        divisor: by which each band's size is smaller than the one before.
        tied: share embeddings and projections with the encoder's `AdaptiveEmbedding` of the same bands (Baevski and
            Auli 2019, https://arxiv.org/abs/1809.10853, section 3).
    """

    def __init__(
        self, in_features: int, vocab_size: int, cutoffs: list[int], divisor: float = 4.0, tied: bool = True
    ) -> None:
        super().__init__()
        check_cutoffs(cutoffs, vocab_size, divisor)
        self.in_features, self.vocab_size, self.tied = in_features, vocab_size, tied
        self.cutoffs, self.divisor = list(cutoffs), divisor
        self.bands = AdaptiveEmbedding(vocab_size, in_features, cutoffs, divisor)
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(size)) for size in band_sizes(cutoffs, vocab_size))
        self.band_weight = nn.Parameter(torch.empty(len(cutoffs), in_features).uniform_(-0.01, 0.01))
        self.band_bias = nn.Parameter(torch.zeros(len(cutoffs)))

    @classmethod
    def examples(cls) -> list[AdaptiveDecoder]:
        return [cls(8, 11, [4, 8], 2.0, tied=False)]

    def tie(self, encoder: LmEncoder) -> None:
        if not self.tied:
            return
        theirs = getattr(encoder, "embedding", None)
        if not isinstance(theirs, AdaptiveEmbedding) or theirs.shape != self.bands.shape:
            raise ValueError("decoder.tied: needs an encoder with adaptive input of the same size, cutoffs and divisor")
        self.bands = theirs

    def _head(self, encodings: Tensor) -> Tensor:
        weight = torch.cat([self.bands.vectors[0].to(encodings.dtype), self.band_weight.to(encodings.dtype)])
        bias = torch.cat([self.biases[0], self.band_bias]).to(encodings.dtype)
        return F.log_softmax(F.linear(self.bands.reduce(encodings, 0), weight, bias).float(), dim=-1)

    def _band(self, encodings: Tensor, band: int) -> Tensor:
        scores = F.linear(self.bands.reduce(encodings, band), self.bands.vectors[band], self.biases[band])
        return F.log_softmax(scores.float(), dim=-1)

    def log_probs(self, encodings: Tensor) -> Tensor:
        head = self._head(encodings)
        first = self.cutoffs[0]
        parts = [head[:, :first]]
        parts += [
            head[:, first + band - 1, None] + self._band(encodings, band) for band in range(1, len(self.cutoffs) + 1)
        ]
        return torch.cat(parts, dim=1)

    def nll(self, encodings: Tensor, targets: Tensor) -> Tensor:
        first = self.cutoffs[0]
        head = self._head(encodings)
        edges = torch.tensor(self.cutoffs, device=targets.device)
        band_of = torch.bucketize(targets, edges, right=True)
        place = torch.where(band_of == 0, targets.clamp(min=0), first + band_of - 1)
        scores = head.gather(1, place[:, None]).squeeze(1)
        for band in range(1, len(self.cutoffs) + 1):
            rows = (band_of == band).nonzero().squeeze(1)
            within = self._band(encodings[rows], band)
            own = targets[rows] - self.cutoffs[band - 1]
            scores = scores.index_add(0, rows, within.gather(1, own[:, None]).squeeze(1))
        return -scores.masked_fill(targets < 0, 0.0)
