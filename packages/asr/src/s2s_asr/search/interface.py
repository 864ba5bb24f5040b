"""What every search with language models offers, over frames or by a decoder itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from torch import Tensor

from s2s_asr.search.hypotheses import Hypothesis
from s2s_asr.search.ranking import Ranking
from s2s_asr.search.settings import SearchSettings
from s2s_asr.search.workers import Weights
from s2s_core.text.tokenizers import Tokenizer


class TextSearcher(AbstractContextManager["TextSearcher"]):
    """From what a decoder makes of recordings to ranked transcripts; to be closed, or used in a ``with``.

    Args:
        settings: of the search.
        tokenizer: of the recogniser.
        device: for the rescoring model.

    Raises:
        UserError: if that model cannot be read.
    """

    def __init__(self, settings: SearchSettings, tokenizer: Tokenizer, device: str) -> None:
        self.settings, self.tokenizer = settings, tokenizer
        self._ranking = Ranking.load(settings, device)

    @abstractmethod
    def search_batch(self, seen: Any, lengths: Tensor) -> list[list[Hypothesis]]:
        """Search what the decoder's `forward` returned; the best first, without times."""

    @abstractmethod
    def each(self, utterances: Iterable[tuple[Tensor, Weights]]) -> Iterator[list[Hypothesis]]:
        """Search utterances as `Transcriber.searchable_each` yields them with weights of their own; yields all that was
        found, unranked and without times."""

    def text(self, tokens: list[int]) -> str:
        """Labels as transcripts are written."""
        return " ".join(self.tokenizer.decode(tokens).split())

    def close(self) -> None:
        """End what was started."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
