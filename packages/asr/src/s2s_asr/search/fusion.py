"""The n-gram model that settings name, ready to take part in a search over labels."""

from __future__ import annotations

from s2s_asr.search.labels import words_of_model
from s2s_asr.search.settings import SearchSettings
from s2s_asr.search.workers import Weights
from s2s_core.decoding.arpa import ArpaScorer
from s2s_core.decoding.word_fusion import UNKNOWN_PENALTY, WordFusion, label_lexicon
from s2s_core.text.tokenizers import Tokenizer


def word_fusion(settings: SearchSettings, tokenizer: Tokenizer, weights: Weights) -> WordFusion | None:
    """The settings' model and lexicon with these weights; None without a model.

    Args:
        settings: of the search.
        tokenizer: of the recogniser; writes the model's words as transcripts are.
        weights: alpha and beta.

    Raises:
        UserError: if a file cannot be read.
    """
    if settings.lm is None:
        return None
    scorer = ArpaScorer.load(settings.lm)
    only = words_of_model(settings) if settings.lexicon is not None else None
    lexicon = label_lexicon(scorer, tokenizer.word_parts(), tokenizer.normalise, only)
    penalty = UNKNOWN_PENALTY if settings.unknown_penalty is None else settings.unknown_penalty
    return WordFusion(scorer, lexicon, *weights, penalty)
