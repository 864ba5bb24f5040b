"""English as it is written to English as it is said: ``Dr. Lee paid $3.50 on May 1st`` in words."""

from __future__ import annotations

import re
import unicodedata
from re import Match

from s2s_tts.text import english_amounts, english_dates
from s2s_tts.text.english_words import (
    AFTER_NAMES,
    ANYWHERE,
    BEFORE_NAMES,
    BEFORE_NUMBERS,
    IDIOMS,
    NUMBERED_THINGS,
    REGNAL_NAMES,
    RULERS,
    SYMBOLS,
)
from s2s_tts.text.numbers import cardinal, ordinal, roman_value
from s2s_tts.text.rules import Rule, choice, rewritten, rule

_PLAIN = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u00a0": " ", "\u2026": "..."})


def normalise_english(text: str) -> str:
    """Spell out numbers, ordinals, years, dates, times, money, measures, abbreviations and symbols.

    Words that need none of this stay as they are, case and punctuation included; white space becomes single spaces.
    Readings are American: ``3/5/1999`` is the fifth of March, 1905 is "nineteen oh five", 120 is "one hundred
    twenty". Where a form has two readings the commoner one is taken, without a look at the sentence: four digits from
    1100 to 2099 without a comma are a year, three to two is how ``3-2`` is read.

    OpenSeq2Seq had no such step: it trained on LJ Speech's column of normalised text, and dropped digits in synthesis.
    """
    text = unicodedata.normalize("NFC", text).translate(_PLAIN)
    text = rewritten(
        text, [*_NAMES, *english_amounts.SPANS, *english_dates.RULES, *_NUMBERED, *english_amounts.RULES, *_SIGNS]
    )
    return re.sub(r"\s+", " ", text).strip()


def _sentence_end(match: Match[str]) -> str:
    """The period that a shortened word's own period stood for as well."""
    rest = match.string[match.end() :]
    return "." if not rest.strip("\"') ") or re.match(r"[\"')]?\s+[A-Z]", rest) else ""


def _spaced_capitals(match: Match[str]) -> str:
    return " ".join(match["letters"].replace(".", "")) + _sentence_end(match)


def _street_or_saint(match: Match[str]) -> str:
    rest = match.string[match.end() :]
    if match["place"]:
        return f"{match['place']}Street{_sentence_end(match)}"
    return "Saint" if re.match(r"\s+[A-Z]", rest) else match[0]


def _after_name(match: Match[str]) -> str:
    return f"{match['name']}{AFTER_NAMES[match['short']]}{_sentence_end(match)}"


def _anywhere(match: Match[str]) -> str:
    word = ANYWHERE[match["short"].lower()]
    return word + (_sentence_end(match) if word == "et cetera" else "")


def _regnal(match: Match[str]) -> str:
    value = roman_value(match["numeral"])
    return match[0] if value is None else f"{match['name']} the {ordinal(value)}"


def _numbered(match: Match[str]) -> str:
    value = roman_value(match["numeral"])
    return match[0] if value is None else f"{match['thing']} {cardinal(value)}"


def _century(match: Match[str]) -> str:
    value = roman_value(match["numeral"])
    return match[0] if value is None else f"{ordinal(value)} {match['word']}"


def _address(match: Match[str]) -> str:
    read = match[0].replace("@", " at ").replace(".", " dot ").replace("/", " slash ").replace("-", " dash ")
    return re.sub(r"\bwww\b", "w w w", re.sub(r"^https?:\s*(slash\s*)*", "", read.replace("_", " underscore ")))


_NAMES: list[Rule] = [
    rule(r"(?<!\w)(?:https?://|www\.)[\w./-]*[\w/]|\b[\w.-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}\b", _address),
    rule(r"\b[ei]\.\s?[ge]\.,?", lambda match: "for example," if match[0].startswith("e") else "that is,"),
    rule(rf"\b(?P<short>{choice(BEFORE_NAMES)})\.(?=\s+[A-Z])", lambda match: BEFORE_NAMES[match["short"]]),
    rule(r"(?P<place>(?:\b[A-Z][a-z]+|\d(?:st|nd|rd|th))\s)?\bSt\.", _street_or_saint),
    rule(rf"(?P<name>\b[A-Z][\w.']*,?\s(?:&\s)?)(?P<short>{choice(AFTER_NAMES)})\.", _after_name),
    rule(rf"\b(?P<short>(?i:{choice(ANYWHERE)}))\.", _anywhere),
    rule(rf"\b(?P<short>{choice(BEFORE_NUMBERS)})\.\s?(?=\d)", lambda match: f"{BEFORE_NUMBERS[match['short']]} "),
    rule(rf"(?<![\w/])(?P<said>{choice(IDIOMS)})(?![\w/])", lambda match: IDIOMS[match["said"]]),
    rule(r"\#\s?(?=\d)", lambda _: "number "),
]
_NUMBERED: list[Rule] = [
    rule(r"(?<![\w.])(?P<letters>(?:[A-Z]\.){2,})", _spaced_capitals),
    rule(
        rf"\b(?P<name>(?:{choice(RULERS)})\s[A-Z][a-z]+|{choice(REGNAL_NAMES)})\s(?P<numeral>[IVX]{{2,}}|V|X)\b",
        _regnal,
    ),
    rule(rf"\b(?P<name>(?:{choice(RULERS)})\s[A-Z][a-z]+)\s(?P<numeral>I)\b", _regnal),
    rule(rf"\b(?P<thing>(?i:{choice(NUMBERED_THINGS)}))\s(?P<numeral>[IVXLC]+)\b", _numbered),
    rule(r"\b(?P<numeral>[IVX]+)(?:th)?\s(?P<word>[Cc]entur(?:y|ies))\b", _century),
]
_SIGNS: list[Rule] = [
    rule(rf"\s*(?P<sign>[{re.escape(''.join(SYMBOLS))}])\s*", lambda match: f" {SYMBOLS[match['sign']]} "),
    rule(r"(?<=\w)/(?=\w)", lambda _: " "),
    rule(r"[\u2122\u00ae\u00a9*_^|\\]", lambda _: " "),
]
