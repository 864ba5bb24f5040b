"""Text to text with a trained checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from s2s_core.decoding.beam_search import BeamSearch
from s2s_core.decoding.hypothesis import Hypothesis
from s2s_core.decoding.sampling import Sampling
from s2s_core.errors import UserError
from s2s_core.nn.serving import ServingPrecision, prepare_for_serving
from s2s_core.text.sentences import SentenceTokenizer, SubwordTokenizer
from s2s_nmt.interfaces import BOS_ID, EOS_ID, PAD_ID, Decoder, Encoder
from s2s_nmt.pairs import pad_tokens

if TYPE_CHECKING:
    from s2s_nmt.task import TextToText

BATCH_TOKENS = 4096
BATCH_SENTENCES = 64
BATCHES_AHEAD = 16
"""Sentences are sorted by length within about so many batches, which bounds how long a result waits for its turn."""


@dataclass(frozen=True)
class Candidate:
    """One of the translations that a search found."""

    text: str
    score: float
    """What candidates are ranked by: the log probability under the search's penalties."""
    log_probability: float
    finished: bool
    """Whether the model ended it; False if the length limit did."""
    pieces: list[str]
    """The text as the model wrote it, piece by piece."""
    attention: Tensor | None
    """``(pieces, source pieces)``, the last of which is the source's end; None if the model has no one attention."""

    @property
    def alignment(self) -> list[int] | None:
        """For each piece the source piece that the model looked at most."""
        return None if self.attention is None else self.attention.argmax(dim=1).tolist()


@dataclass(frozen=True)
class Translation:
    """What became of a sentence."""

    source: str
    source_pieces: list[str]
    candidates: list[Candidate]
    """The best first; none for a sentence without text."""

    @property
    def text(self) -> str:
        """The best translation; empty for an empty sentence."""
        return self.candidates[0].text if self.candidates else ""


class Translator:
    """Translates, summarises or answers line by line, whatever the model was trained for.

    Sentences of like length share a batch; what becomes of one does not depend on the others.

    Args:
        task: the model.
        precision: of the weights: ``"fp32"``, or ``"bf16"``, which halves them and doubles the speed where the
            processor multiplies bfloat16.
        int8: multiply by 8-bit integer weights instead (dynamic quantisation of the linear layers; CPU only).

    Raises:
        UserError: if this machine cannot compute so.
    """

    def __init__(self, task: TextToText, precision: ServingPrecision = "fp32", int8: bool = False) -> None:
        encoder, decoder = prepare_for_serving([task.encoder, task.decoder], precision, int8)
        assert isinstance(encoder, Encoder)
        assert isinstance(decoder, Decoder)
        self.encoder, self.decoder = encoder, decoder
        self.source_tokenizer, self.target_tokenizer = task.source_tokenizer, task.target_tokenizer
        self.search: BeamSearch = task.search
        """The model's own, used where no other is given."""
        self.device = next(task.parameters()).device

    @classmethod
    def load(
        cls, path: str | Path, device: str = "cpu", precision: ServingPrecision = "fp32", int8: bool = False
    ) -> Translator:
        """Rebuild the translator that ``fit`` wrote to ``path``.

        Raises:
            UserError: if the checkpoint is unreadable or of another task, the device is not there, or it cannot
                compute in that precision.
        """
        from s2s_core.checkpoint import load_task
        from s2s_nmt.task import TextToText

        task = load_task(path, TextToText.name, device)
        assert isinstance(task, TextToText)
        return cls(task, precision, int8)

    def translate(
        self,
        sources: Sequence[str],
        search: BeamSearch | Sampling | None = None,
        prefixes: Sequence[str] | None = None,
        batch_tokens: int = BATCH_TOKENS,
        batch_sentences: int = BATCH_SENTENCES,
    ) -> list[Translation]:
        """Return the translations of all sources in their order.

        Args:
            sources: sentences.
            search: how to decode; the model's own beam search if None.
            prefixes: what the translation of each must begin with; empty where it may begin as it likes.
            batch_tokens: source tokens, with padding, that are translated at once.
            batch_sentences: sentences that are.

        Raises:
            UserError: on the first source that the model cannot take.
            ValueError: if sources and prefixes differ in number.
        """
        if isinstance(sources, str):
            raise TypeError(f"sources: expected a list of sentences, got the one string {sources!r}")
        if prefixes is not None and len(prefixes) != len(sources):
            raise ValueError(f"{len(prefixes)} prefixes for {len(sources)} sources")
        found = []
        for result in self.translate_each(sources, search, prefixes, batch_tokens, batch_sentences):
            if isinstance(result, UserError):
                raise result
            found.append(result)
        return found

    def translate_each(
        self,
        sources: Iterable[str | UserError],
        search: BeamSearch | Sampling | None = None,
        prefixes: Iterable[str] | None = None,
        batch_tokens: int = BATCH_TOKENS,
        batch_sentences: int = BATCH_SENTENCES,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[Translation | UserError]:
        """Yield each source's translation, or the error that names it, in the order of the sources and while the rest
        is still to come. Memory does not grow with their number.

        Args:
            sources, search, prefixes, batch_tokens, batch_sentences: see `translate`; an error among the sources comes
                out in its place.
            progress: called after each batch with the number of sentences that it finished.
        """
        for name, value in (("batch_tokens", batch_tokens), ("batch_sentences", batch_sentences)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        search = search or self.search
        jobs = self._jobs(sources, prefixes)
        for window in _windows(jobs, BATCHES_AHEAD * batch_tokens, BATCHES_AHEAD * batch_sentences):
            full = [job for job in window if job.tokens]
            full.sort(key=lambda job: (-len(job.tokens), job.number))
            for batch in _batches(full, batch_tokens, batch_sentences):
                self._translate_or_name(batch, search)
                if progress is not None:
                    progress(len(batch))
            if progress is not None:
                progress(len(window) - len(full))
            yield from (self._result(job) for job in window)

    def _jobs(self, sources: Iterable[str | UserError], prefixes: Iterable[str] | None) -> Iterator[_Job]:
        beginnings = None if prefixes is None else iter(prefixes)
        for number, source in enumerate(sources):
            beginning = "" if beginnings is None else next(beginnings, None)
            if beginning is None:
                raise ValueError(f"fewer prefixes than sources: {number}")
            if isinstance(source, UserError):
                yield _Job(number, "", [], [], error=source)
            else:
                tokens = self.source_tokenizer.encode(source)
                yield _Job(number, source, tokens, self.target_tokenizer.encode(beginning) if beginning else [])

    def _translate_or_name(self, batch: list[_Job], search: BeamSearch | Sampling) -> None:
        """Translate a batch; if it holds what the model cannot take, each by itself, to find out which."""
        try:
            for job, found in zip(batch, self._search(batch, search), strict=True):
                job.found = found
        except ValueError as error:
            if len(batch) == 1:
                batch[0].error = UserError(f"sentence {batch[0].number + 1}: {error}")
                return
            for job in batch:
                self._translate_or_name([job], search)

    @torch.inference_mode()
    def _search(self, batch: list[_Job], search: BeamSearch | Sampling) -> list[list[Hypothesis]]:
        tokens, lengths = pad_tokens([job.tokens for job in batch])
        memory = self.encoder(tokens.to(self.device), lengths.to(self.device))
        state = self.decoder.start(memory)
        prefixes = [job.prefix for job in batch] if any(job.prefix for job in batch) else None
        banned = (PAD_ID, BOS_ID)
        if isinstance(search, Sampling):
            keys = [job.number for job in batch]
            return search(self.decoder, state, memory.lengths, BOS_ID, EOS_ID, prefixes, banned, keys)
        return search(self.decoder, state, memory.lengths, BOS_ID, EOS_ID, prefixes, banned)

    def _result(self, job: _Job) -> Translation | UserError:
        if job.error is not None:
            return job.error
        candidates = [
            Candidate(
                text=" ".join(self.target_tokenizer.decode(found.tokens).split("\n")),
                score=found.score,
                log_probability=found.log_probability,
                finished=found.finished,
                pieces=_pieces(self.target_tokenizer, found.tokens),
                attention=found.attention,
            )
            for found in job.found
        ]
        source_pieces = [*_pieces(self.source_tokenizer, job.tokens), END_PIECE] if job.tokens else []
        return Translation(job.source, source_pieces, candidates)


END_PIECE = "</s>"
"""How the end of a source is shown among its pieces."""


@dataclass
class _Job:
    """A sentence and what is known of it so far."""

    number: int
    source: str
    tokens: list[int]
    prefix: list[int]
    found: list[Hypothesis] = field(default_factory=list)
    error: UserError | None = None


def _pieces(tokenizer: SentenceTokenizer, tokens: Sequence[int]) -> list[str]:
    if isinstance(tokenizer, SubwordTokenizer):
        return tokenizer.pieces(tokens)
    return [tokenizer.decode([token]) for token in tokens]


def _windows(jobs: Iterable[_Job], tokens: int, sentences: int) -> Iterator[list[_Job]]:
    window: list[_Job] = []
    held = 0
    for job in jobs:
        window.append(job)
        held += len(job.tokens) + 1
        if held >= tokens or len(window) == sentences:
            yield window
            window, held = [], 0
    if window:
        yield window


def _batches(longest_first: list[_Job], tokens: int, sentences: int) -> Iterator[list[_Job]]:
    """Fill batches up to ``tokens`` with padding or to ``sentences``, but with one at least."""
    batch: list[_Job] = []
    for job in longest_first:
        longest = len(batch[0].tokens) + 1 if batch else 0
        if batch and (longest * (len(batch) + 1) > tokens or len(batch) == sentences):
            yield batch
            batch = []
        batch.append(job)
    if batch:
        yield batch
