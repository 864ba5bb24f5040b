"""Long texts to pieces that a synthesiser can say in one breath."""

from __future__ import annotations

import re
from itertools import pairwise

from s2s_core.ceiling import ceil_div
from s2s_tts.text.english_words import BEFORE_NAMES

LONGEST = 180
"""Characters of a piece: about what the longest utterances of LJ Speech hold."""
_ENDS = re.compile(r"(?<=[.!?;:])[\"')\]]*\s+")
_PAUSES = re.compile(r"(?<=[,\u2013\u2014-])\s+")
_SPACES = re.compile(r"\s+")
_PARAGRAPHS = re.compile(r"\n\s*\n")
_ABBREVIATIONS = frozenset({"st", "jr", "sr", "vs", "etc", "no", "vol", *(name.lower() for name in BEFORE_NAMES)})


def paragraphs(text: str) -> list[str]:
    """What empty lines set apart."""
    return _PARAGRAPHS.split(text)


def split_sentences(text: str, longest: int = LONGEST) -> list[str]:
    """Split at the ends of sentences and paragraphs; what is still too long at commas and dashes, then at spaces.

    A period after an initial or a title ends no sentence. A word longer than ``longest`` stays whole.

    Raises:
        ValueError: if ``longest`` is not positive.
    """
    if longest < 1:
        raise ValueError(f"longest must be positive, got {longest}")
    sentences = [part for line in paragraphs(text) for part in _joined_titles(_ENDS.split(line.strip()))]
    return [piece for sentence in sentences if sentence.strip() for piece in _short(sentence, longest)]


def _joined_titles(parts: list[str]) -> list[str]:
    joined: list[str] = []
    for part in parts:
        if joined and _is_open(joined[-1]):
            joined[-1] = f"{joined[-1]} {part}"
        else:
            joined.append(part)
    return joined


def _is_open(part: str) -> bool:
    """Whether the last word is a title or an initial, whose period ends nothing."""
    if not part.endswith("."):
        return False
    word = part.rstrip(".").rsplit(maxsplit=1)[-1].lstrip("\"'(") if part.rstrip(".").strip() else ""
    return word.lower() in _ABBREVIATIONS or (len(word) == 1 and word.isupper() and word != "I")


def _short(sentence: str, longest: int) -> list[str]:
    sentence = " ".join(sentence.split())
    if len(sentence) <= longest:
        return [sentence]
    for pattern in (_PAUSES, _SPACES):
        places = [0, *(match.end() for match in pattern.finditer(sentence)), len(sentence)]
        pieces = [sentence[a:b] for a, b in pairwise(places)]
        if len(pieces) > 1:
            return [short for whole in _filled(pieces, longest) for short in _again(whole, sentence, longest)]
    return [sentence]


def _again(piece: str, sentence: str, longest: int) -> list[str]:
    return [piece] if piece == sentence else _short(piece, longest)


def _filled(pieces: list[str], longest: int) -> list[str]:
    """As few strings of neighbouring pieces as fit, of about equal length."""
    total = sum(len(piece) for piece in pieces)
    fair = min(longest, ceil_div(total, ceil_div(total, longest)) + max(len(piece) for piece in pieces) // 2)
    filled = [""]
    for piece in pieces:
        if filled[-1] and len((filled[-1] + piece).strip()) > fair:
            filled.append("")
        filled[-1] += piece
    return [piece.strip() for piece in filled if piece.strip()]
