"""SentencePiece models of parallel text."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from s2s_core.errors import UserError
from s2s_core.text.sentences import BOS_ID, EOS_ID, PAD_ID, UNK_ID

ModelType = Literal["bpe", "unigram"]
NORMALISATIONS = ("nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity")
"""SentencePiece's rules: ``cf`` folds case."""
MOST_SENTENCES = 5_000_000
"""Of longer corpora a random sample is learnt from."""


@dataclass(frozen=True)
class VocabularyOptions:
    """How vocabularies are learnt."""

    size: int = 32768
    """Pieces, the four special ones included; OpenSeq2Seq's translation recipes have 32,768."""
    model_type: ModelType = "bpe"
    separate: bool = False
    """One vocabulary a side instead of one for both."""
    normalisation: str = "nmt_nfkc"
    coverage: float = 1.0
    """The share of characters that get a piece; 0.9995 suits scripts with thousands of them."""
    existing: Path | None = None
    """Use this model for both sides, and learn none."""


def train_sentencepiece(texts: Iterable[str], options: VocabularyOptions, model_file: Path) -> None:
    """Train a SentencePiece model with the special tokens 0 to 3 and write it.

    Raises:
        UserError: if the texts do not give that many pieces, or need more.
    """
    from sentencepiece import SentencePieceTrainer

    model = io.BytesIO()
    try:
        SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=model,
            vocab_size=options.size,
            model_type=options.model_type,
            character_coverage=options.coverage,
            normalization_rule_name=options.normalisation,
            input_sentence_size=MOST_SENTENCES,
            shuffle_input_sentence=True,
            pad_id=PAD_ID,
            bos_id=BOS_ID,
            eos_id=EOS_ID,
            unk_id=UNK_ID,
            minloglevel=2,
        )
    except RuntimeError as error:
        reason = " ".join(str(error).split()).rpartition("] ")[2]
        raise UserError(f"--vocabulary-size {options.size}: {reason}") from None
    model_file.write_bytes(model.getvalue())
