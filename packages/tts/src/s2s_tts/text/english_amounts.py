"""Money, measures, shares, telephone numbers and plain numbers, as they are read aloud."""

from __future__ import annotations

import re
from re import Match

from s2s_tts.text.english_words import (
    CURRENCIES,
    IRREGULAR_PLURALS,
    MAGNITUDES,
    UNCHANGING_UNITS,
    UNITS,
    VULGAR_FRACTIONS,
)
from s2s_tts.text.numbers import cardinal, decimal, fraction, ordinal, plural, spelled, year
from s2s_tts.text.rules import Rule, choice, rule

_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
_MINUS = "-\u2212"
_SIGNED = rf"(?:(?<![\w.,)])[{_MINUS}])?(?:{_NUMBER})"
_SCALE_WORDS = "hundred|thousand|million|billion|trillion"
_BETWEEN = {"-": "to", "\u2013": "to", ":": "to", "x": "by", "X": "by", "×": "by", "^": "to the"}
_LONGEST_PLAIN = 9
_LOOKS_LIKE_A_YEAR = re.compile(r"1[1-9]\d{2}|20\d{2}")


def read_number(text: str) -> str:
    """A number with an optional sign, thousands' commas and fraction."""
    sign = "minus " if text[0] in _MINUS else ""
    return sign + decimal(text.lstrip(_MINUS))


def _is_one(number: str) -> bool:
    return number.lstrip(_MINUS) in ("1", "1.0")


def _money(match: Match[str]) -> str:
    one, many, cent, cents = CURRENCIES[match["currency"]]
    amount, scale = match["amount"].replace(",", ""), match["scale"]
    if scale:
        return f"{decimal(amount)} {MAGNITUDES.get(scale, scale)} {many}"
    whole, _, hundredths = amount.partition(".")
    if hundredths and len(hundredths) != 2:
        return f"{decimal(amount)} {many}"
    parts = []
    if int(whole or 0) or not int(hundredths or 0):
        parts.append(f"{cardinal(int(whole or 0))} {one if int(whole or 0) == 1 else many}")
    if int(hundredths or 0):
        parts.append(f"{cardinal(int(hundredths))} {cent if int(hundredths) == 1 else cents}")
    return " and ".join(parts)


def _unit_name(unit: str, singular: bool) -> str:
    if unit in UNCHANGING_UNITS:
        return UNCHANGING_UNITS[unit]
    name = UNITS[unit]
    return name if singular else IRREGULAR_PLURALS.get(name) or plural(name)


def _measure(match: Match[str]) -> str:
    number, unit = match["number"], match["unit"]
    power = {"²": "square ", "2": "square ", "³": "cubic ", "3": "cubic "}.get(match["power"] or "", "")
    words = f"{read_number(number)} {power}{_unit_name(unit, _is_one(number))}"
    if match["per"]:
        words += f" per {_unit_name(match['per'], singular=True)}{' squared' if match['per_power'] else ''}"
    return words


def _degrees(match: Match[str]) -> str:
    name = "degree" if _is_one(match["number"]) else "degrees"
    scale = {"C": " Celsius", "F": " Fahrenheit"}.get(match["scale"] or "", "")
    return f"{read_number(match['number'])} {name}{scale}"


def _height(match: Match[str]) -> str:
    feet, inches = int(match["feet"]), match["inches"]
    words = f"{cardinal(feet)} {'foot' if feet == 1 else 'feet'}"
    return f"{words} {cardinal(int(inches))} {'inch' if inches == '1' else 'inches'}"


def _ordinal(match: Match[str]) -> str:
    return ordinal(int(match["number"].replace(",", "")))


def _telephone(match: Match[str]) -> str:
    groups = re.findall(r"\d+", match[0])
    plus = "plus " if match[0].lstrip().startswith("+") else ""
    # "800" is read so
    read = (f"{spelled(group[0])} hundred" if re.fullmatch(r"[1-9]00", group) else spelled(group) for group in groups)
    return plus + ", ".join(read)


def _mixed(match: Match[str]) -> str:
    share = fraction(int(match["numerator"]), int(match["denominator"]))
    if not match["whole"]:
        return share
    share = re.sub(r"^one ", "a ", share) if int(match["numerator"]) == 1 else share
    return f"{cardinal(int(match['whole']))} and {share}"


def _vulgar(match: Match[str]) -> str:
    share = fraction(*VULGAR_FRACTIONS[match["share"]])
    return f"{cardinal(int(match['whole']))} and {re.sub('^one ', 'a ', share)}" if match["whole"] else share


def _dotted(match: Match[str]) -> str:
    return " point ".join(cardinal(int(part)) for part in match[0].split("."))


def _to(match: Match[str]) -> str:
    return f"{match.groupdict().get('first') or ''} to "


def _ratio(match: Match[str]) -> str:
    return f"{read_number(match['first'])} {_BETWEEN[match['sign']]} {read_number(match['last'])}"


def _plain(match: Match[str]) -> str:
    before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
    return f"{' ' if before.isalpha() else ''}{_plain_words(match['number'])}{' ' if after.isalpha() else ''}"


def _plain_words(text: str) -> str:
    digits = text.lstrip(_MINUS)
    if digits.isdecimal() and ((len(digits) > 1 and digits[0] == "0") or len(digits) > _LONGEST_PLAIN):
        return ("minus " if text != digits else "") + spelled(digits)
    # four digits without a comma are a year more often than not
    return year(int(text)) if _LOOKS_LIKE_A_YEAR.fullmatch(text) else read_number(text)


_UNIT = choice({*UNITS, *UNCHANGING_UNITS})

SPANS: list[Rule] = [
    # while it still shows what the numbers are of: "$5-$10", "5-7 p.m.", "10-12 %"
    rule(rf"(?<=\d)\s?[-\u2013]\s?(?=(?:{choice(CURRENCIES)})\d)", _to),
    rule(r"(?<=\d\s[aApP]\.m\.)\s?[-\u2013]\s?(?=\d)", _to),
    rule(
        rf"(?<![\w.,/-])(?P<first>{_NUMBER})\s?[-\u2013]\s?(?=(?:{_NUMBER})\s?(?:[ap]\.?m\b|[%°]|(?:{_UNIT})\b))", _to
    ),
]
"""Ranges of measures, before the measures are read."""
RULES: list[Rule] = [
    # telephone numbers before anything else that has hyphens
    rule(
        r"""(?<![\w.,/-])(?:
            \+\d{1,3}(?:[ .-]\(?\d{1,4}\)?){2,5}
            | (?:1[ .-])?(?:\(\d{3}\)\ ?|\d{3}[.-])\d{3}[.-]\d{4}
            | \d{3}-\d{4}
        )(?![\w-]|[.,]\d)""",
        _telephone,
    ),
    rule(
        rf"(?P<currency>{choice(CURRENCIES)})\s?(?P<amount>{_NUMBER})"
        rf"(?:[\s-]?(?P<scale>{_SCALE_WORDS}|{choice(MAGNITUDES)})\b)?",
        _money,
    ),
    rule(r"(?<![\w'])(?P<feet>\d)'\s?(?P<inches>\d{1,2})(?:\"|'')", _height),
    rule(rf"(?P<number>{_SIGNED})\s?°\s?(?P<scale>[CF]\b)?", _degrees),
    rule(rf"(?P<number>{_SIGNED})\s?(?:%|percent\b)", lambda match: f"{read_number(match['number'])} percent"),
    rule(
        rf"(?P<number>{_SIGNED})[\s-]?(?P<unit>{_UNIT})(?P<power>[²³23])?(?:/(?P<per>{_UNIT})(?P<per_power>[²2])?)?(?![\w'])",
        _measure,
    ),
    rule(r"(?<![\w.,])(?P<number>\d{1,3}(?:,\d{3})+|\d+)(?:st|nd|rd|th)\b", _ordinal),
    rule(rf"(?:(?P<whole>\d+)\s?)?(?P<share>[{''.join(VULGAR_FRACTIONS)}])", _vulgar),
    rule(
        r"(?<![\d./,])(?:(?P<whole>\d+)[ -])?(?P<numerator>\d{1,3})/(?P<denominator>[1-9]\d{0,2})(?![\d/]|[.,]\d)",
        _mixed,
    ),
    rule(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){2,}(?![\d.]*\d)", _dotted),
    rule(rf"(?<![\w.,-])(?P<first>{_NUMBER})\s?(?P<sign>[-\u2013:])\s?(?P<last>{_NUMBER})(?![\w:-]|[.,]\d)", _ratio),
    rule(rf"(?P<first>{_NUMBER})\s?(?P<sign>[xX×^])\s?(?P<last>[{_MINUS}]?\d+)", _ratio),
    rule(rf"(?P<number>{_SIGNED})", _plain),
]
