"""From frames' log-probabilities to ranked transcripts, on all cores, in bounded memory."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from s2s_asr.search.hypotheses import Hypothesis
from s2s_asr.search.interface import TextSearcher
from s2s_asr.search.labels import Labels, same_case, spellings, words_of_model
from s2s_asr.search.pyctc import RawFound
from s2s_asr.search.settings import BINARY_SUFFIXES, SearchSettings
from s2s_asr.search.spans import align_tokens
from s2s_asr.search.tensors import TensorSearch
from s2s_asr.search.workers import Inline, LibrarySearch, Processes, Threads, Weights, Workers, result_of
from s2s_core.decoding.arpa_text import is_plain, unigram_words, write_plain
from s2s_core.errors import UserError
from s2s_core.text.tokenizers import Tokenizer

OUTSTANDING = 8
"""Utterances a worker that may wait for their search, or with it done for whoever takes the result."""


class Searched:
    """An utterance whose search was asked for."""

    def __init__(self, searcher: Searcher, log_probs: Tensor, future: Future[list[RawFound]]) -> None:
        self._searcher, self._log_probs, self._future = searcher, log_probs, future
        self._found: list[Hypothesis] | None = None

    def finish(self) -> None:
        """Wait for the search, and let go of the frames."""
        if self._found is None:
            self._found = self._searcher.hypotheses(result_of(self._future), self._log_probs)
            self._log_probs = self._log_probs.new_empty(0)

    @property
    def hypotheses(self) -> list[Hypothesis]:
        """The best first; waits for them."""
        self.finish()
        assert self._found is not None
        return self._found


class Searcher(TextSearcher):
    """Runs the searches that settings describe.

    Args:
        settings: the search.
        tokenizer: of the acoustic model.
        jobs: searches at a time: threads for our own search, processes for the libraries (with 1, this process).
        device: for the rescoring model.

    Raises:
        UserError: if a file cannot be read, or a library is not installed; says what to install.
    """

    def __init__(self, settings: SearchSettings, tokenizer: Tokenizer, jobs: int = 1, device: str = "cpu") -> None:
        super().__init__(settings, tokenizer, device)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._waiting: deque[Searched] = deque()
        self._tensors: TensorSearch | None = None
        self._workers = self._start(jobs)

    def _start(self, jobs: int) -> Workers:
        settings, labels = self.settings, Labels(self.tokenizer.word_parts())
        if settings.chosen_decoder == "tensors":
            self._tensors = TensorSearch(settings, self.tokenizer)
            return Threads(self._tensors, jobs)
        words = words_of_model(settings)
        lm = self._file_for_kenlm() if settings.lm is not None else None
        flashlight = settings.chosen_decoder == "flashlight"
        library = LibrarySearch(
            settings,
            labels.names,
            labels.separator,
            lm,
            None if words is None else [self.tokenizer.normalise(word) for word in words if not word.startswith("<")],
            spellings(words, self.tokenizer, labels) if flashlight and words is not None else None,
        )
        library.check()
        return Inline(library) if jobs == 1 else Processes(library, jobs)

    def _file_for_kenlm(self) -> str:
        """The model, or a copy that KenLM can read, in the case of the transcripts for pyctcdecode."""
        assert self.settings.lm is not None
        path = Path(self.settings.lm)
        if not path.is_file():
            raise UserError(f"--lm {path}: no such file")
        if str(path).endswith(BINARY_SUFFIXES):
            return str(path)
        normalise = self.tokenizer.normalise
        rewrites = self.settings.chosen_decoder == "pyctcdecode" and not same_case(unigram_words(path), normalise)
        if is_plain(path) and not rewrites:
            return str(path)
        self._folder = tempfile.TemporaryDirectory(prefix="s2s-lm-")
        target = Path(self._folder.name) / "model.arpa"
        write_plain(path, target, normalise if rewrites else None)
        return str(target)

    def _ask(self, log_probs: Tensor, weights: Weights | None = None) -> Future[list[RawFound]]:
        return self._workers.submit(_numbers(log_probs), weights)

    def submit(self, log_probs: Tensor, weights: Weights | None = None) -> Searched:
        """Have ``(time, labels + 1)`` searched; waits only where too many searches are outstanding.

        Raises:
            UserError: if a score is not a number.
        """
        log_probs = log_probs.detach().float().cpu()
        one = Searched(self, log_probs, self._ask(log_probs, weights))
        self._waiting.append(one)
        while len(self._waiting) > OUTSTANDING * self._workers.jobs:
            self._waiting.popleft().finish()
        return one

    def search_batch(self, seen: Tensor, lengths: Tensor) -> list[list[Hypothesis]]:
        """Search logits ``(batch, time, labels + 1)`` with true lengths, on their device where our own search does it;
        returns what `hypotheses` does, without times."""
        log_probs = seen.float().log_softmax(-1)
        if self._tensors is not None and log_probs.device.type != "cpu":
            found = self._tensors.search_batch(_numbers(log_probs), lengths)
        else:
            rows = zip(log_probs.detach().float().cpu(), lengths.tolist(), strict=True)
            futures = [self._ask(row[:length]) for row, length in rows]
            found = [result_of(future) for future in futures]
        return [[one for one, _ in self._ranking.ranked(map(self._hypothesis, raw))] for raw in found]

    def each(self, utterances: Iterable[tuple[Tensor, Weights]]) -> Iterator[list[Hypothesis]]:
        """Search utterances with weights of their own; yields all that was found, unranked and without times."""
        waiting: deque[Future[list[RawFound]]] = deque()
        for log_probs, weights in utterances:
            waiting.append(self._ask(log_probs, weights))
            if len(waiting) > OUTSTANDING * self._workers.jobs:
                yield self._scored(result_of(waiting.popleft()))
        for future in waiting:
            yield self._scored(result_of(future))

    def hypotheses(self, raw: Sequence[RawFound], log_probs: Tensor) -> list[Hypothesis]:
        """A search's results as the user sees them: rescored, ranked, different in text, with times."""
        rows = [(one, align_tokens(log_probs, ids)) for one, ids in self._ranking.ranked(map(self._hypothesis, raw))]
        return [replace(one, spans=found.spans if found else []) for one, found in rows]

    def _scored(self, raw: Sequence[RawFound]) -> list[Hypothesis]:
        return [one for one, _ in self._ranking.scored(map(self._hypothesis, raw))]

    def _hypothesis(self, found: RawFound) -> tuple[Hypothesis, list[int]]:
        labels, acoustic, words = found
        if isinstance(labels, str):
            return Hypothesis(labels, acoustic, words), self.tokenizer.encode(labels)
        return Hypothesis(self.text(labels), acoustic, words), labels

    def close(self) -> None:
        self._workers.close()
        if self._folder is not None:
            self._folder.cleanup()


def _numbers(log_probs: Tensor) -> Tensor:
    if bool(log_probs.isnan().any()):
        raise UserError("the model gives scores that are no numbers; in them nothing can be searched")
    return log_probs
