import pytest

from s2s_tts.text.numbers import cardinal, decimal, fraction, ordinal, plural, roman_value, spelled, year


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "zero"),
        (19, "nineteen"),
        (90, "ninety"),
        (1_000_001, "one million one"),
        (10**12, "one trillion"),
        (-3, "minus three"),
        (10**36, "one " + " ".join(["zero"] * 36)),
    ],
)
def test_cardinal(number, words):
    assert cardinal(number) == words


def test_cardinals_are_all_different():
    assert len({cardinal(number) for number in range(20000)}) == 20000


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "zeroth"), (8, "eighth"), (9, "ninth"), (33, "thirty-third"), (40, "fortieth"), (1000, "one thousandth")],
)
def test_ordinal(number, words):
    assert ordinal(number) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [(1000, "one thousand"), (1100, "eleven hundred"), (1909, "nineteen oh nine"), (2099, "twenty ninety-nine")],
)
def test_year(number, words):
    assert year(number) == words


def test_other_forms():
    assert decimal("12.") == "twelve"
    assert spelled("1-0", zero="oh") == "one oh"
    assert fraction(2, 101) == "two over one hundred one"
    assert fraction(5, 2) == "five halves"
    assert [plural(word) for word in ("six", "forty", "hertz foot")] == ["sixes", "forties", "hertz foots"]


def test_roman_numerals_count():
    ones = ("", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX")
    tens = [one.translate(str.maketrans("IVX", "XLC")) for one in ones]
    assert [roman_value(ten + one) for ten in tens for one in ones][1:] == list(range(1, 100))
    assert roman_value("MMXXIV") == 2024


@pytest.mark.parametrize("wrong", ["", "IIII", "VX", "IC", "A", "MMMM", "xi"])
def test_what_is_no_roman_numeral(wrong):
    assert roman_value(wrong) is None
