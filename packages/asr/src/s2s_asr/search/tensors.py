"""Our own search: needs no library, reads ARPA models, has an open vocabulary."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from s2s_asr.search.fusion import word_fusion
from s2s_asr.search.pyctc import RawFound
from s2s_asr.search.settings import SearchSettings
from s2s_core.decoding.ctc_prefix_beam import CtcPrefixBeam
from s2s_core.text.tokenizers import Tokenizer


class TensorSearch:
    """`CtcPrefixBeam` with the settings' model.

    Args:
        settings: the search's.
        tokenizer: of the acoustic model.

    Raises:
        UserError: if the language model or its lexicon cannot be read.
    """

    def __init__(self, settings: SearchSettings, tokenizer: Tokenizer) -> None:
        self._beam = CtcPrefixBeam(settings.frames_beam_width, settings.searched_nbest, settings.own_beam_threshold)
        self._fusion = word_fusion(settings, tokenizer, settings.weights())

    def search(self, log_probs: Tensor, weights: tuple[float, float] | None = None) -> list[RawFound]:
        """The n-best of ``(time, labels + 1)``: labels."""
        return self.search_batch(log_probs[None], torch.tensor([len(log_probs)]), weights)[0]

    def search_batch(
        self, log_probs: Tensor, lengths: Tensor, weights: tuple[float, float] | None = None
    ) -> list[list[RawFound]]:
        """The n-best of ``(batch, time, labels + 1)`` on any device."""
        fusion = self._fusion
        if fusion is not None and weights is not None:
            fusion = replace(fusion, weight=weights[0], bonus=weights[1])
        found = self._beam(log_probs, lengths, fusion)
        return [[(one.tokens, one.acoustic, one.words) for one in row] for row in found]
