"""Adaptive input: token vectors whose size falls with the tokens' frequency."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class AdaptiveEmbedding(nn.Module):
    """Vectors of ``features / divisor ** band`` numbers, projected to ``features`` (Baevski and Auli 2019, section 3).

    Args:
        vocab_size: the number of tokens, ids by falling frequency.
        features: of the result.
        cutoffs: the first id of each band but the first; none at all is an ordinary embedding.
        divisor: by which each band's vectors are smaller than the one's before.
    """

    def __init__(self, vocab_size: int, features: int, cutoffs: list[int], divisor: float = 4.0) -> None:
        super().__init__()
        self.cutoffs = list(cutoffs)
        bands = band_sizes(cutoffs, vocab_size)
        widths = [max(1, int(features / divisor**band)) for band in range(len(bands))]
        self.vectors = nn.ParameterList(
            nn.Parameter(torch.randn(size, width) * width**-0.5) for size, width in zip(bands, widths, strict=True)
        )
        # transposed, they also bring encodings down to a band's size
        self.projections = nn.ParameterList(
            nn.Parameter(torch.randn(features, width) * features**-0.5) for width in widths[1:]
        )
        self.shape = (vocab_size, features, tuple(cutoffs), tuple(widths))

    def forward(self, tokens: Tensor) -> Tensor:
        """Vectors ``(..., features)`` of tokens ``(...)``."""
        if not self.cutoffs:
            return F.embedding(tokens, self.vectors[0])
        flat = tokens.flatten().contiguous()
        bands = torch.bucketize(flat, torch.tensor(self.cutoffs, device=tokens.device), right=True)
        first = [0, *self.cutoffs]
        out: Tensor | None = None
        for band, vectors in enumerate(self.vectors):
            rows = (bands == band).nonzero().squeeze(1)
            found = F.embedding(flat[rows] - first[band], vectors)
            found = found if band == 0 else F.linear(found, self.projections[band - 1])
            if out is None:
                out = found.new_zeros(len(flat), self.shape[1])
            out = out.index_copy(0, rows, found.to(out.dtype))
        assert out is not None
        return out.unflatten(0, tokens.shape)

    def reduce(self, encodings: Tensor, band: int) -> Tensor:
        """Encodings ``(count, features)`` in a band's own size."""
        return encodings if band == 0 else F.linear(encodings, self.projections[band - 1].t())


def band_sizes(cutoffs: list[int], vocab_size: int) -> list[int]:
    """How many tokens each band has."""
    edges = [0, *cutoffs, vocab_size]
    return [end - start for start, end in itertools.pairwise(edges)]


def check_cutoffs(cutoffs: list[int], vocab_size: int, divisor: float) -> None:
    """Raise ValueError unless the bands are at least one token each and the divisor is at least 1."""
    if not cutoffs or min(band_sizes(cutoffs, vocab_size)) < 1:
        raise ValueError(f"cutoffs must rise from 1 to below vocab_size {vocab_size}, got {cutoffs}")
    if divisor < 1:
        raise ValueError(f"divisor must be at least 1, got {divisor}")
