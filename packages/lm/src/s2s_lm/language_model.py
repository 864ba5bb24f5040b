"""A trained language model in use: scoring and going on with text."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from s2s_core.decoding.hypothesis import Hypothesis, Search
from s2s_core.decoding.sampling import Sampling
from s2s_core.decoding.state import DecodingState
from s2s_core.errors import UserError
from s2s_lm.adaptation import Adaptation, CacheOptions, DynamicEvaluation, DynamicOptions, NeuralCache, NoAdaptation
from s2s_lm.perplexity import perplexities
from s2s_lm.scorer import LmDecodingState, LmScorer

if TYPE_CHECKING:
    from s2s_lm.task import LanguageModeling

SEGMENT = 128
"""Tokens of a continuous text that are scored at once."""


@dataclass(frozen=True)
class TextScore:
    """How probable a text is."""

    text: str
    log_probability: float
    """Natural, the end of the line included."""
    tokens: int
    words: int
    characters: int
    unknown: int
    """Tokens without an entry in the vocabulary."""
    unit: str

    @property
    def perplexity(self) -> float:
        """Per word of the text, ends of lines included; per character of models of characters."""
        return self._figures["perplexity"]

    @property
    def bits_per_character(self) -> float:
        return self._figures["bits_per_character"]

    def row(self) -> dict[str, object]:
        """All figures, as the command line prints and the server answers them."""
        return {
            "log_probability": self.log_probability,
            "perplexity": self.perplexity,
            "bits_per_character": self.bits_per_character,
            "tokens": self.tokens,
            "words": self.words,
            "characters": self.characters,
            "unknown": self.unknown,
        }

    @property
    def _figures(self) -> dict[str, float]:
        return perplexities(-self.log_probability, self.tokens, self.words, self.characters, self.unit)


def total_score(scores: Sequence[TextScore]) -> TextScore:
    """All texts as one."""
    return TextScore(
        text="",
        log_probability=math.fsum(score.log_probability for score in scores),
        tokens=sum(score.tokens for score in scores),
        words=sum(score.words for score in scores),
        characters=sum(score.characters for score in scores),
        unknown=sum(score.unknown for score in scores),
        unit=scores[0].unit if scores else "words",
    )


class LanguageModel:
    """A trained language model; make one with `load`.

    Args:
        task: the trained task, on its device.
    """

    def __init__(self, task: LanguageModeling) -> None:
        self.task = task.eval()
        self.scorer = LmScorer(task)

    @classmethod
    def load(cls, checkpoint: str | os.PathLike[str], device: str = "cpu", precision: str = "32-true") -> LanguageModel:
        """Rebuild a model from its checkpoint alone.

        Args:
            checkpoint: as ``fit`` wrote it.
            device: where to compute.
            precision: ``32-true``, or ``bf16`` for weights in bfloat16.

        Raises:
            UserError: if the file is unreadable or not of a language model.
        """
        from s2s_core.checkpoint import load_task
        from s2s_lm.task import LanguageModeling

        task = load_task(checkpoint, LanguageModeling.name, device)
        assert isinstance(task, LanguageModeling)
        if precision not in ("32-true", "bf16"):
            raise UserError(f"precision '{precision}': expected 32-true or bf16")
        return cls(task.to(torch.bfloat16) if precision == "bf16" else task)

    def score(
        self,
        lines: Sequence[str],
        continuous: bool = True,
        cache: CacheOptions | None = None,
        dynamic: DynamicOptions | None = None,
    ) -> list[TextScore]:
        """Score each line and its end.

        Args:
            lines: of text.
            continuous: the lines are one text, each scored with all lines before it as context; else each is alone.
            cache: point into the recent past as well.
            dynamic: adapt the weights along the text; they are put back at the end.

        Raises:
            UserError: if cache or dynamic evaluation is asked of lines that are alone, or both at once.
        """
        tokenizer = self.task.tokenizer
        ids = [tokenizer.encode(line) for line in lines]
        if not continuous:
            if cache is not None or dynamic is not None:
                raise UserError("a cache and dynamic evaluation need a continuous text")
            parts = self.scorer.token_nll(ids)
        else:
            flat = [number for line in ids for number in (*line, tokenizer.eos_id)]
            lengths = [len(line) + 1 for line in ids]
            parts = list(torch.cat(list(self._stream_nll(flat, cache, dynamic))).split(lengths)) if ids else []
        return [self._scored(*one) for one in zip(lines, ids, parts, strict=True)]

    def _scored(self, line: str, ids: list[int], nll: Tensor) -> TextScore:
        tokenizer = self.task.tokenizer
        words, characters = self.task.units(torch.device("cpu"))[:, [*ids, tokenizer.eos_id]].sum(1).tolist()
        unknown = ids.count(tokenizer.unk_id)
        log_probability = -float(nll.sum(dtype=torch.float64))
        return TextScore(line, log_probability, len(nll), int(words), int(characters), unknown, tokenizer.unit)

    def _stream_nll(
        self, tokens: list[int], cache: CacheOptions | None, dynamic: DynamicOptions | None
    ) -> Iterator[Tensor]:
        if cache is not None and dynamic is not None:
            raise UserError("a cache or dynamic evaluation, not both: choose one")
        adaptation: Adaptation = NoAdaptation()
        if cache is not None:
            adaptation = NeuralCache(cache)
        elif dynamic is not None:
            adaptation = DynamicEvaluation(self.task, dynamic)
        targets = torch.tensor(tokens, device=self.scorer.device)
        inputs = torch.cat([targets.new_full((1,), self.task.tokenizer.eos_id), targets[:-1]])
        state = self.task.encoder.initial_state(1)
        try:
            for given, wanted in zip(inputs.split(SEGMENT), targets.split(SEGMENT), strict=True):
                with torch.set_grad_enabled(adaptation.wants_gradients):
                    encodings, state = self.task.encoder(given[None], tuple(part.detach() for part in state))
                    yield adaptation.nll(self.task.decoder, encodings[0], wanted).cpu()
        finally:
            if isinstance(adaptation, DynamicEvaluation):
                adaptation.restore()

    def generate(
        self,
        prompt: str = "",
        search: Search | None = None,
        unknown: bool = False,
        one_line: bool = False,
        on_token: Callable[[str], None] | None = None,
    ) -> list[str]:
        """Go on with a prompt.

        Args:
            prompt: may have several lines.
            search: how to choose tokens and how many: `Sampling` or `BeamSearch`; 200 drawn tokens if None.
            unknown: whether the unknown token may come.
            one_line: stop at the end of the line.
            on_token: told each token's text as soon as it is chosen, of the first sequence; for sampling.

        Returns:
            what follows the prompt: of each sample, or the n-best, the best first.
        """
        hear = self._listener(on_token)
        [found] = self._search([prompt], search, unknown, one_line, hear)
        if hear is not None and found and found[0].tokens:
            hear(found[0].tokens[-1])
        return [self.task.tokenizer.decode(hypothesis.tokens) for hypothesis in found]

    def generate_each(
        self, prompts: Sequence[str], search: Search | None = None, unknown: bool = False, one_line: bool = False
    ) -> list[list[str]]:
        """Go on with several prompts at once, each as `generate` would by itself.

        Args:
            prompts, search, unknown, one_line: see `generate`.
        """
        found = self._search(prompts, search, unknown, one_line)
        return [[self.task.tokenizer.decode(hypothesis.tokens) for hypothesis in row] for row in found]

    def _search(
        self,
        prompts: Sequence[str],
        search: Search | None,
        unknown: bool,
        one_line: bool,
        hear: Callable[[int], None] | None = None,
    ) -> list[list[Hypothesis]]:
        eos = self.task.tokenizer.eos_id
        ids = [self._prompt_ids(prompt) for prompt in prompts]
        states = [self.scorer.read(row[:-1]).state for row in ids]
        state = LmDecodingState(tuple(torch.cat(parts) for parts in zip(*states, strict=True)))
        stepper = _Beginning(self.scorer, [row[-1] for row in ids], hear)
        nowhere = torch.zeros(len(ids), dtype=torch.int64, device=self.scorer.device)
        search = search or Sampling(max_length_ratio=0.0, max_length_extra=200)
        # an end that no token is: text goes on over the ends of lines
        arguments = (stepper, state, nowhere, eos, eos if one_line else -1, None, self._banned(unknown))
        if isinstance(search, Sampling):  # a prompt draws the same in any company
            return search(*arguments, keys=[0] * len(ids))
        return search(*arguments)

    def _prompt_ids(self, prompt: str) -> list[int]:
        tokenizer = self.task.tokenizer
        lines = [tokenizer.encode(line) for line in prompt.split("\n")]
        return [tokenizer.eos_id, *(number for line in lines[:-1] for number in (*line, tokenizer.eos_id)), *lines[-1]]

    def _banned(self, unknown: bool) -> list[int]:
        tokenizer = self.task.tokenizer
        special = [0, 1] if tokenizer.unit == "subwords" else []
        return special if unknown else [*special, tokenizer.unk_id]

    def _text_of(self, token: int) -> str:
        return "\n" if token == self.task.tokenizer.eos_id else self.task.tokenizer.shown(token)

    def _listener(self, on_token: Callable[[str], None] | None) -> Callable[[int], None] | None:
        return None if on_token is None else lambda token: on_token(self._text_of(token))


class _Beginning:
    """A stepper whose first tokens differ from row to row; it tells those that it is given later, of its first row."""

    def __init__(self, scorer: LmScorer, first: Sequence[int], hear: Callable[[int], None] | None) -> None:
        self.vocab_size = scorer.vocab_size
        self._scorer, self._first, self._hear = scorer, list(first), hear

    def step(self, tokens: Tensor, state: DecodingState) -> tuple[Tensor, LmDecodingState]:
        if self._first:
            first = torch.tensor(self._first, device=tokens.device)
            tokens = first.repeat_interleave(len(tokens) // len(first))
            self._first = []
        elif self._hear is not None:
            self._hear(int(tokens[0]))
        return self._scorer.step(tokens, state)
