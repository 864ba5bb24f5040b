"""Drawing sequences at random from any model that scores the next token, for whole batches at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from s2s_core.decoding.constraints import Constraints, check_prefixes, next_of_prefixes
from s2s_core.decoding.hypothesis import Hypothesis
from s2s_core.decoding.leaving import staying
from s2s_core.decoding.state import DecodingState, Stepper
from s2s_core.part import Part


class Sampling(Part):
    """Sequences drawn token by token from the model's distribution, or from the likely part of it.

    What is drawn for a sentence depends on the seed and on the sentence's key (by default its place in the batch), not
    on the others of its batch.

    Args:
        samples: sequences for each sentence.
        temperature: divides the logits: below 1 the likely becomes likelier.
        top_k: draw from the so many likeliest tokens (Fan et al. 2018, https://arxiv.org/abs/1805.04833, section 5.1);
            0: from all.
        top_p: draw from the fewest likeliest tokens that have this probability together, under the temperature and
            within the ``top_k`` (the nucleus of Holtzman et al. 2020, https://arxiv.org/abs/1904.09751); 1: from all.
        seed: the same seed draws the same.
        min_length, max_length_ratio, max_length_extra, no_repeat_ngram: see `Constraints`.

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(
        self,
        samples: int = 1,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
        min_length: int = 0,
        max_length_ratio: float = 1.0,
        max_length_extra: int = 50,
        no_repeat_ngram: int = 0,
    ) -> None:
        if samples < 1:
            raise ValueError(f"samples must be at least 1, got {samples}")
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature must be positive, got {temperature}")
        if top_k < 0:
            raise ValueError(f"top_k must not be negative, got {top_k}")
        if not 0 < top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, got {top_p}")
        self.samples = samples
        self.temperature = temperature
        self.top_k = top_k
        self.top_p = top_p
        self.seed = seed
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
        keys: Sequence[int] | None = None,
    ) -> list[list[Hypothesis]]:
        """Return ``samples`` hypotheses of each sentence, as they were drawn; their score is the log probability that
        the model gives them, whatever they were drawn from.

        Args:
            stepper, state, source_lengths, start_token, end_token, prefixes, banned: as `BeamSearch` takes them.
            keys: a number for each sentence, which decides with the seed what is drawn for it.

        Raises:
            ValueError: if a prefix is not made of tokens.
        """
        sentences = len(source_lengths)
        check_prefixes(prefixes, sentences, stepper.vocab_size, end_token)
        if sentences == 0:
            return []
        limits = self.constraints.limits(source_lengths, prefixes)
        noise = self._noise(range(sentences) if keys is None else keys, limits).to(source_lengths.device)
        draws = _Draws(self, source_lengths, limits, end_token)
        state = state.expand(self.samples)
        tokens = torch.full((sentences * self.samples,), start_token, device=source_lengths.device)
        while True:
            logits, state = stepper.step(tokens, state)
            log_probs = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(dim=1)
            forced = next_of_prefixes(prefixes, draws.sentences, draws.history.size(1), logits.device)
            forced = None if forced is None else forced.repeat_interleave(self.samples)
            scores = log_probs.clone()
            self.constraints.apply(scores, draws.history, end_token, banned, forced)
            tokens = self._drawn(scores, noise[draws.rows, draws.history.size(1)])
            rows = draws.advance(tokens, log_probs.gather(1, tokens[:, None]).squeeze(1), state.attention)
            if rows is None:
                return draws.results()
            tokens, state = tokens[rows], state.select(rows)

    def _noise(self, keys: Sequence[int], limits: Sequence[int]) -> Tensor:
        """A uniform number for each row and step, ``(rows, steps)``; each sentence has a generator of its own."""
        noise = torch.zeros(len(keys), self.samples, max(limits), dtype=torch.float64)
        for place, (key, limit) in enumerate(zip(keys, limits, strict=True)):
            # a product, because generators seeded with neighbouring numbers are not independent at first
            generator = torch.Generator().manual_seed((self.seed * 0x9E3779B1 + key * 0x85EBCA77 + 1) % (1 << 63))
            noise[place, :, :limit] = torch.rand(limit, self.samples, generator=generator, dtype=torch.float64).T
        return noise.flatten(0, 1)

    def _drawn(self, scores: Tensor, uniform: Tensor) -> Tensor:
        """One token a row ``(rows,)``: where the cumulated probability, the likeliest first, passes ``uniform``."""
        scores = scores.double() / self.temperature
        if not self.top_k and self.top_p == 1.0:
            tokens, probabilities = None, scores.softmax(dim=1)
        else:
            kept = min(self.top_k or scores.size(1), scores.size(1))
            ordered, tokens = scores.topk(kept, dim=1)
            probabilities = ordered.softmax(dim=1)
            before = probabilities.cumsum(dim=1) - probabilities
            probabilities = probabilities.masked_fill(before >= self.top_p, 0.0)  # the likeliest is always in
        cumulated = probabilities.cumsum(dim=1)
        # strictly below the whole, so that no token without probability is drawn
        wanted = (uniform[:, None] * cumulated[:, -1:]).minimum(cumulated[:, -1:].nextafter(cumulated.new_zeros(())))
        places = torch.searchsorted(cumulated, wanted, right=True)
        return (places if tokens is None else tokens.gather(1, places)).squeeze(1)


class _Draws:
    """The sequences of a batch as far as they are drawn: ``samples`` adjacent rows for each sentence still in it.

    A row that has ended, and a sentence that is done, may stay for a while: what becomes of them is of no account.
    """

    def __init__(self, search: Sampling, source_lengths: Tensor, limits: list[int], end_token: int) -> None:
        self.samples, self.limits, self.end_token = search.samples, limits, end_token
        self.lengths: list[int] = source_lengths.tolist()
        self.sentences = list(range(len(limits)))
        self.found: list[list[Hypothesis | None]] = [[None] * self.samples for _ in limits]
        rows, device = len(limits) * self.samples, source_lengths.device
        self.rows = torch.arange(rows, device=device)
        """Which row of the whole batch each is."""
        self.history = torch.empty((rows, 0), dtype=torch.int64, device=device)
        self.log_probs = torch.zeros(rows, dtype=torch.float64, device=device)
        self.attention: Tensor | None = None

    def advance(self, tokens: Tensor, log_probs: Tensor, attention: Tensor | None) -> Tensor | None:
        """Take the next token of each row; returns which rows go on, or None when all are drawn."""
        if attention is not None:
            step = attention[:, None]
            self.attention = step if self.attention is None else torch.cat([self.attention, step], dim=1)
        self.history = torch.cat([self.history, tokens[:, None]], dim=1)
        self.log_probs = self.log_probs + log_probs
        ended = (tokens == self.end_token).tolist()
        for row, end in enumerate(ended):
            sentence, sample = self.sentences[row // self.samples], row % self.samples
            open_ = self.found[sentence][sample] is None
            if open_ and (end or self.history.size(1) == self.limits[sentence]):
                self.found[sentence][sample] = self._hypothesis(sentence, row, end)
        done = [None not in self.found[sentence] for sentence in self.sentences]
        if all(done):
            return None
        places = staying(done)
        self.sentences = [self.sentences[place] for place in places]
        first_rows = torch.tensor(places, device=tokens.device)[:, None] * self.samples
        rows = (first_rows + torch.arange(self.samples, device=tokens.device)).flatten()
        self.rows, self.history, self.log_probs = self.rows[rows], self.history[rows], self.log_probs[rows]
        self.attention = None if self.attention is None else self.attention[rows]
        return rows

    def results(self) -> list[list[Hypothesis]]:
        return [[hypothesis for hypothesis in row if hypothesis is not None] for row in self.found]

    def _hypothesis(self, sentence: int, row: int, ended: bool) -> Hypothesis:
        tokens = self.history[row].tolist()[: -1 if ended else None]
        attention = None
        if self.attention is not None:
            attention = self.attention[row, : len(tokens), : self.lengths[sentence]].float().cpu()
        log_prob = float(self.log_probs[row])
        return Hypothesis(tokens, log_prob, log_prob, ended, attention)
