"""English number words, American: no "and" within a number, a hyphen between tens and ones."""

from __future__ import annotations

import re

_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = (
    *("", "thousand", "million", "billion", "trillion", "quadrillion", "quintillion", "sextillion", "septillion"),
    *("octillion", "nonillion", "decillion"),
)
_LARGEST = 1000 ** len(_SCALES) - 1
_IRREGULAR_ORDINALS = {
    **{"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth"},
    "twelve": "twelfth",
}
_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_ROMAN_FORM = re.compile(r"M{0,3}(CM|CD|D?C{0,3})(XC|XL|L?X{0,3})(IX|IV|V?I{0,3})")
_LAST_YEAR = 2099


def cardinal(number: int) -> str:
    """``1234``: "one thousand two hundred thirty-four". Beyond decillions, digit by digit."""
    if number < 0:
        return f"minus {cardinal(-number)}"
    if number > _LARGEST:
        return spelled(str(number))
    if number < 1000:
        return _below_thousand(number)
    groups = []
    for scale in _SCALES:
        number, group = divmod(number, 1000)
        if group:
            groups.append(f"{_below_thousand(group)} {scale}".strip())
    return " ".join(reversed(groups))


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    words = [f"{_ONES[hundreds]} hundred"] if hundreds else []
    if rest or not words:
        tens, ones = divmod(rest, 10)
        words.append(_ONES[rest] if rest < len(_ONES) else _TENS[tens] + (f"-{_ONES[ones]}" if ones else ""))
    return " ".join(words)


def ordinal(number: int) -> str:
    """``21``: "twenty-first"."""
    head, last = re.fullmatch(r"(.*?)([a-z]+)", cardinal(number)).groups()  # type: ignore[union-attr]
    if last in _IRREGULAR_ORDINALS:
        return head + _IRREGULAR_ORDINALS[last]
    return head + (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")


def plural(words: str) -> str:
    """``"nineteen ninety"``: "nineteen nineties"; "one half": "one halves"."""
    if words.endswith("half"):
        return f"{words[:-1]}ves"
    if words.endswith("y"):
        return f"{words[:-1]}ies"
    return f"{words}es" if words.endswith("x") else f"{words}s"


def spelled(digits: str, zero: str = "zero") -> str:
    """``"007"``: "zero zero seven"; what is not a digit is passed over."""
    return " ".join(zero if digit == "0" else _ONES[int(digit)] for digit in digits if digit.isdecimal())


def decimal(text: str) -> str:
    """``"1,234.50"``: "one thousand two hundred thirty-four point five zero"; ``".5"``: "point five"."""
    whole, _, fraction = text.replace(",", "").partition(".")
    words = [cardinal(int(whole))] if whole else []
    if fraction:
        words.append(f"point {spelled(fraction)}")
    return " ".join(words)


def year(number: int) -> str:
    """``1905``: "nineteen oh five"; ``2005``: "two thousand five"; outside of 1000 to 2099, a cardinal."""
    century, rest = divmod(number, 100)
    if not 1000 <= number <= _LAST_YEAR or (century % 10 == 0 and rest < 10):
        return cardinal(number)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def fraction(numerator: int, denominator: int) -> str:
    """``3, 4``: "three quarters"; beyond hundredths, "three over one hundred one"."""
    if not 2 <= denominator <= 100:
        return f"{cardinal(numerator)} over {cardinal(denominator)}"
    name = {2: "half", 4: "quarter"}.get(denominator) or ordinal(denominator)
    return f"{cardinal(numerator)} {name if numerator == 1 else plural(name)}"


def roman_value(numeral: str) -> int | None:
    """The value of a well-formed Roman numeral in capitals, 1 to 3999; None for anything else."""
    if not numeral or not _ROMAN_FORM.fullmatch(numeral):
        return None
    values = [_ROMAN[letter] for letter in numeral]
    return sum(-value if value < after else value for value, after in zip(values, [*values[1:], 0], strict=True))
