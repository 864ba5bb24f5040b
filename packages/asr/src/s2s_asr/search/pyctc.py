"""pyctcdecode with KenLM: an open vocabulary and hotwords. Runs in processes of its own; no torch here."""

from __future__ import annotations

import logging
import math
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from s2s_asr.search.settings import SearchSettings
from s2s_core.errors import UserError

UNKNOWN_PENALTY = -10.0

RawFound = tuple[Any, float, float]
"""A text or a list of labels, its acoustic score and what words add to it."""


class PyctcSearch:
    """Searches one utterance after the other.

    Args:
        names: the labels in pyctcdecode's notation, without blank.
        settings: the search's.
        lm: the model for KenLM; not the settings', whose words may be written otherwise.
        words: the known words.

    Raises:
        UserError: if the model cannot be read.
    """

    def __init__(self, names: list[str], settings: SearchSettings, lm: str | None, words: Sequence[str] | None) -> None:
        logging.getLogger("pyctcdecode").setLevel(logging.ERROR)  # it warns of what is meant
        from pyctcdecode.alphabet import Alphabet  # type: ignore[import-untyped]
        from pyctcdecode.decoder import BeamSearchDecoderCTC  # type: ignore[import-untyped]
        from pyctcdecode.language_model import LanguageModel  # type: ignore[import-untyped]

        self._settings = settings
        self._model = None
        if lm is not None:
            penalty = UNKNOWN_PENALTY if settings.unknown_penalty is None else settings.unknown_penalty
            self._model = LanguageModel(_kenlm(lm), words, *settings.weights(), penalty)
        self._decoder = BeamSearchDecoderCTC(Alphabet.build_alphabet([*names, ""]), self._model)
        threshold = settings.beam_threshold
        self._threshold = {} if threshold is None else {"beam_prune_logp": -threshold}

    def set_weights(self, alpha: float, beta: float) -> None:
        if self._model is not None:
            self._model.alpha, self._model.beta = alpha, beta

    def search(self, log_probs: np.ndarray) -> list[RawFound]:
        """The n-best of ``(time, labels + 1)``: texts."""
        if not len(log_probs):
            return [("", 0.0, 0.0)]
        settings = self._settings
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            beams = self._decoder.decode_beams(
                log_probs,
                beam_width=settings.frames_beam_width,
                hotwords=settings.hotwords or None,
                hotword_weight=settings.hotword_weight,
                prune_history=settings.searched_nbest == 1,
                **self._threshold,
            )
        found = [(" ".join(text.split()), float(a), float(total - a)) for text, _, _, a, total in beams]
        return [one for one in found if math.isfinite(one[1])][: settings.searched_nbest] or [("", 0.0, 0.0)]


@contextmanager
def silence() -> Iterator[None]:
    """Keep what libraries print on standard error from the user: KenLM draws bars and gives advice while it loads."""
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _kenlm(path: str) -> Any:
    import kenlm  # type: ignore[import-not-found]

    try:
        with silence():
            return kenlm.Model(path)
    except (OSError, RuntimeError) as error:
        raise UserError(f"--lm {path}: KenLM cannot read it ({str(error).splitlines()[0]})") from None
