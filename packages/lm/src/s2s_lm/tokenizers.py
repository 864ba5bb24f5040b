"""Vocabularies of language models: words or characters from a list, or subwords; and what perplexity counts of each."""

from __future__ import annotations

import hashlib
import re
import zlib
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from s2s_core.errors import UserError
from s2s_core.text.sentences import EOS_ID, UNK_ID, SubwordTokenizer, clean_line
from s2s_core.text.tokenizers import Tokenizer

Unit = Literal["words", "characters", "subwords"]

END, UNKNOWN = "<eos>", "<unk>"
"""The first two entries of a vocabulary: the end of a line, and what has no entry."""


class LmTokenizer(Tokenizer):
    """Lines of text to ids and back. Each line ends with ``eos_id``, which is also what a text begins after.

    Ids go by falling frequency, as far as the kind of vocabulary allows: sampled and adaptive softmax rely on it.
    """

    eos_id: int
    unk_id: int
    unit: Unit
    buckets: int = 0
    """How many of the ids, the last, are n-grams of the word before them."""

    @property
    def is_ready(self) -> bool:
        """Whether the vocabulary is there; what names a file may wait for `load_assets`."""
        return True

    @abstractmethod
    def fingerprint(self) -> str:
        """A digest that two tokenizers share only if they give every text the same ids."""

    @abstractmethod
    def shown(self, number: int) -> str:
        """What a token adds to a line; nothing for the end."""

    @abstractmethod
    def words_of(self) -> list[float]:
        """For each id how many words of the original text it stands for; the end of a line is one, as is usual.

        Of subwords, only the first of a word counts, so that perplexity is per word whatever the pieces.
        """

    @abstractmethod
    def characters_of(self) -> list[float]:
        """For each id how many characters of the original text it stands for, spaces and line ends included."""

    def normalise(self, text: str) -> str:
        return clean_line(text)


class VocabularyTokenizer(LmTokenizer):
    """Words between spaces, or characters, from a list; anything else is unknown.

    A checkpoint keeps the list (`assets`). A word's characters include the space or line end behind it.

    Args:
        vocab_file: as ``prepare text`` writes it: an entry and its count on each line, the most frequent first behind
            ``<eos>`` and ``<unk>``. It may be absent if `load_assets` follows.
        unit: ``words`` or ``characters``.
        lower_case: whether text is lower-cased.
        split_punctuation: whether punctuation is cut off words, for text that nobody has tokenised; also leaves out
            the line breaks of HTML.
    """

    _ASSET = "vocab.txt"
    eos_id, unk_id = 0, 1

    def __init__(
        self,
        vocab_file: str,
        unit: Literal["words", "characters"] = "words",
        lower_case: bool = False,
        split_punctuation: bool = False,
    ) -> None:
        if unit not in ("words", "characters"):
            raise ValueError(f"unit must be words or characters, not {unit!r}")
        self.vocab_file, self.unit, self.lower_case = vocab_file, unit, lower_case
        self.split_punctuation = split_punctuation
        self.entries: list[str] = []
        self._ids: dict[str, int] = {}
        if Path(vocab_file).is_file():
            self.load_assets({self._ASSET: Path(vocab_file).read_bytes()})

    def load_assets(self, assets: Mapping[str, bytes]) -> None:
        lines = assets[self._ASSET].decode("utf-8").splitlines()
        self.entries = [_unescape(line.split("\t", 1)[0]) for line in lines]
        if self.entries[:2] != [END, UNKNOWN]:
            raise UserError(f"{self.vocab_file}: expected {END} and {UNKNOWN} on the first two lines")
        self._ids = {entry: number for number, entry in enumerate(self.entries)}

    def assets(self) -> dict[str, bytes]:
        return {self._ASSET: vocabulary_file(self.entries)} if self.entries else {}

    @property
    def is_ready(self) -> bool:
        return bool(self.entries)

    @property
    def vocab_size(self) -> int:  # type: ignore[override]
        """The number of entries."""
        if not self.entries:
            raise UserError(f"{self.vocab_file}: no such vocabulary; `prepare text` writes one")
        return len(self.entries)

    def fingerprint(self) -> str:
        content = f"{self.unit} {self.lower_case} {self.split_punctuation}\n".encode() + vocabulary_file(self.entries)
        return hashlib.sha256(content).hexdigest()

    def normalise(self, text: str) -> str:
        text = text.rstrip("\r\n") if self.unit == "characters" else clean_line(text)
        if self.split_punctuation:
            text = " ".join(_WORDS.findall(_LINE_BREAK.sub(" ", text)))
        return text.lower() if self.lower_case else text

    def encode(self, text: str) -> list[int]:
        text = self.normalise(text)
        return [self._ids.get(part, self.unk_id) for part in (text.split() if self.unit == "words" else text)]

    def decode(self, ids: Sequence[int]) -> str:
        separator = " " if self.unit == "words" else ""
        lines: list[list[str]] = [[]]
        for number in ids:
            if number == self.eos_id:
                lines.append([])
            else:
                lines[-1].append(self.entries[number])
        return "\n".join(separator.join(line) for line in lines)

    def shown(self, number: int) -> str:
        if number == self.eos_id:
            return ""
        return self.entries[number] + (" " if self.unit == "words" else "")

    def is_word_start(self, ids: Sequence[int], index: int) -> bool:
        if self.unit == "words":
            return True
        here = self.entries[ids[index]].isspace()
        return not here and (index == 0 or self.entries[ids[index - 1]].isspace() or ids[index - 1] == self.eos_id)

    def words_of(self) -> list[float]:
        if self.unit == "words":
            return [1.0] * len(self.entries)
        return [1.0 if number == self.eos_id or entry.isspace() else 0.0 for number, entry in enumerate(self.entries)]

    def characters_of(self) -> list[float]:
        if self.unit == "characters":
            return [1.0] * len(self.entries)
        return [0.0 if number == self.eos_id else len(entry) + 1.0 for number, entry in enumerate(self.entries)]


class SubwordLmTokenizer(LmTokenizer):
    """Subwords of a SentencePiece model, as `s2s_core.text.sentences.SubwordTokenizer` reads them.

    Args:
        model_file: as ``prepare text --unit subwords`` writes it. It may be absent if `load_assets` follows.
    """

    eos_id, unk_id = EOS_ID, UNK_ID
    unit: Unit = "subwords"

    def __init__(self, model_file: str) -> None:
        self.model_file = model_file
        self._subwords = SubwordTokenizer(model_file)

    @property
    def vocab_size(self) -> int:  # type: ignore[override]
        """The number of pieces, special ones included."""
        return self._subwords.vocab_size

    @property
    def is_ready(self) -> bool:
        return self._subwords.is_ready

    def fingerprint(self) -> str:
        return self._subwords.fingerprint()

    def encode(self, text: str) -> list[int]:
        return self._subwords.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        lines: list[list[int]] = [[]]
        for number in ids:
            if number == self.eos_id:
                lines.append([])
            else:
                lines[-1].append(int(number))
        return "\n".join(self._subwords.decode(line) for line in lines)

    def shown(self, number: int) -> str:
        return "" if number == self.eos_id else self._subwords.pieces([number])[0].replace("\u2581", " ")

    def is_word_start(self, ids: Sequence[int], index: int) -> bool:
        return self._subwords.is_word_start(ids, index)

    def words_of(self) -> list[float]:
        return [float(p.startswith("\u2581") or n == EOS_ID) for n, p in enumerate(self._pieces())]

    def characters_of(self) -> list[float]:
        # the space that a line's first piece begins with stands for the line's end
        return [0.0 if n in (0, 1, EOS_ID) else float(len(p)) for n, p in enumerate(self._pieces())]

    def _pieces(self) -> list[str]:
        return self._subwords.pieces(range(self.vocab_size))

    def assets(self) -> dict[str, bytes]:
        return self._subwords.assets()

    def load_assets(self, assets: Mapping[str, bytes]) -> None:
        self._subwords.load_assets(assets)


class SpelledTokenizer(VocabularyTokenizer):
    """Words from a list, each followed by its character n-grams, so that a word which is not on the list still says
    something (Bojanowski et al. 2017, https://arxiv.org/abs/1607.04606, section 3.2).

    Numbers below ``words`` are words, those from there on n-grams, which share ``buckets`` numbers by their digests
    (CRC-32 instead of the paper's FNV-1a). A word is spelt between ``<`` and ``>``; the whole of it is no n-gram of
    its own, its entry is.

    Args:
        vocab_file: see `VocabularyTokenizer`.
        buckets: numbers for n-grams.
        shortest, longest: lengths of n-grams, the marks included.
        lower_case, split_punctuation: see `VocabularyTokenizer`.

    Raises:
        ValueError: if there are no buckets, or lengths are not 1 <= shortest <= longest.
    """

    def __init__(
        self,
        vocab_file: str,
        buckets: int = 30_000,
        shortest: int = 3,
        longest: int = 5,
        lower_case: bool = False,
        split_punctuation: bool = False,
    ) -> None:
        if buckets < 1 or not 1 <= shortest <= longest:
            raise ValueError(
                f"expected buckets >= 1 and 1 <= shortest <= longest, got {buckets}, {shortest} and {longest}"
            )
        self.buckets, self.shortest, self.longest = buckets, shortest, longest
        super().__init__(vocab_file, "words", lower_case, split_punctuation)

    @property
    def words(self) -> int:
        """The number of words; n-grams are counted from here."""
        return super().vocab_size

    @property
    def vocab_size(self) -> int:  # type: ignore[override]
        """Words and n-grams."""
        return self.words + self.buckets

    def fingerprint(self) -> str:
        spelling = f"{super().fingerprint()} {self.buckets} {self.shortest} {self.longest}"
        return hashlib.sha256(spelling.encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        return [number for word in self.normalise(text).split() for number in self._spelt(word)]

    def _spelt(self, word: str) -> list[int]:
        marked, words = f"<{word}>", self.words
        ngrams = (
            marked[start : start + length]
            for length in range(self.shortest, min(self.longest, len(marked) - 1) + 1)
            for start in range(len(marked) - length + 1)
        )
        numbers = [words + zlib.crc32(ngram.encode()) % self.buckets for ngram in ngrams]
        return [self._ids.get(word, self.unk_id), *numbers]

    def decode(self, ids: Sequence[int]) -> str:
        return super().decode([number for number in ids if number < self.words])

    def shown(self, number: int) -> str:
        return super().shown(number) if number < self.words else ""

    def is_word_start(self, ids: Sequence[int], index: int) -> bool:
        return ids[index] < self.words

    def words_of(self) -> list[float]:
        return super().words_of() + [0.0] * self.buckets

    def characters_of(self) -> list[float]:
        return super().characters_of() + [0.0] * self.buckets


def vocabulary_file(entries: Iterable[str], counts: Iterable[int] | None = None) -> bytes:
    """What `VocabularyTokenizer` reads: an entry a line, and its count where there is one."""
    if counts is None:
        return "".join(f"{_escape(entry)}\n" for entry in entries).encode()
    return "".join(f"{_escape(entry)}\t{count}\n" for entry, count in zip(entries, counts, strict=True)).encode()


_WORDS = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]+")
_LINE_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)

_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\x0b": "\\v", "\x0c": "\\f"}
_PLAIN = {value: key for key, value in _ESCAPES.items()}


def _escape(entry: str) -> str:
    # splitlines ends a line at these and at a few more, which are written by number
    plain = "".join(_ESCAPES.get(character, character) for character in entry)
    return re.sub("[\x1c-\x1e\x85\u2028\u2029]", lambda found: f"\\u{ord(found.group()):04x}", plain)


def _unescape(text: str) -> str:
    def plain(found: re.Match[str]) -> str:
        mark = found.group()
        return chr(int(mark[2:], 16)) if mark.startswith("\\u") else _PLAIN[mark]

    return re.sub(r"\\u[0-9a-f]{4}|\\[\\tnrvf]", plain, text)
