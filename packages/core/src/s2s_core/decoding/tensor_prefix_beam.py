"""Prefix beam search in tensor operations: every step handles all prefixes of all utterances at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from s2s_core.decoding.hypothesis import CtcHypothesis
from s2s_core.decoding.tensor_word_fusion import FusionTables, WordState, widest

if TYPE_CHECKING:
    from s2s_core.decoding.ctc_prefix_beam import CtcPrefixBeam
    from s2s_core.decoding.word_fusion import WordFusion

_NEVER = -torch.inf
_FACTOR, _STRIDE = 6364136223846793005, 1442695040888963407


@dataclass
class _Beam:
    """``(batch, width)`` each. Places that hold no prefix yet are impossible: both log-probabilities are -inf."""

    blank: Tensor
    label: Tensor
    """Log-probabilities of the paths that end in blank, and of those that do not."""
    last: Tensor
    """The last label, -1 in the empty prefix."""
    key: Tensor
    """Tells prefixes apart: a hash of 64 bits, as two of the same beam meet less often than memory fails."""
    parent_key: Tensor

    def pick(self, rows: Tensor) -> _Beam:
        return _Beam(*(part.gather(1, rows) for part in (self.blank, self.label, self.last, self.key, self.parent_key)))


def search(
    settings: CtcPrefixBeam, log_probs: Tensor, lengths: Tensor, fusion: WordFusion | None
) -> list[list[CtcHypothesis]]:
    """Search a batch on its device; see `CtcPrefixBeam`. No step waits for the device."""
    log_probs = log_probs.to(widest(log_probs.device))
    lengths = lengths.to(log_probs.device)
    tables = None if fusion is None else FusionTables.on(fusion, log_probs.device, log_probs.dtype)
    beam = _start(log_probs, settings.beam_width)
    words = None if tables is None else tables.start(*beam.last.shape)
    origins, labels = [], []
    for frame in range(log_probs.shape[1]):
        active = (frame < lengths)[:, None]
        beam, words, origin, label = _step(settings, beam, words, tables, log_probs[:, frame], active)
        origins.append(origin)
        labels.append(label)
    return _results(settings, beam, words, tables, origins, labels)


def _start(log_probs: Tensor, width: int) -> _Beam:
    shape = (len(log_probs), width)
    nothing = torch.full(shape, _NEVER, dtype=log_probs.dtype, device=log_probs.device)
    first = nothing.clone()
    first[:, 0] = 0.0
    number = torch.zeros(shape, dtype=torch.int64, device=log_probs.device)
    return _Beam(first, nothing, number - 1, number + 1, number)


def _step(
    settings: CtcPrefixBeam,
    beam: _Beam,
    words: WordState | None,
    tables: FusionTables | None,
    scores: Tensor,
    active: Tensor,
) -> tuple[_Beam, WordState | None, Tensor, Tensor]:
    """One frame, ``scores`` (batch, labels + 1). Also returns where each prefix comes from and its new label, or -1."""
    width, labels = beam.last.shape[1], scores.shape[1] - 1
    total = torch.logaddexp(beam.blank, beam.label)
    repeats = beam.last[..., None] == torch.arange(labels, device=scores.device)
    grown = torch.where(repeats, beam.blank[..., None], total[..., None]) + scores[:, None, :-1]
    last_score = scores.gather(1, beam.last.clamp(min=0)).masked_fill(beam.last < 0, _NEVER)
    blank, label = total + scores[:, -1:], beam.label + last_score
    # a prefix whose parent is in the beam too takes over what the parent grows by its last label
    possible = total > _NEVER
    is_parent = (beam.parent_key[:, :, None] == beam.key[:, None]) & possible[:, :, None] & possible[:, None]
    has_parent, parent = is_parent.any(2), is_parent.to(torch.int8).argmax(2)
    place = parent * labels + beam.last.clamp(min=0)
    flat = grown.flatten(1)
    label = torch.logaddexp(label, flat.gather(1, place).masked_fill(~has_parent, _NEVER))
    taken = torch.zeros_like(flat, dtype=torch.int8).scatter_reduce(1, place, has_parent.to(torch.int8), "amax")
    flat = flat.masked_fill(taken.bool(), _NEVER)
    ranks = [torch.logaddexp(blank, label), flat]
    if words is not None and tables is not None:
        ranks[0] = ranks[0] + words.rank(tables)
        ranks[1] = ranks[1] + tables.grown_ranks(words).flatten(1)
    best, chosen = torch.cat(ranks, dim=1).topk(width, dim=1)
    stays = chosen < width
    origin = torch.where(stays, chosen, (chosen - width).div(labels, rounding_mode="floor"))
    new = torch.where(stays, -1, (chosen - width) % labels)
    after = _grown(beam, origin, new, blank.gather(1, origin), label.gather(1, origin), flat)
    dropped = best < best[:, :1] - settings.beam_threshold
    after.blank, after.label = (part.masked_fill(dropped, _NEVER) for part in (after.blank, after.label))
    here = torch.arange(width, device=scores.device).expand_as(origin)
    origin, new = torch.where(active, origin, here), torch.where(active, new, -1)
    return (
        _Beam(*(torch.where(active, a, b) for a, b in zip(vars(after).values(), vars(beam).values(), strict=True))),
        None if words is None or tables is None else tables.grow(words, origin, new),
        origin,
        new,
    )


def _grown(beam: _Beam, origin: Tensor, new: Tensor, blank: Tensor, label: Tensor, grown: Tensor) -> _Beam:
    stays = new < 0
    before = beam.pick(origin)
    labels = grown.shape[1] // origin.shape[1]
    path = grown.gather(1, origin * labels + new.clamp(min=0))
    mixed = (before.key ^ (new + 1)) * _FACTOR + _STRIDE
    return _Beam(
        blank=torch.where(stays, blank, _NEVER),
        label=torch.where(stays, label, path),
        last=torch.where(stays, before.last, new),
        key=torch.where(stays, before.key, mixed ^ (mixed >> 29)),
        parent_key=torch.where(stays, before.parent_key, before.key),
    )


def _results(
    settings: CtcPrefixBeam,
    beam: _Beam,
    words: WordState | None,
    tables: FusionTables | None,
    origins: list[Tensor],
    labels: list[Tensor],
) -> list[list[CtcHypothesis]]:
    acoustic = torch.logaddexp(beam.blank, beam.label)
    added = torch.zeros_like(acoustic) if words is None or tables is None else tables.finished(words)
    ranks, place = (acoustic + added).topk(settings.nbest, dim=1)
    columns = [part.gather(1, place).tolist() for part in (acoustic, added)]
    backwards = []
    for origin, label in zip(reversed(origins), reversed(labels), strict=True):
        backwards.append(label.gather(1, place))
        place = origin.gather(1, place)
    paths = torch.stack(backwards[::-1], dim=2).tolist() if backwards else [[[]] * settings.nbest] * len(acoustic)
    return [
        [
            CtcHypothesis([token for token in path if token >= 0], *scores)
            for path, rank, *scores in zip(*row, strict=True)
            if rank > _NEVER
        ]
        for row in zip(paths, ranks.tolist(), *columns, strict=True)
    ]
