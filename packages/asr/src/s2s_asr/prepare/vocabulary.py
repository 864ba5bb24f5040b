"""A SentencePiece model of a corpus's transcripts."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

from s2s_core.errors import UserError


def train_sentencepiece(texts: Iterable[str], size: int, model_file: Path) -> None:
    """Train a unigram model of ``size`` pieces that covers every character of ``texts``, and write it.

    Raises:
        UserError: if the texts do not give that many pieces, or need more.
    """
    from sentencepiece import SentencePieceTrainer

    model = io.BytesIO()
    try:
        SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=model,
            vocab_size=size,
            character_coverage=1.0,
            normalization_rule_name="identity",
            bos_id=-1,
            eos_id=-1,
            unk_id=0,
            minloglevel=2,
        )
    except RuntimeError as error:
        reason = " ".join(str(error).split()).rpartition("] ")[2]
        raise UserError(f"--sentencepiece {size}: {reason}") from None
    model_file.write_bytes(model.getvalue())
