"""Tokenizers for models that read and write whole sentences: four special tokens, then words or subwords."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from s2s_core.errors import UserError
from s2s_core.text.tokenizers import Tokenizer

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor

PAD_ID, BOS_ID, EOS_ID, UNK_ID = 0, 1, 2, 3
"""The first four ids of every vocabulary: padding, beginning, end, unknown."""
SPECIAL_TOKENS = 4

_SPACE = "\u2581"
"""SentencePiece's visible space: the first character of a piece that begins a word."""


def clean_line(text: str) -> str:
    """Return ``text`` in Unicode NFC, without control and zero-width characters, with single spaces, stripped.

    What a reader sees stays as it is: case, punctuation and typography are for a tokenizer to normalise.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if not text.isprintable():
        text = _INVISIBLE.sub("", text)
    return " ".join(text.split())


# controls except those that are spaces; zero-width space, marks of direction, word joiner, byte-order mark. The
# zero-width joiners stay: Persian and Indic scripts spell with them
_INVISIBLE = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060\ufeff]")


class SentenceTokenizer(Tokenizer):
    """Sentences to ids and back; ids 0 to 3 are padding, beginning, end and unknown, and text always has ids.

    `encode` adds neither beginning nor end. `decode` stops at the end and leaves padding and beginning out.
    """

    @property
    def is_ready(self) -> bool:
        """Whether the vocabulary is there; what names a file may wait for `load_assets`."""
        return True

    @abstractmethod
    def fingerprint(self) -> str:
        """A digest that two tokenizers share only if they give every text the same ids."""

    def normalise(self, text: str) -> str:
        return clean_line(text)


def _content(ids: Sequence[int]) -> list[int]:
    """Ids up to the end, without padding and beginning."""
    kept: list[int] = []
    for number in ids:
        if number == EOS_ID:
            break
        if number not in (PAD_ID, BOS_ID):
            kept.append(int(number))
    return kept


class WordTokenizer(SentenceTokenizer):
    """One id a word: what stands between spaces.

    Args:
        words: the vocabulary in the order of ids, which begin at 4; every other word is unknown.

    Raises:
        ValueError: if a word is empty, holds a space or stands there twice.
    """

    UNKNOWN = "<unk>"

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self.vocab_size = SPECIAL_TOKENS + len(words)
        self._ids = {word: SPECIAL_TOKENS + number for number, word in enumerate(words)}
        if len(self._ids) != len(words):
            twice = next(word for word in words if words.count(word) > 1)
            raise ValueError(f"words hold {twice!r} more than once")
        for word in words:
            if word.split() != [word]:
                raise ValueError(f"words hold {word!r}, expected words without spaces")

    def fingerprint(self) -> str:
        return hashlib.sha256(json.dumps(["words", self.words]).encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        return [self._ids.get(word, UNK_ID) for word in self.normalise(text).split()]

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(self._word(number) for number in _content(ids))

    def _word(self, number: int) -> str:
        return self.UNKNOWN if number == UNK_ID else self.words[number - SPECIAL_TOKENS]

    def is_word_start(self, ids: Sequence[int], index: int) -> bool:
        return True


class SubwordTokenizer(SentenceTokenizer):
    """Subwords of a SentencePiece model (Kudo and Richardson 2018, https://arxiv.org/abs/1808.06226).

    A checkpoint keeps the model's bytes (`assets`): a tokenizer rebuilt from one needs no file. How text is normalised
    (Unicode compatibility forms, case) is part of the model, so training and translation cannot differ in it.

    Args:
        model_file: as ``prepare`` writes it. It may be absent if `load_assets` follows.

    Raises:
        UserError: if the file is no SentencePiece model, or its first four ids are not the special ones.
    """

    _ASSET = "sentencepiece.model"

    def __init__(self, model_file: str) -> None:
        self.model_file = model_file
        self._model = b""
        self._loaded: SentencePieceProcessor | None = None
        if Path(model_file).is_file():
            self._load(Path(model_file).read_bytes())

    def _load(self, model: bytes) -> None:
        from sentencepiece import SentencePieceProcessor

        try:
            loaded = SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise UserError(f"{self.model_file}: not a SentencePiece model ({error})") from None
        found = (loaded.pad_id(), loaded.bos_id(), loaded.eos_id(), loaded.unk_id())
        if found != (PAD_ID, BOS_ID, EOS_ID, UNK_ID):
            raise UserError(
                f"{self.model_file}: padding, beginning, end and unknown are pieces {found}, expected (0, 1, 2, 3); "
                "`prepare` trains such models"
            )
        self._loaded, self._model = loaded, model

    @property
    def is_ready(self) -> bool:
        return self._loaded is not None

    @property
    def _pieces(self) -> SentencePieceProcessor:
        if self._loaded is None:
            raise UserError(
                f"{self.model_file}: no such vocabulary; `prepare` trains one, or takes it with --vocabulary"
            )
        return self._loaded

    @property
    def vocab_size(self) -> int:  # type: ignore[override]
        """The number of pieces, special ones included."""
        return self._pieces.get_piece_size()

    def fingerprint(self) -> str:
        assert self._pieces is not None
        return hashlib.sha256(self._model).hexdigest()

    def encode(self, text: str) -> list[int]:
        return self._pieces.encode(clean_line(text))

    def decode(self, ids: Sequence[int]) -> str:
        return self._pieces.decode(_content(ids))

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The subwords as the model writes them, to be shown beside an alignment."""
        return [self._pieces.id_to_piece(int(number)) for number in ids]

    def is_word_start(self, ids: Sequence[int], index: int) -> bool:
        piece = self._pieces.id_to_piece(int(ids[index]))
        if piece == _SPACE:
            return False
        return index == 0 or piece.startswith(_SPACE) or self._pieces.id_to_piece(int(ids[index - 1])) == _SPACE

    def assets(self) -> dict[str, bytes]:
        return {self._ASSET: self._model} if self._model else {}

    def load_assets(self, assets: Mapping[str, bytes]) -> None:
        self._load(assets[self._ASSET])
