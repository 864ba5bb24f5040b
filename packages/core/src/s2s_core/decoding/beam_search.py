"""Beam search over any model that scores the next token, for whole batches at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from s2s_core.decoding.constraints import Constraints, check_prefixes, next_of_prefixes
from s2s_core.decoding.hypothesis import Hypothesis
from s2s_core.decoding.leaving import staying
from s2s_core.decoding.penalties import coverage_penalty, length_penalty
from s2s_core.decoding.state import DecodingState, Stepper
from s2s_core.decoding.top import log_normalisers, top_tokens
from s2s_core.errors import UserError
from s2s_core.part import Part


class BeamSearch(Part):
    """The most probable sequences, as far as ``beam_width`` open hypotheses a sentence find them.

    At every step the ``beam_width`` best continuations by log probability are looked at: those that end are finished;
    the best ``beam_width`` that do not end stay open. A sentence is searched until ``beam_width`` hypotheses are
    finished or its length limit is reached. Finished hypotheses are ranked by

        log P(tokens, end | source) / ((5 + length) / 6) ** length_penalty
            + coverage_penalty * sum over source positions of log(min(attention given, 1))

    (Wu et al. 2016, https://arxiv.org/abs/1609.08144, equation 14; ``length`` counts the end token). Hypotheses that
    the length limit cuts off rank behind all that ended. A width of 1 is greedy search, and a width of the number of
    possible sequences an exhaustive one. The result for a sentence does not depend on the others of its batch.

    OpenSeq2Seq's Transformer lets a hypothesis end at any rank within twice the width, so that its width of 1 is not
    greedy; its length limit, ``source length + 50``, is the default here.

    Args:
        beam_width: open hypotheses a sentence.
        length_penalty: alpha; 0 ranks by probability alone, which favours short sequences.
        coverage_penalty: beta; needs a model that tells its attention.
        nbest: hypotheses to return for each sentence, at most ``beam_width``.
        min_length, max_length_ratio, max_length_extra, no_repeat_ngram: see `Constraints`.
        early_stop: end a sentence's search as soon as no open hypothesis can reach the ``nbest`` best: a log
            probability can only fall, the length penalty is known for all lengths up to the limit, and the coverage
            penalty is at most 0. It saves time and never changes the result.
        patient: search until no open hypothesis can reach the ``nbest`` best, however many are finished. Where a model
            is sure of itself, the runners-up of a narrow beam are ends that nobody believes in; ``beam_width`` of those
            would otherwise end the search before the best hypothesis does.

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(
        self,
        beam_width: int = 4,
        length_penalty: float = 0.6,
        coverage_penalty: float = 0.0,
        nbest: int = 1,
        min_length: int = 0,
        max_length_ratio: float = 1.0,
        max_length_extra: int = 50,
        no_repeat_ngram: int = 0,
        early_stop: bool = True,
        patient: bool = False,
    ) -> None:
        if beam_width < 1:
            raise ValueError(f"beam_width must be at least 1, got {beam_width}")
        if not 1 <= nbest <= beam_width:
            raise ValueError(f"nbest must be between 1 and beam_width ({beam_width}), got {nbest}")
        if not 0 <= coverage_penalty < math.inf:
            raise ValueError(f"coverage_penalty must not be negative, got {coverage_penalty}")
        if not math.isfinite(length_penalty):
            raise ValueError(f"length_penalty must be a number, got {length_penalty}")
        self.beam_width = beam_width
        self.length_penalty = length_penalty
        self.coverage_penalty = coverage_penalty
        self.nbest = nbest
        self.early_stop = early_stop or patient
        self.patient = patient
        self.constraints = Constraints(min_length, max_length_ratio, max_length_extra, no_repeat_ngram)

    @torch.inference_mode()
    def __call__(
        self,
        stepper: Stepper,
        state: DecodingState,
        source_lengths: Tensor,
        start_token: int,
        end_token: int,
        prefixes: Sequence[Sequence[int]] | None = None,
        banned: Sequence[int] = (),
        normalise: bool = True,
        margin: float = 0.0,
    ) -> list[list[Hypothesis]]:
        """Return up to ``nbest`` hypotheses of each sentence, the best first.

        Args:
            stepper: the model.
            state: before the first token, one row a sentence.
            source_lengths: ``(sentences,)`` of what is attended to: for length limits, coverage and alignments. Zeros
                where there is no source, as in language modelling.
            start_token: what every sequence is started with.
            end_token: what ends a sequence.
            prefixes: what each sentence's hypotheses must begin with; their probability counts.
            banned: tokens that may not come outside a prefix, as padding.
            normalise: whether the stepper's logits are made log probabilities; not where it gives a weighted sum of
                several models' log probabilities (see `s2s_core.decoding.fusion`), which is none above 0 as it is.
            margin: above 0 where a step may also add to a score, as words that have a bonus do: by how much the open
                hypotheses of a sentence must rank below the ``nbest`` finished ones before they are given up.

        Raises:
            ValueError: if a prefix is not made of tokens.
            UserError: if the coverage penalty finds no attention.
        """
        check_prefixes(prefixes, len(source_lengths), stepper.vocab_size, end_token)
        if len(source_lengths) == 0:
            return []
        beams = _Beams(self, source_lengths, start_token, end_token, prefixes, banned, normalise, margin)
        state = state.expand(self.beam_width)
        while True:
            logits, state = stepper.step(beams.last_tokens, state)
            rows = beams.advance(logits, state.attention)
            if rows is None:
                return beams.results()
            state = state.select(rows)


class _Candidates(NamedTuple):
    """The best continuations of each sentence in the batch, the best first: ``(sentences, 2 * width)`` each."""

    log_probs: Tensor
    tokens: Tensor
    rows: Tensor
    """The hypotheses that they continue."""
    ends: Tensor
    """Bool: whether they end."""


class _Beams:
    """The hypotheses of a batch: ``width`` open ones for each sentence still in it, and all that finished.

    A sentence that is done may stay in the batch for a while: what becomes of its rows is of no account.
    """

    def __init__(
        self,
        search: BeamSearch,
        source_lengths: Tensor,
        start_token: int,
        end_token: int,
        prefixes: Sequence[Sequence[int]] | None,
        banned: Sequence[int],
        normalise: bool,
        margin: float,
    ) -> None:
        self.search, self.width, self.normalise, self.margin = search, search.beam_width, normalise, margin
        self.end_token, self.prefixes, self.banned = end_token, prefixes, banned
        self.source_lengths, self.lengths = source_lengths, source_lengths.tolist()
        self.limits = search.constraints.limits(source_lengths, prefixes)
        self.finished: list[list[Hypothesis]] = [[] for _ in self.lengths]
        self.cut_off: list[list[Hypothesis]] = [[] for _ in self.lengths]
        self.sentences = list(range(len(self.lengths)))
        """The sentence of each ``width`` rows; numbers of the whole batch."""
        self.done = [False] * len(self.lengths)
        rows, device = len(self.lengths) * self.width, source_lengths.device
        self.last_tokens = torch.full((rows,), start_token, device=device)
        self.history = torch.empty((rows, 0), dtype=torch.int64, device=device)
        self.log_probs = torch.full((len(self.lengths), self.width), -math.inf, device=device)
        self.log_probs[:, 0] = 0.0  # of `width` rows that are still equal only one counts
        self.attention: Tensor | None = None

    def advance(self, logits: Tensor, attention: Tensor | None) -> Tensor | None:
        """Take the scores of the next tokens; returns which rows go on, or None when all is found."""
        if attention is None and self.search.coverage_penalty:
            raise UserError(
                f"coverage_penalty is {self.search.coverage_penalty}, but this model does not tell its attention"
            )
        if attention is not None:
            step = attention[:, None]
            self.attention = step if self.attention is None else torch.cat([self.attention, step], dim=1)
        found = self._candidates(logits)
        self._finish(found)
        kept = found.ends.to(torch.int8).argsort(dim=1, stable=True)[:, : self.width]  # the best that do not end
        best = found.log_probs.gather(1, kept)
        self._settle(found, kept, best[:, 0])
        if all(self.done[i] for i in self.sentences):
            return None
        places = self._staying()
        kept, best, found = kept[places], best[places], _Candidates(*(field[places] for field in found))
        rows = found.rows.gather(1, kept).flatten()
        self.last_tokens = found.tokens.gather(1, kept).flatten()
        self.log_probs = best
        self.history = torch.cat([self.history[rows], self.last_tokens[:, None]], dim=1)
        self.attention = None if self.attention is None else self.attention[rows]
        return rows

    def results(self) -> list[list[Hypothesis]]:
        """The ``nbest`` of each sentence."""
        return [
            (finished + _ranked(cut_off))[: self.search.nbest]
            for finished, cut_off in zip(self.finished, self.cut_off, strict=True)
        ]

    def _candidates(self, logits: Tensor) -> _Candidates:
        width, step = self.width, self.history.size(1)
        normalisers = log_normalisers(logits) if self.normalise else torch.zeros(len(logits), device=logits.device)
        forced = next_of_prefixes(self.prefixes, self.sentences, step, logits.device)
        forced = None if forced is None else forced.repeat_interleave(width)
        self.search.constraints.apply(logits, self.history, self.end_token, self.banned, forced)
        # `width` open ones can come from one row, and one place of its best may be taken by the end
        each = min(width + 1, logits.size(1))
        values, tokens = top_tokens(logits, each)
        steps = values.to(normalisers.dtype) - normalisers[:, None]
        if not self.margin:
            steps = steps.clamp(max=0.0)  # what rounding put above
        totals = (self.log_probs.view(-1, 1) + steps).view(len(self.sentences), width * each)
        log_probs, places = totals.topk(min(2 * width, width * each), dim=1)
        first_rows = torch.arange(len(self.sentences), device=logits.device)[:, None] * width
        tokens = tokens.view(len(self.sentences), width * each).gather(1, places)
        return _Candidates(log_probs, tokens, first_rows + places // each, tokens == self.end_token)

    def _finish(self, found: _Candidates) -> None:
        """Note the hypotheses that end at one of the first ``width`` ranks."""
        ending = found.ends & found.log_probs.isfinite()
        ending[:, self.width :] = False
        for place, rank in ending.nonzero().tolist():
            sentence = self.sentences[place]
            if not self.done[sentence]:
                row, log_prob = int(found.rows[place, rank]), float(found.log_probs[place, rank])
                self.finished[sentence].append(self._hypothesis(sentence, row, log_prob, None))
                self.finished[sentence] = _ranked(self.finished[sentence])

    def _settle(self, found: _Candidates, kept: Tensor, best: Tensor) -> None:
        """Mark the sentences whose search is over."""
        length = self.history.size(1) + 1
        best_open = best.tolist()
        for place, sentence in enumerate(self.sentences):
            if self.done[sentence]:
                continue
            if length == self.limits[sentence]:
                self._cut(found, kept, place)
                self.done[sentence] = True
            elif best_open[place] == -math.inf or self._enough(sentence):
                self.done[sentence] = True
            elif self.search.early_stop:
                self.done[sentence] = self._beyond_reach(sentence, best_open[place], length + 1)

    def _enough(self, sentence: int) -> bool:
        return len(self.finished[sentence]) >= self.width and not self.search.patient

    def _beyond_reach(self, sentence: int, log_prob: float, next_length: int) -> bool:
        """Whether no hypothesis that is still open can come among the ``nbest``.

        In a tie the one that finished first goes before.
        """
        search = self.search
        if len(self.finished[sentence]) < search.nbest:
            return False
        lengths = (next_length, self.limits[sentence])
        best_score = max(log_prob / length_penalty(n, search.length_penalty) for n in lengths) + self.margin
        return self.finished[sentence][search.nbest - 1].score >= best_score

    def _cut(self, found: _Candidates, kept: Tensor, place: int) -> None:
        sentence = self.sentences[place]
        for rank in kept[place].tolist():
            log_prob = float(found.log_probs[place, rank])
            if log_prob > -math.inf:
                row, token = int(found.rows[place, rank]), int(found.tokens[place, rank])
                self.cut_off[sentence].append(self._hypothesis(sentence, row, log_prob, token))

    def _hypothesis(self, sentence: int, row: int, log_prob: float, last: int | None) -> Hypothesis:
        """The hypothesis of ``row``, with one more token, ``last``, or ended if that is None."""
        search = self.search
        tokens = self.history[row].tolist() + ([] if last is None else [last])
        score = log_prob / length_penalty(self.history.size(1) + 1, search.length_penalty)
        attention = None
        if self.attention is not None:
            steps = self.attention[row, :, : self.lengths[sentence]].float()
            attention = steps[: len(tokens)].cpu()
            if search.coverage_penalty:
                lengths = self.source_lengths[sentence : sentence + 1]
                score += float(coverage_penalty(steps.sum(dim=0)[None], lengths, search.coverage_penalty))
        return Hypothesis(tokens, score, log_prob, last is None, attention)

    def _staying(self) -> Tensor:
        """The places of the batch that go on; all of them while few sentences are done."""
        places = staying([self.done[sentence] for sentence in self.sentences])
        self.sentences = [self.sentences[place] for place in places]
        return torch.tensor(places, device=self.log_probs.device)


def _ranked(hypotheses: list[Hypothesis]) -> list[Hypothesis]:
    return sorted(hypotheses, key=lambda hypothesis: -hypothesis.score)
