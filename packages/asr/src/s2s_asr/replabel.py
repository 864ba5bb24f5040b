"""Labels for repetition, with which no text has the same label twice in a row."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from s2s_core.nn.mask import length_mask


def pack_repeats(tokens: Tensor, lengths: Tensor, vocab_size: int, replabels: int) -> tuple[Tensor, Tensor]:
    """Write repetitions as labels (Collobert et al. 2016, https://arxiv.org/abs/1609.03193, section 2.3): "caterpillar"
    becomes "caterpil2ar".

    Label ``vocab_size + k - 1`` says that the label before it comes ``k`` times more. A longer run is cut into pieces
    of ``replabels + 1``. Without replabels a run becomes one label, and is lost. Reads nothing back from the device.

    Args:
        tokens: ``(batch, tokens)``.
        lengths: ``(batch,)``.
        vocab_size: labels without those for repetition.
        replabels: the most repetitions that one label stands for.

    Returns:
        packed ``(batch, tokens)``, zero behind each end, and their lengths ``(batch,)``.
    """
    batch, time = tokens.shape
    if time == 0:
        return tokens, lengths
    places = torch.arange(time, device=tokens.device).expand(batch, -1)
    real = length_mask(lengths, time)
    same = torch.zeros_like(real)
    same[:, 1:] = (tokens[:, 1:] == tokens[:, :-1]) & real[:, 1:]
    begins = torch.where(same, 0, places).cummax(dim=1).values
    within = places - begins
    if replabels:
        within = within % (replabels + 1)
    goes_on = torch.zeros_like(same)
    goes_on[:, :-1] = same[:, 1:]
    if replabels:
        goes_on &= within < replabels
    repeats = (within > 0) & ~goes_on & (replabels > 0)
    labels = torch.where(within > 0, vocab_size + within - 1, tokens)
    kept = real & ((within == 0) | repeats)
    # what is not kept goes to a column of its own
    targets = torch.where(kept, kept.cumsum(dim=1) - 1, time)
    packed = tokens.new_zeros(batch, time + 1).scatter(1, targets, labels)
    packed[:, time] = 0
    return packed[:, :time], kept.sum(dim=1)


def unpack_repeats(labels: Sequence[int], vocab_size: int) -> list[tuple[int, int]]:
    """The labels that a packed text spells, each with the place in ``labels`` that spells it.

    A repetition with nothing before it spells nothing.
    """
    found: list[tuple[int, int]] = []
    last: int | None = None
    for place, label in enumerate(labels):
        if label < vocab_size:
            last = label
            found.append((label, place))
        elif last is not None:
            found += [(last, place)] * (label - vocab_size + 1)
    return found
