"""CTC prefix beam search over batches of frames, on any device."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from s2s_core.decoding import native_prefix_beam, tensor_prefix_beam
from s2s_core.decoding.hypothesis import CtcHypothesis
from s2s_core.decoding.word_fusion import WordFusion


@dataclass(frozen=True)
class CtcPrefixBeam:
    """The most probable label sequences of a CTC model, over all their paths (Hannun et al. 2014, algorithm 1,
    https://arxiv.org/abs/1408.2873), with an n-gram model over words where one is given.

    A prefix's probability is kept in two parts, of the paths that end in blank and of those that do not. What a
    language model adds depends on the prefix alone and is kept apart from both, so prefixes that meet again add their
    paths without counting words twice; the paper multiplies it into the paths. On the host a compiled kernel searches
    (`native_prefix_beam`), utterances side by side; without a compiler, and on other devices, tensor operations do
    (`tensor_prefix_beam`). The result of an utterance does not depend on the others in its batch.

    Args:
        beam_width: prefixes that are kept from frame to frame.
        nbest: hypotheses that are returned, at most.
        beam_threshold: prefixes that rank lower than the best by more are dropped.

    Raises:
        ValueError: if ``nbest`` is not between 1 and ``beam_width``, or ``beam_threshold`` is negative.
    """

    beam_width: int = 128
    nbest: int = 1
    beam_threshold: float = math.inf

    def __post_init__(self) -> None:
        if not 1 <= self.nbest <= self.beam_width:
            raise ValueError(f"nbest must be from 1 to the beam width ({self.beam_width}), got {self.nbest}")
        if self.beam_threshold < 0:
            raise ValueError(f"beam_threshold must not be negative, got {self.beam_threshold}")

    def __call__(
        self, log_probs: Tensor, lengths: Tensor, fusion: WordFusion | None = None
    ) -> list[list[CtcHypothesis]]:
        """Return the hypotheses of each utterance, the best first.

        Args:
            log_probs: ``(batch, time, labels + 1)``, natural, the blank last.
            lengths: ``(batch,)`` frames.
            fusion: the language model, over the same labels.

        Raises:
            ValueError: if a score is not a number, or the language model has other labels.
        """
        if bool(log_probs.isnan().any()):
            raise ValueError("log_probs hold values that are not numbers")
        if fusion is not None and len(fusion.lexicon.begins) != log_probs.shape[2] - 1:
            labels, scored = len(fusion.lexicon.begins), log_probs.shape[2] - 1
            raise ValueError(f"the language model's lexicon has {labels} labels, the scores have {scored}")
        on_host = log_probs.device.type == "cpu" and native_prefix_beam.available()
        search = native_prefix_beam.search if on_host else tensor_prefix_beam.search
        return search(self, log_probs.detach(), lengths, fusion)
