"""flashlight-text: words of a lexicon, or labels freely. Runs in processes of its own; no torch here."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from s2s_asr.search.pyctc import RawFound, silence
from s2s_asr.search.settings import SearchSettings
from s2s_core.errors import UserError

UNKNOWN = "<unk>"
IMPOSSIBLE = -1e4


class FlashlightSearch:
    """Searches one utterance after the other, for the best path: flashlight's own default.

    With spellings only their words are recognised, and a language model is over them. Without, any labels are, and a
    language model is over label names, in which a space is ``|``.

    Args:
        names: the labels, without blank; a space is the separator.
        separator: the label that only separates words, if there is one.
        settings: the search's.
        lm: the model for KenLM.
        spellings: words and their labels.

    Raises:
        UserError: if the model cannot be read.
    """

    def __init__(
        self,
        names: list[str],
        separator: int | None,
        settings: SearchSettings,
        lm: str | None,
        spellings: list[tuple[str, list[int]]] | None,
    ) -> None:
        from flashlight.lib.text import decoder as library  # type: ignore[import-not-found]
        from flashlight.lib.text.dictionary import Dictionary  # type: ignore[import-not-found]

        self._library, self._settings = library, settings
        self._labels, self._separator = len(names), -1 if separator is None else separator
        self._spellings = spellings
        units = [name.replace(" ", "|") for name in names] if spellings is None else [word for word, _ in spellings]
        self._words = Dictionary([*dict.fromkeys(units), UNKNOWN])
        self._words.set_default_index(self._words.get_index(UNKNOWN))
        self._model = library.ZeroLM() if lm is None else _kenlm(lm, self._words)
        self._trie = None if spellings is None else self._tree(spellings)
        self._weights: tuple[float, float] | None = None
        self.set_weights(*settings.weights())

    def _tree(self, spellings: list[tuple[str, list[int]]]) -> Any:
        trie = self._library.Trie(self._labels + 1, max(self._separator, 0))
        start = self._model.start(False)
        for word, ids in spellings:
            number = self._words.get_index(word)
            _, score = self._model.score(start, number)
            trie.insert(ids, number, score)
        trie.smear(self._library.SmearingMode.MAX)
        return trie

    def set_weights(self, alpha: float, beta: float) -> None:
        if self._weights == (alpha, beta):
            return
        self._weights = (alpha, beta)
        settings, library = self._settings, self._library
        common: dict[str, Any] = {
            "beam_size": settings.frames_beam_width,
            "beam_size_token": self._labels + 1,
            "beam_threshold": 25.0 if settings.beam_threshold is None else settings.beam_threshold,
            "lm_weight": alpha * math.log(10),  # its KenLM answers in powers of ten
            "sil_score": 0.0,
            "log_add": False,
            "criterion_type": library.CriterionType.CTC,
        }
        if self._trie is None:
            options = library.LexiconFreeDecoderOptions(**common)
            self._decoder = library.LexiconFreeDecoder(options, self._model, self._separator, self._labels, [])
        else:
            options = library.LexiconDecoderOptions(**common, word_score=beta, unk_score=-math.inf)
            unknown = self._words.get_index(UNKNOWN)
            self._decoder = library.LexiconDecoder(
                options, self._trie, self._model, self._separator, self._labels, unknown, [], False
            )

    def search(self, log_probs: np.ndarray) -> list[RawFound]:
        """The n-best of ``(time, labels + 1)``: labels."""
        scores = self._with_end(np.asarray(log_probs, dtype=np.float32))
        found = self._decoder.decode(scores.ctypes.data, *scores.shape) if len(scores) else []
        rows = [
            (self._collapsed(one.tokens), float(one.emittingModelScore), float(one.score - one.emittingModelScore))
            for one in found[: self._settings.searched_nbest]
        ]
        return rows or [([], 0.0, 0.0)]

    def _with_end(self, scores: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """With one frame more that separates words at no cost: every word of the lexicon has to end so."""
        if self._trie is None or self._separator < 0 or not len(scores):
            return np.ascontiguousarray(scores)
        end = np.full((1, scores.shape[1]), IMPOSSIBLE, dtype=np.float32)
        end[0, [self._separator, self._labels]] = 0.0
        return np.concatenate([scores, end])

    def _collapsed(self, path: list[int]) -> list[int]:
        # the path begins and ends with a frame of silence that no audio has
        runs = (label for label, _ in itertools.groupby(path[1:-1]))
        labels = [label for label in runs if 0 <= label < self._labels]
        while labels and labels[-1] == self._separator:
            labels.pop()
        return labels


def _kenlm(path: str, words: Any) -> Any:
    from flashlight.lib.text.decoder.kenlm import KenLM  # type: ignore[import-not-found]

    try:
        with silence():
            return KenLM(path, words)
    except (OSError, RuntimeError) as error:
        raise UserError(f"--lm {path}: KenLM cannot read it ({str(error).splitlines()[0]})") from None
