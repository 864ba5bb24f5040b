"""Language models for decoders that search by themselves: attention, attention with CTC, transducers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from s2s_asr.interfaces import FoundText, SearchPlan, SpellingDecoder
from s2s_asr.search.fusion import word_fusion
from s2s_asr.search.hypotheses import Hypothesis
from s2s_asr.search.interface import TextSearcher
from s2s_asr.search.settings import NO_LEXICON, SearchSettings
from s2s_asr.search.workers import Weights
from s2s_core.decoding.word_stepper import WordStepper
from s2s_core.errors import UserError
from s2s_core.text.tokenizers import Tokenizer

BEAM_WIDTH = 16
"""At least, where the settings do not say."""
UTTERANCES = 16
"""Searched together where weights are tried."""


class SpellingSearcher(TextSearcher):
    """Runs the search of a decoder with the language models that settings name.

    Words of an n-gram model are added label by label, a rescoring model ranks the ``nbest`` texts anew. Both join what
    the decoder's search weighs as it is: CTC's share, another language model over labels.

    Args:
        settings: the models and their weights.
        decoder: of the recogniser, in evaluation.
        tokenizer: of the recogniser.
        device: of both.

    Raises:
        UserError: if a file cannot be read, or a setting is one of frames' searches.
    """

    def __init__(
        self, settings: SearchSettings, decoder: SpellingDecoder, tokenizer: Tokenizer, device: torch.device
    ) -> None:
        _refuse_searches_of_frames(settings, decoder)
        super().__init__(settings, tokenizer, str(device))
        self._decoder, self._device = decoder, device
        fusion = word_fusion(settings, tokenizer, settings.weights(decoder.lm_weights))
        width = settings.beam_width or max(BEAM_WIDTH, decoder.beam_width, settings.nbest)
        self._plan = SearchPlan(
            width,
            width if settings.searched_nbest > 1 else 1,
            None if fusion is None else WordStepper(fusion, device),
            settings.own_beam_threshold,
        )

    def search_batch(self, seen: Any, lengths: Tensor) -> list[list[Hypothesis]]:
        return [[one for one, _ in row] for row in self._ranked(seen, lengths, self._plan)]

    def search_parts(self, seen: Any, lengths: Tensor, kept: Sequence[slice]) -> list[list[Hypothesis]]:
        """As `search_batch`, with the labels of the frames ``kept`` alone and where they are, see `Decoder.spans`;
        scores are those of all frames."""
        rows = self._ranked(seen, lengths, self._plan)
        nothing = FoundText([], 0.0)
        placed: list[list[Hypothesis]] = [[] for _ in rows]
        for rank in range(max((len(row) for row in rows), default=0)):
            texts = [row[rank][1] if rank < len(row) else nothing for row in rows]
            for row, done, spans in zip(rows, placed, self._decoder.locate(texts, seen, lengths, kept), strict=True):
                if rank < len(row):
                    text = self.text([span.token for span in spans])
                    done.append(replace(row[rank][0], text=text, spans=spans))
        return placed

    @torch.inference_mode()
    def each(self, utterances: Iterable[tuple[Tensor, Weights]]) -> Iterator[list[Hypothesis]]:
        for weights, same in groupby(utterances, key=lambda one: one[1]):
            words = None if self._plan.words is None else self._plan.words.weighted(*weights)
            plan, encodings = self._plan._replace(words=words), [one for one, _ in same]
            for first in range(0, len(encodings), UTTERANCES):
                batch = encodings[first : first + UTTERANCES]
                lengths = torch.tensor([len(one) for one in batch], device=self._device)
                seen = self._decoder(pad_sequence(batch, batch_first=True).to(self._device), lengths)
                for row in self._found(seen, lengths, plan):
                    yield [one for one, _ in self._ranking.scored(row)]

    def _ranked(self, seen: Any, lengths: Tensor, plan: SearchPlan) -> list[list[tuple[Hypothesis, FoundText]]]:
        return [self._ranking.ranked(row) for row in self._found(seen, lengths, plan)]

    def _found(self, seen: Any, lengths: Tensor, plan: SearchPlan) -> list[list[tuple[Hypothesis, FoundText]]]:
        rows = self._decoder.search_texts(seen, lengths, plan)
        texts = [text for row in rows for text in row]
        totals = iter([0.0] * len(texts) if plan.words is None else plan.words.totals([text.tokens for text in texts]))
        return [[(self._hypothesis(text, next(totals)), text) for text in row] for row in rows]

    def _hypothesis(self, found: FoundText, words: float) -> Hypothesis:
        return Hypothesis(self.text(found.tokens), found.log_probability - words, words)


def _refuse_searches_of_frames(settings: SearchSettings, decoder: SpellingDecoder) -> None:
    name = type(decoder).__name__
    if settings.hotwords:
        raise UserError(f"--hotwords: need a CTC model, this one has a {name}")
    if settings.lexicon == NO_LEXICON:
        raise UserError(f"--lexicon none: needs a CTC model, this one has a {name}; see --fuse")
    if settings.chosen_decoder != "tensors":
        binary, library = f"--lm {settings.lm}: binaries need", f"--decoder {settings.decoder}: needs"
        what = binary if settings.decoder == "auto" else library
        raise UserError(f"{what} a CTC model; this one has a {name}, which searches by itself and reads ARPA only")
