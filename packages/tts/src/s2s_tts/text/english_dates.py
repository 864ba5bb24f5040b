"""Dates, times of day, years and decades, as they are read aloud."""

from __future__ import annotations

import re
from re import Match

from s2s_tts.text.english_words import MONTHS, SHORT_MONTHS, WEEKDAYS
from s2s_tts.text.numbers import cardinal, ordinal, plural, spelled, year
from s2s_tts.text.rules import Rule, choice, rule

_MONTH = rf"(?P<month>{'|'.join(MONTHS)}|(?:{'|'.join(SHORT_MONTHS)})\b\.?)"
_DAY = r"(?P<day>3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>1\d{3}|20\d{2})"
_NOON = 12


def _month(match: Match[str]) -> str:
    name = match["month"].rstrip(".")
    return SHORT_MONTHS.get(name, name)


def _with_year(words: str, match: Match[str]) -> str:
    given = match.groupdict().get("year")
    return f"{words}, {year(int(given))}" if given else words


def _month_first(match: Match[str]) -> str:
    return _with_year(f"{_month(match)} {ordinal(int(match['day']))}", match)


def _day_first(match: Match[str]) -> str:
    article = "" if match["article"] else "the "
    return _with_year(f"{match['article'] or article}{ordinal(int(match['day']))} of {_month(match)}", match)


def _month_and_year(match: Match[str]) -> str:
    return f"{_month(match)} {year(int(match['year']))}"


def _numeric(match: Match[str]) -> str:
    month = int(match["month"])
    if not 1 <= month <= len(MONTHS):
        return match[0]
    return f"{MONTHS[month - 1]} {ordinal(int(match['day']))}, {year(int(match['year']))}"


def _decade(match: Match[str]) -> str:
    digits = match["decade"]
    return plural(year(int(digits)) if len(digits) > 2 else cardinal(int(digits)))


def _era(match: Match[str]) -> str:
    letters = " ".join(match["era"].replace(".", ""))
    number = int(match["number"].replace(",", ""))
    return f"{year(number)} {letters}"


def _clock(match: Match[str]) -> str:
    hour, minute = int(match["hour"]), int(match["minute"] or 0)
    half = match["half"]
    letters = f" {half[0].lower()} m" if half else ""
    words = cardinal(hour) if hour else "zero"
    if minute:
        words += f" {'oh ' if minute < 10 else ''}{cardinal(minute)}"
    elif not half:
        # "14:00" is read as on a timetable
        words += " o'clock" if 1 <= hour <= _NOON else " hundred hours"
    if seconds := match["second"]:
        words += f" and {_counted(int(seconds), 'second')}"
    # a period that ends "p.m." may end the sentence as well
    ends = "." if half and half.endswith(".") and _ends_sentence(match) else ""
    return words + letters + ends


def _ends_sentence(match: Match[str]) -> bool:
    rest = match.string[match.end() :].lstrip("\"')")
    return not rest or re.match(r"\s+[A-Z]", rest) is not None


def _counted(number: int, name: str) -> str:
    return f"{cardinal(number)} {name if number == 1 else plural(name)}"


def _span(match: Match[str]) -> str:
    first, last = match["first"], match["last"]
    ending = year(int(last)) if len(last) > 2 else cardinal(int(last)) if last[0] != "0" else spelled(last, "oh")
    return f"{year(int(first))} to {ending}"


_HALF = r"(?:\s?(?P<half>[aApP]\.m\.|[AP]\.M\.|[aApP]m\b|[AP]M\b))"

RULES: list[Rule] = [
    rule(rf"\b(?P<weekday>{choice(WEEKDAYS)})\.(?=,?\s)", lambda match: WEEKDAYS[match["weekday"]]),
    rule(r"\b(?P<year>[12]\d{3})-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12]\d|3[01])\b", _numeric),
    rule(rf"(?<![\d/])(?P<month>0?[1-9]|1[0-2])/{_DAY}/{_YEAR}(?![\d/])", _numeric),
    rule(rf"\b{_MONTH}\s+{_DAY}(?:,?\s+{_YEAR})?(?![\w:]|[.,]\d)", _month_first),
    rule(rf"\b(?P<article>the\s+)?{_DAY}(?:\s+of)?\s+{_MONTH}(?:,?\s+{_YEAR})?(?!\w)", _day_first),
    rule(rf"\b{_MONTH},?\s+{_YEAR}(?!\w|[.,]\d)", _month_and_year),
    rule(r"(?<!\w)'?(?P<decade>[12]\d{2}0|[1-9]0)'?s\b", _decade),
    rule(r"\b(?P<number>\d{1,3}(?:,\d{3})+|\d{1,4})\s*(?P<era>B\.C\.E\.|B\.C\.|A\.D\.|(?:BCE|BC|AD|CE)\b)", _era),
    rule(rf"(?<![\d:])(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?{_HALF}?(?![\d:])", _clock),
    rule(rf"(?<![\d:.,])(?P<hour>1[0-2]|[1-9])(?P<minute>)(?P<second>){_HALF}", _clock),
    rule(
        r"""(?<![\d$£€¥.,-])(?P<first>1[1-9]\d{2}|20\d{2})
            \s?[-\u2013]\s?
            (?P<last>1\d{3}|20\d{2}|\d{2})(?![\w,-]|\.\d)""",
        _span,
    ),
]
