"""A tokenizer's labels and a language model's words, as searches in other processes need them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from s2s_asr.search.settings import BINARY_SUFFIXES, NO_LEXICON, SearchSettings
from s2s_core.decoding.arpa_text import binary_words, open_text, unigram_words
from s2s_core.errors import UserError
from s2s_core.text.tokenizers import Tokenizer

WORD_START = "\u2581"


@dataclass(frozen=True)
class Labels:
    """The labels of a CTC model; the blank comes after the last."""

    parts: list[tuple[str, bool]]
    """For each label the characters that it adds to a word, and whether it ends the word before it."""

    @property
    def separator(self) -> int | None:
        """The label that only separates words."""
        return next((number for number, part in enumerate(self.parts) if part == ("", True)), None)

    @property
    def are_pieces(self) -> bool:
        """Whether words begin within labels, as SentencePiece's do."""
        return any(text and begins for text, begins in self.parts)

    @property
    def names(self) -> list[str]:
        """The labels in pyctcdecode's notation, without blank."""
        if self.are_pieces:
            return [(WORD_START if begins else "") + text for text, begins in self.parts]
        return [" " if begins else text for text, begins in self.parts]


def words_of_model(settings: SearchSettings) -> list[str] | None:
    """The words that are to be recognised: the lexicon's, or else the model's; None without a model over words.

    Raises:
        UserError: if the files cannot be read, or a binary keeps no words.
    """
    if settings.lexicon == NO_LEXICON:
        return None
    if settings.lexicon is not None:
        with open_text(Path(settings.lexicon)) as file:
            words = [fields[0] for line in file if (fields := line.split())]
        if not words:
            raise UserError(f"{settings.lexicon}: the lexicon holds no words")
        return words
    if settings.lm is None:
        return None
    path = Path(settings.lm)
    words = binary_words(path) if settings.lm.endswith(BINARY_SUFFIXES) else unigram_words(path)
    if words is None:
        raise UserError(f"{path}: the binary was built without its words; give them with --lexicon FILE")
    return words


def spellings(words: Sequence[str], tokenizer: Tokenizer, labels: Labels) -> list[tuple[str, list[int]]]:
    """Each word with its labels, those that the labels can write; a separating label ends each spelling."""
    end = [] if labels.separator is None else [labels.separator]
    found = []
    for word in words:
        try:
            ids = tokenizer.encode(word)
        except ValueError:  # a character without a label
            continue
        if ids:
            found.append((word, ids + end))
    return found


def same_case(words: Sequence[str], normalise: Callable[[str], str]) -> bool:
    """Whether the words are written as transcripts are, and not, say, in capitals."""
    known = [word for word in words if not word.startswith("<")][:1000]
    return sum(normalise(word) == word for word in known) * 2 >= len(known)
