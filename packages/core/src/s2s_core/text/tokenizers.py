"""Text to labels and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from s2s_core.errors import UserError
from s2s_core.part import Part
from s2s_core.text.normalise import normalise_text

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor

ENGLISH_LABELS = " abcdefghijklmnopqrstuvwxyz'"
"""OpenSeq2Seq's 28 labels in its order: space, a to z, apostrophe."""


class Tokenizer(Part, ABC):
    """Text to label numbers ``0 .. vocab_size - 1``; whoever needs a blank puts it at ``vocab_size``."""

    vocab_size: int
    """The number of labels, without blank."""

    @abstractmethod
    def normalise(self, text: str) -> str:
        """The text as `encode` sees it."""

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Labels of the normalised text.

        Raises:
            ValueError: if characters have no label; the message names them and the text.
        """

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """Text of labels."""

    @abstractmethod
    def is_word_start(self, ids: Sequence[int], index: int) -> bool:
        """Whether ``ids[index]`` is the first label of a word; a label that only separates words is not."""

    def word_parts(self) -> list[tuple[str, bool]]:
        """For each label the characters that it adds to a word, and whether it ends the word before it.

        Raises:
            UserError: if this tokenizer cannot tell: models of words cannot be searched with.
        """
        raise UserError(f"a {type(self).__name__} does not say how its labels make words")

    def assets(self) -> dict[str, bytes]:
        """Files that a checkpoint keeps for this tokenizer, by name."""
        return {}

    def load_assets(self, assets: Mapping[str, bytes]) -> None:
        """Take what `assets` gave, in place of the files that the constructor names."""


class CharTokenizer(Tokenizer):
    """One label a character.

    Args:
        labels: the characters in the order of their numbers; the default is OpenSeq2Seq's English 28.
        lower_case: `normalise` lower-cases.
        strip_punctuation: `normalise` drops punctuation that is not among the labels; otherwise it is an
            unknown character.
    """

    def __init__(self, labels: str = ENGLISH_LABELS, lower_case: bool = True, strip_punctuation: bool = False) -> None:
        if not labels:
            raise ValueError("labels must hold at least one character")
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"labels hold {_quoted(twice)} more than once")
        self.labels = labels
        self.lower_case = lower_case
        self.strip_punctuation = strip_punctuation
        self.vocab_size = len(labels)
        self._ids = {label: number for number, label in enumerate(labels)}

    def normalise(self, text: str) -> str:
        return normalise_text(
            text, lower_case=self.lower_case, strip_punctuation=self.strip_punctuation, keep=self.labels
        )

    def encode(self, text: str) -> list[int]:
        text = self.normalise(text)
        try:
            return [self._ids[character] for character in text]
        except KeyError:
            unknown = sorted(set(text) - set(self.labels))
            raise ValueError(f"unknown characters {_quoted(unknown)} in {text!r}") from None

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self.labels[number] for number in ids)

    def is_word_start(self, ids: Sequence[int], index: int) -> bool:
        if self.labels[ids[index]].isspace():
            return False
        return index == 0 or self.labels[ids[index - 1]].isspace()

    def word_parts(self) -> list[tuple[str, bool]]:
        return [("", True) if label.isspace() else (label, False) for label in self.labels]


class SentencePieceTokenizer(Tokenizer):
    """Subwords of a SentencePiece model (Kudo and Richardson 2018, https://arxiv.org/abs/1808.06226).

    A checkpoint keeps the model's bytes (`assets`): a tokenizer rebuilt from one needs no file.

    Args:
        model_file: as ``prepare --sentencepiece`` writes it. It may be absent if `load_assets` follows.
        lower_case: `normalise` lower-cases before the model's own normalisation.
        strip_punctuation: `normalise` drops punctuation except apostrophes.
    """

    _ASSET = "sentencepiece.model"

    def __init__(self, model_file: str, lower_case: bool = True, strip_punctuation: bool = False) -> None:
        self.model_file = model_file
        self.lower_case = lower_case
        self.strip_punctuation = strip_punctuation
        self._model = b""
        self._loaded: SentencePieceProcessor | None = None
        if Path(model_file).is_file():
            self._load(Path(model_file).read_bytes())

    def _load(self, model: bytes) -> None:
        from sentencepiece import SentencePieceProcessor

        try:
            self._loaded = SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise UserError(f"{self.model_file}: not a SentencePiece model ({error})") from None
        self._model = model

    @property
    def _pieces(self) -> SentencePieceProcessor:
        if self._loaded is None:
            raise UserError(f"{self.model_file}: no such file; `prepare ... --sentencepiece SIZE` trains a model")
        return self._loaded

    @property
    def vocab_size(self) -> int:  # type: ignore[override]
        """The number of pieces, those for unknown text and control included."""
        return self._pieces.get_piece_size()

    def normalise(self, text: str) -> str:
        return normalise_text(text, lower_case=self.lower_case, strip_punctuation=self.strip_punctuation)

    def encode(self, text: str) -> list[int]:
        text = self.normalise(text)
        pieces = self._pieces
        ids = pieces.encode(text)
        if pieces.unk_id() in ids:
            unknown = sorted({character for character in text if pieces.unk_id() in pieces.encode(character)})
            raise ValueError(f"unknown characters {_quoted(unknown)} in {text!r}")
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        return self._pieces.decode(list(ids))

    def is_word_start(self, ids: Sequence[int], index: int) -> bool:
        pieces = self._pieces
        piece = pieces.id_to_piece(ids[index])
        if piece == _SPACE:
            return False
        return index == 0 or piece.startswith(_SPACE) or pieces.id_to_piece(ids[index - 1]) == _SPACE

    def word_parts(self) -> list[tuple[str, bool]]:
        names = [self._pieces.id_to_piece(number) for number in range(self.vocab_size)]
        return [(name.removeprefix(_SPACE), name.startswith(_SPACE)) for name in names]

    def assets(self) -> dict[str, bytes]:
        return {self._ASSET: self._model} if self._model else {}

    def load_assets(self, assets: Mapping[str, bytes]) -> None:
        self._load(assets[self._ASSET])


_SPACE = "\u2581"
"""SentencePiece's visible space: the first character of a piece that begins a word."""


def _quoted(characters: Sequence[str]) -> str:
    return " ".join(repr(character) for character in characters)
