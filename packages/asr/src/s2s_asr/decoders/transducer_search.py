"""The most probable text of a transducer."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from s2s_asr.interfaces import FoundText, SearchPlan
from s2s_core.decoding.state import DecodingState
from s2s_core.decoding.word_stepper import WordStepper
from s2s_core.nn.cells import wide
from s2s_core.nn.recurrent_stack import LayerState
from s2s_core.part import Part

if TYPE_CHECKING:
    from s2s_asr.decoders.transducer import TransducerDecoder


class TransducerSearch(Part):
    """Beam search whose hypotheses are all equally far along their alignments (Saon et al. 2020, "Alignment-length
    synchronous decoding for RNN transducer", https://doi.org/10.1109/ICASSP40776.2020.9053040).

    At every step each hypothesis hears one frame more (blank) or spells one label more. Alignments of one text meet in
    the same step, where their probabilities are added up. A width of 1 is greedy decoding; the width of all texts is an
    exhaustive search. An utterance is over when no open hypothesis can still come among its ``nbest`` texts: a
    probability can only fall. What is found does not depend on the other utterances of a batch.

    Words of an n-gram model are added to the ranks (shallow fusion, as in Kannan et al. 2018,
    https://arxiv.org/abs/1712.01996): with a label, and with the last frame what the end of the text adds.

    Args:
        beam_width: hypotheses an utterance.
        nbest: texts to return for each, at most ``beam_width``.
        labels_per_frame: a text has at most so many labels for each of its frames.

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(self, beam_width: int = 1, nbest: int = 1, labels_per_frame: float = 1.0) -> None:
        if beam_width < 1:
            raise ValueError(f"beam_width must be at least 1, got {beam_width}")
        if not 1 <= nbest <= beam_width:
            raise ValueError(f"nbest must be between 1 and beam_width ({beam_width}), got {nbest}")
        if not 0 < labels_per_frame < math.inf:
            raise ValueError(f"labels_per_frame must be positive, got {labels_per_frame}")
        self.beam_width, self.nbest, self.labels_per_frame = beam_width, nbest, labels_per_frame

    @torch.inference_mode()
    def __call__(
        self, decoder: TransducerDecoder, heard: Tensor, lengths: Tensor, plan: SearchPlan | None = None
    ) -> list[list[FoundText]]:
        """Return up to ``nbest`` texts of each utterance, the best first.

        Args:
            decoder: the model.
            heard: the frames as its `forward` returns them, ``(batch, time, joint_size)``.
            lengths: ``(batch,)`` frames.
            plan: another width and number of texts, and words of an n-gram model that take part.
        """
        plan = plan or SearchPlan(self.beam_width, self.nbest)
        most = (lengths * self.labels_per_frame).ceil().long()
        beams = _Beams.begin(decoder, heard, plan, int(most.max()) if len(most) else 0)
        results = _Results(plan.nbest, len(lengths), 0.0 if plan.words is None else plan.margin)
        results.take(beams, lengths)
        while results.unfinished(beams):
            beams = beams.advanced(decoder, heard, lengths, most)
            results.take(beams, lengths)
        return results.found


@dataclass
class _Beams:
    """Hypotheses ``(batch, width)``; those that do not exist, or are finished, have a score of minus infinity."""

    scores: Tensor
    frames: Tensor
    """``(batch, width)``: frames heard."""
    counts: Tensor
    """``(batch, width)``: labels spelt."""
    tokens: Tensor
    """``(batch, width, most labels)``, -1 behind the last."""
    places: Tensor
    """As ``tokens``: the frame in which each came out."""
    log_probs: Tensor
    """As ``tokens``: of each there."""
    spelt: Tensor
    """``(batch * width, joint size)``."""
    state: list[LayerState]
    words: _Words | None

    @classmethod
    def begin(cls, decoder: TransducerDecoder, heard: Tensor, plan: SearchPlan, most: int) -> _Beams:
        batch, width, device = len(heard), plan.beam_width, heard.device
        rows = batch * width
        blank = torch.full((rows,), decoder.vocab_size, device=device)
        spelt, state = decoder.step(blank, decoder.start(rows, heard))
        scores = torch.full((batch, width), -math.inf, device=device, dtype=wide(heard[:0]).dtype)
        scores[:, 0] = 0.0
        counts = torch.zeros((batch, width), dtype=torch.int64, device=device)
        tokens = torch.full((batch, width, max(most, 1)), -1, device=device)
        log_probs = torch.zeros(tokens.shape, dtype=scores.dtype, device=device)
        words = None if plan.words is None else _Words.begin(plan.words, rows, blank)
        return cls(scores, counts, counts.clone(), tokens, tokens.clone(), log_probs, spelt, state, words)

    def advanced(self, decoder: TransducerDecoder, heard: Tensor, lengths: Tensor, most: Tensor) -> _Beams:
        """One frame or label more."""
        batch, width = self.scores.shape
        here = self.frames.minimum(lengths[:, None] - 1).clamp(min=0)
        frame = heard.gather(1, here[..., None].expand(-1, -1, heard.shape[2]))
        logits = decoder.join(frame.flatten(0, 1), self.spelt)
        steps = logits.to(self.scores.dtype).log_softmax(-1).view(batch, width, -1)
        full = self.counts >= most[:, None]
        steps[..., :-1].masked_fill_(full[..., None], -math.inf)
        totals = self.scores[..., None] + steps
        if self.words is not None:
            totals = totals + self.words.added(self.frames == lengths[:, None] - 1).to(totals.dtype)
        totals = totals.flatten(1)
        # twice the width, for two alignments of one text take one place
        scores, found = totals.topk(min(2 * width, totals.shape[1]), dim=1)
        rows, labels = found // steps.shape[2], found % steps.shape[2]
        chosen = self._extended(rows, labels, scores, steps.flatten(1).gather(1, found), decoder.vocab_size)
        chosen.scores = _merged(chosen)
        best, kept = chosen.scores.topk(min(width, found.shape[1]), dim=1)
        chosen = replace(chosen._gathered(kept), scores=best)
        return self._respelt(chosen, rows.gather(1, kept), labels.gather(1, kept), decoder)

    def _extended(self, rows: Tensor, labels: Tensor, scores: Tensor, steps: Tensor, blank: int) -> _Beams:
        new = self._gathered(rows)
        spells = labels != blank
        at = new.counts.clamp(max=new.tokens.shape[2] - 1)[..., None]
        mark = spells[..., None]
        new.tokens = _put(new.tokens, at, labels[..., None], mark)
        new.places = _put(new.places, at, new.frames[..., None], mark)
        new.log_probs = _put(new.log_probs, at, steps[..., None], mark)
        return replace(new, scores=scores, counts=new.counts + spells, frames=new.frames + ~spells)

    def _gathered(self, rows: Tensor) -> _Beams:
        wide = rows[..., None].expand(-1, -1, self.tokens.shape[2])
        return replace(
            self,
            frames=self.frames.gather(1, rows),
            counts=self.counts.gather(1, rows),
            tokens=self.tokens.gather(1, wide),
            places=self.places.gather(1, wide),
            log_probs=self.log_probs.gather(1, wide),
        )

    def _respelt(self, chosen: _Beams, rows: Tensor, labels: Tensor, decoder: TransducerDecoder) -> _Beams:
        """The prediction network after the labels that were chosen; where blank was, it stays as it is."""
        width = self.scores.shape[1]
        flat = (torch.arange(len(rows), device=rows.device)[:, None] * width + rows).flatten()
        spelt, state = self.spelt[flat], [tuple(part[flat] for part in layer) for layer in self.state]
        new_spelt, new_state = decoder.step(labels.flatten(), state)
        spells = (labels != decoder.vocab_size).flatten()[:, None]
        chosen.spelt = torch.where(spells, new_spelt, spelt)
        chosen.state = [
            tuple(torch.where(spells, a, b.to(a.dtype)) for a, b in zip(new, old, strict=True))
            for new, old in zip(new_state, state, strict=True)
        ]
        chosen.words = None if self.words is None else self.words.after(flat, labels.flatten())
        return chosen


@dataclass
class _Words:
    """What the words of a language model add, for the same rows as ``spelt``."""

    stepper: WordStepper
    state: DecodingState
    steps: Tensor
    """``(rows, labels + 1)``: with each next label, and with the end."""

    @classmethod
    def begin(cls, stepper: WordStepper, rows: int, blank: Tensor) -> _Words:
        steps, state = stepper.step(blank, stepper.start(rows))
        return cls(stepper, state, steps)

    def added(self, last: Tensor) -> Tensor:
        """What is added for each label and blank, ``(batch, width, labels + 1)``; blank ends the text in the ``last``
        frame, ``(batch, width)``, and adds nothing before."""
        steps = self.steps.view(*last.shape, -1).clone()
        steps[..., -1].masked_fill_(~last, 0.0)
        return steps

    def after(self, rows: Tensor, labels: Tensor) -> _Words:
        """Of the hypotheses ``rows``, each with its label more, or none where that is blank."""
        steps, state = self.stepper.step(labels, self.state.select(rows))
        return _Words(self.stepper, state, steps)


def _put(into: Tensor, at: Tensor, what: Tensor, mark: Tensor) -> Tensor:
    return into.scatter(2, at, torch.where(mark, what, into.gather(2, at)))


def _merged(beams: _Beams) -> Tensor:
    """Scores in which the first of several alignments of one text has the sum of all, and the others nothing."""
    same = (beams.tokens[:, :, None] == beams.tokens[:, None]).all(dim=-1)
    scores = beams.scores[:, None].expand(same.shape).masked_fill(~same, -math.inf)
    earlier = torch.ones(same.shape[1:], dtype=torch.bool, device=same.device).tril(-1)
    # a sum over nothing but minus infinities is one
    return scores.logsumexp(dim=-1).masked_fill((same & earlier).any(dim=-1), -math.inf)


class _Results:
    """The best texts of each utterance that have been heard to the end."""

    def __init__(self, nbest: int, utterances: int, margin: float) -> None:
        self.nbest, self.margin = nbest, margin
        self.found: list[list[FoundText]] = [[] for _ in range(utterances)]

    def take(self, beams: _Beams, lengths: Tensor) -> None:
        """Note the hypotheses that have heard their last frame, and take them out of the search."""
        ended = (beams.frames >= lengths[:, None]) & beams.scores.isfinite()
        for row, place in ended.nonzero().tolist():
            self._note(self.found[row], beams, row, place)
        beams.scores = beams.scores.masked_fill(ended, -math.inf)

    def _note(self, found: list[FoundText], beams: _Beams, row: int, place: int) -> None:
        score, count = float(beams.scores[row, place]), int(beams.counts[row, place])
        if len(found) == self.nbest and found[-1].log_probability >= score:
            return
        rows = (values[row, place, :count].tolist() for values in (beams.tokens, beams.places, beams.log_probs))
        tokens, frames, log_probs = rows
        found.append(FoundText(tokens, score, frames, [math.exp(p) for p in log_probs]))
        found.sort(key=lambda text: -text.log_probability)
        del found[self.nbest :]

    def unfinished(self, beams: _Beams) -> bool:
        """Close the utterances that nothing can change any more; whether any is left."""
        best_open = beams.scores.amax(dim=1).tolist()
        left = False
        for row, (found, score) in enumerate(zip(self.found, best_open, strict=True)):
            if len(found) == self.nbest and found[-1].log_probability >= score + self.margin:
                beams.scores[row] = -math.inf
            elif score > -math.inf:
                left = True
        return left
