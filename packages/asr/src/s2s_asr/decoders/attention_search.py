"""The most probable text of a decoder that attends, with the say of CTC and of language models."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from s2s_asr.interfaces import FoundText, SearchPlan
from s2s_core.decoding.beam_search import BeamSearch
from s2s_core.decoding.ctc_prefix import CtcPrefix
from s2s_core.decoding.fusion import Fused, FusedState, ScorerStepper
from s2s_core.decoding.hypothesis import Hypothesis
from s2s_core.decoding.scoring import SequenceScorer
from s2s_core.decoding.state import DecodingState, Stepper
from s2s_core.errors import UserError
from s2s_core.nn.cells import wide
from s2s_core.part import Part
from s2s_core.text.tokenizers import Tokenizer

if TYPE_CHECKING:
    from s2s_asr.decoders.attention import AttentionDecoder, Listened


class LanguageModel(NamedTuple):
    """A language model that takes part in a search."""

    scorer: SequenceScorer
    ids: list[int]
    """Its token for each label of the decoder, and for the end."""
    weight: float


class AttentionSearch(Part):
    """Beam search over the next labels, `s2s_core.decoding.beam_search.BeamSearch`, ranked by

        (1 - ctc_weight) * log P_attention + ctc_weight * log P_ctc + weight * log P_language

    label by label: joint decoding in one pass (Watanabe et al. 2017, https://doi.org/10.1109/JSTSP.2017.2763455,
    section III.C) and shallow fusion (Gulcehre et al. 2015, https://arxiv.org/abs/1503.03535, section 4.1).

    Args:
        beam_width: open hypotheses an utterance.
        nbest: texts to return for each, at most ``beam_width``.
        ctc_weight: 0 to 1; above 0 only in a `JointDecoder`.
        length_penalty, coverage_penalty: see `BeamSearch`.
        labels_per_frame: a text has at most so many labels, the end among them, for each of its frames.
        end_threshold: where a language model takes part and CTC does not, a text may end only where
            ``log P_attention(end) > end_threshold * log P_attention(label)`` for every label (Hannun et al. 2019,
            https://arxiv.org/abs/1904.02619, section 3): each word costs what a language model says of it, and the
            attention, taught with smoothed labels, not enough for an early end to cost more. 0 is off.

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(
        self,
        beam_width: int = 4,
        nbest: int = 1,
        ctc_weight: float = 0.0,
        length_penalty: float = 0.0,
        coverage_penalty: float = 0.0,
        labels_per_frame: float = 1.0,
        end_threshold: float = 1.5,
    ) -> None:
        if not 0 <= ctc_weight <= 1:
            raise ValueError(f"ctc_weight must be 0 to 1, got {ctc_weight}")
        if ctc_weight == 1 and coverage_penalty:
            raise ValueError(f"coverage_penalty is {coverage_penalty}, but with a ctc_weight of 1 nothing attends")
        if not labels_per_frame > 0:
            raise ValueError(f"labels_per_frame must be positive, got {labels_per_frame}")
        if end_threshold < 0:
            raise ValueError(f"end_threshold must not be negative, got {end_threshold}")
        self.ctc_weight, self.end_threshold = ctc_weight, end_threshold
        self._penalties, self._labels_per_frame = (length_penalty, coverage_penalty), labels_per_frame
        self.beam = self._beam(beam_width, nbest)
        self.language_models: list[LanguageModel] = []

    def _beam(self, beam_width: int, nbest: int) -> BeamSearch:
        return BeamSearch(
            beam_width,
            *self._penalties,
            nbest,
            max_length_ratio=self._labels_per_frame,
            max_length_extra=0,
            patient=True,
        )

    def fuse(self, scorer: SequenceScorer, tokenizer: Tokenizer, weight: float) -> None:
        """Let a language model take part from now on.

        Raises:
            UserError: if a label of the tokenizer is not one token of the language model.
            ValueError: if the weight is negative.
        """
        if weight < 0:
            raise ValueError(f"the weight of a language model must not be negative, got {weight}")
        ids = []
        for label in range(tokenizer.vocab_size):
            text = tokenizer.decode([label])
            found = list(scorer.encode(text))
            if len(found) != 1:
                raise UserError(
                    f"the language model has {len(found)} tokens for {text!r}, expected one for each of the "
                    "recogniser's labels"
                )
            ids.append(found[0])
        self.language_models.append(LanguageModel(scorer, [*ids, scorer.end_id], weight))

    @torch.inference_mode()
    def __call__(
        self,
        decoder: AttentionDecoder,
        seen: Listened,
        lengths: Tensor,
        ctc_logits: Tensor | None = None,
        plan: SearchPlan | None = None,
    ) -> list[list[Hypothesis]]:
        """Return up to ``nbest`` hypotheses of each utterance, the best first.

        Args:
            decoder: the model.
            seen: the encodings, as its `forward` returns them.
            lengths: ``(batch,)`` frames.
            ctc_logits: ``(batch, time, labels + 1)``, blank last; needed if CTC has weight.
            plan: another width and number of texts, and words of an n-gram model that are added to the ranks.
        """
        has_language = bool(self.language_models) or (plan is not None and plan.words is not None)
        threshold = self.end_threshold if has_language and self.ctc_weight == 0 else 0.0
        steppers: list[Stepper] = [_LogProbs(decoder, threshold)]
        states: list[DecodingState] = [decoder.start(seen, tells=self.beam.coverage_penalty != 0)]
        weights = [1.0 - self.ctc_weight]
        if self.ctc_weight:
            assert ctc_logits is not None
            ctc = CtcPrefix(decoder.vocab_size)
            steppers.append(ctc)
            states.append(ctc.start(ctc_logits, lengths))
            weights.append(self.ctc_weight)
        for model in self.language_models:
            steppers.append(ScorerStepper(model.scorer, torch.tensor(model.ids, device=lengths.device), decoder.end))
            states.append(model.scorer.start(len(lengths)))
            weights.append(model.weight)
        beam, margin = self.beam, 0.0
        if plan is not None:
            beam = self._beam(plan.beam_width, plan.nbest)
            if plan.words is not None:
                margin = plan.margin
                steppers.append(plan.words)
                states.append(plan.words.start(len(lengths)))
                weights.append(1.0)
        fused, end = Fused(steppers, weights), decoder.end
        return beam(fused, FusedState(states), lengths, end, end, normalise=False, margin=margin)


def ended_texts(found: list[list[Hypothesis]]) -> list[list[FoundText]]:
    """What a search returned, as decoders of all families tell it; texts that the length limit cut off, whose scores
    lack an end, only where there are no others."""
    ended = ([one for one in row if one.finished] or row for row in found)
    return [[FoundText(one.tokens, one.score) for one in row] for row in ended]


class _LogProbs:
    """A decoder's log probabilities, minus infinity for an end that is less likely than the threshold allows."""

    def __init__(self, decoder: AttentionDecoder, end_threshold: float) -> None:
        self.decoder = decoder
        self.vocab_size = decoder.vocab_size + 1
        self.end_threshold = end_threshold

    def step(self, tokens: Tensor, state: DecodingState) -> tuple[Tensor, DecodingState]:
        logits, state = self.decoder.step(tokens, state)
        log_probs = wide(logits).log_softmax(-1)
        if self.end_threshold:
            labels, end = log_probs.split([self.decoder.vocab_size, 1], dim=-1)
            early = end <= self.end_threshold * labels.amax(-1, keepdim=True)
            log_probs = torch.cat([labels, end.masked_fill(early, float("-inf"))], dim=-1)
        return log_probs, state
