"""Weights of language models, sought on recordings whose transcripts are known."""

from __future__ import annotations

import itertools
import math
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from s2s_asr.search.hypotheses import Hypothesis
from s2s_asr.search.interface import TextSearcher
from s2s_core.error_rate import edit_distance
from s2s_core.errors import UserError


@dataclass(frozen=True)
class Trial:
    """Weights, and the word error rate with them."""

    alpha: float
    beta: float
    rescore_weight: float
    """0 without a rescoring model."""
    wer: float
    errors: tuple[int, ...] = field(default=(), repr=False, compare=False)
    """Of each utterance."""


def tune(
    searcher: TextSearcher,
    frames: Sequence[Tensor],
    references: Sequence[str],
    alphas: Sequence[float],
    betas: Sequence[float],
    rescore_weights: Sequence[float] = (0.0,),
    progress: Callable[[int], None] | None = None,
) -> list[Trial]:
    """Try every combination; all utterances of all of them keep the searcher's workers busy.

    Args:
        searcher: its rescoring model scores each text once, whatever the weights.
        frames: of each utterance, on the host: log-probabilities ``(time, labels + 1)``, or the encodings where a
            decoder searches by itself.
        references: what was said, as the tokenizer normalises it.
        alphas, betas, rescore_weights: the grid.
        progress: told how many searches are done.
    """
    grid = list(itertools.product(alphas, betas))
    words = max(1, sum(len(reference.split()) for reference in references))
    results = searcher.each((one, weights) for weights in grid for one in frames)
    if progress is not None:
        results = _counted(results, progress)
    trials = []
    for alpha, beta in grid:
        found = list(itertools.islice(results, len(frames)))
        for weight in rescore_weights:
            texts = [_best(row, weight) for row in found]
            errors = tuple(edit_distance(a.split(), b.split()) for a, b in zip(texts, references, strict=True))
            trials.append(Trial(alpha, beta, weight, sum(errors) / words, errors))
    return trials


def choose(trials: Sequence[Trial]) -> Trial:
    """The trial that trusts language models least among those that are as good as the best.

    As good means: not worse by more than one standard error of the difference, utterance by utterance. Of a plateau
    on few utterances the best corner is chance, and the one with the most weight on language models does worst on
    other speakers; this is the rule of one standard error (Breiman et al. 1984, section 3.4.3) on paired differences.
    """
    best = min(trials, key=lambda trial: trial.wer)
    return min(
        (trial for trial in trials if _is_as_good(trial, best)),
        key=lambda trial: (trial.alpha, trial.rescore_weight, abs(trial.beta), trial.wer),
    )


def _is_as_good(trial: Trial, best: Trial) -> bool:
    worse = [a - b for a, b in zip(trial.errors, best.errors, strict=True)]
    total = sum(worse)
    return total <= math.sqrt(sum((one - total / len(worse)) ** 2 for one in worse))


def _counted(results: Iterator[list[Hypothesis]], progress: Callable[[int], None]) -> Iterator[list[Hypothesis]]:
    for number, one in enumerate(results, start=1):
        progress(number)
        yield one


def _best(found: Sequence[Hypothesis], rescore_weight: float) -> str:
    return max(found, key=lambda one: one.acoustic + one.words_score + rescore_weight * one.rescoring).text


class FrameCache:
    """Log-probabilities in a file, so that another grid needs no acoustic model.

    Args:
        path: of the file.
        key: what the frames depend on; a file with another key is refused.
    """

    def __init__(self, path: Path, key: list[str]) -> None:
        self.path, self.key = path, key

    def load(self) -> list[Tensor] | None:
        """What was saved; None if there is no file yet.

        Raises:
            UserError: if the file is broken, or of another checkpoint or other recordings.
        """
        if not self.path.exists():
            return None
        try:
            content = torch.load(self.path, weights_only=True)
            key, frames = content["key"], content["frames"]
        except (RuntimeError, OSError, EOFError, ValueError, KeyError, TypeError, pickle.UnpicklingError):
            raise UserError(f"--logits {self.path}: not a file of logits; remove it, or name another") from None
        if key != self.key:
            raise UserError(
                f"--logits {self.path}: of another checkpoint or other recordings; remove it, or name another"
            )
        return frames

    def save(self, frames: Sequence[Tensor]) -> None:
        """Write the frames; raises UserError where that cannot be."""
        try:
            torch.save({"key": self.key, "frames": list(frames)}, self.path)
        except (OSError, RuntimeError) as error:
            raise UserError(f"--logits {self.path}: cannot be written ({str(error).splitlines()[0]})") from None
