"""What is written on the left is said as on the right."""

import pytest

from s2s_core import testing
from s2s_tts.text.english import normalise_english

CASES = {
    # cardinals
    "0": "zero",
    "7 days": "seven days",
    "13 men": "thirteen men",
    "21": "twenty-one",
    "40": "forty",
    "100": "one hundred",
    "101": "one hundred one",
    "999": "nine hundred ninety-nine",
    "1,000": "one thousand",
    "1,234": "one thousand two hundred thirty-four",
    "12,345": "twelve thousand three hundred forty-five",
    "1,000,000": "one million",
    "2,500,000 people": "two million five hundred thousand people",
    "-5": "minus five",
    "it was \u221212": "it was minus twelve",
    "in 3000 cases": "in three thousand cases",
    # ordinals
    "1st": "first",
    "2nd": "second",
    "3rd": "third",
    "5th": "fifth",
    "12th": "twelfth",
    "20th": "twentieth",
    "21st century": "twenty-first century",
    "100th": "one hundredth",
    "1,000th": "one thousandth",
    # decimals, fractions, ranges and lists of numbers
    "3.14": "three point one four",
    "0.5": "zero point five",
    ".5": "point five",
    "-0.25": "minus zero point two five",
    "1,234.50": "one thousand two hundred thirty-four point five zero",
    "1/2": "one half",
    "3/4 of it": "three quarters of it",
    "2/3": "two thirds",
    "1/100": "one one hundredth",
    "2 1/2 cups": "two and a half cups",
    "1\u00bd miles": "one and a half miles",
    "\u00be": "three quarters",
    "5-10": "five to ten",
    "pages 3\u20137": "pages three to seven",
    "version 1.2.3": "version one point two point three",
    "a 3x4 grid": "a three by four grid",
    "4 \u00d7 4": "four by four",
    "1, 2, 3.": "one, two, three.",
    "It is 5.": "It is five.",
    # digit by digit
    "007": "zero zero seven",
    "12345678901": "one two three four five six seven eight nine zero one",
    "call 555-1234": "call five five five, one two three four",
    "415-555-2671": "four one five, five five five, two six seven one",
    "(415) 555-2671": "four one five, five five five, two six seven one",
    "1-800-555-0199": "one, eight hundred, five five five, zero one nine nine",
    "+44 20 7946 0958": "plus four four, two zero, seven nine four six, zero nine five eight",
    # years and decades
    "in 1905": "in nineteen oh five",
    "1999": "nineteen ninety-nine",
    "1900": "nineteen hundred",
    "2000": "two thousand",
    "2005": "two thousand five",
    "2010": "twenty ten",
    "2024": "twenty twenty-four",
    "1776.": "seventeen seventy-six.",
    "1066": "one thousand sixty-six",
    "the 1990s": "the nineteen nineties",
    "the '60s": "the sixties",
    "the 80s": "the eighties",
    "the 1800s": "the eighteen hundreds",
    "1914-1918": "nineteen fourteen to nineteen eighteen",
    "1939\u201345": "nineteen thirty-nine to forty-five",
    "44 BC": "forty-four B C",
    "A.D. 79": "A D seventy-nine",
    "1066 AD": "ten sixty-six A D",
    # dates
    "March 3, 1999": "March third, nineteen ninety-nine",
    "March 3rd": "March third",
    "Jan. 15": "January fifteenth",
    "on Sept. 4, 2001, we": "on September fourth, two thousand one, we",
    "4 July 1776": "the fourth of July, seventeen seventy-six",
    "the 5th of November": "the fifth of November",
    "May 2015": "May twenty fifteen",
    "1999-03-05": "March fifth, nineteen ninety-nine",
    "3/5/1999": "March fifth, nineteen ninety-nine",
    "12/25/2020": "December twenty-fifth, twenty twenty",
    "Mon. to Fri. only": "Monday to Friday only",
    "You may 5 times": "You may five times",
    # times of day
    "3:30": "three thirty",
    "3:05": "three oh five",
    "at 12:00": "at twelve o'clock",
    "14:00": "fourteen hundred hours",
    "15:45": "fifteen forty-five",
    "00:30": "zero thirty",
    "3:30 pm": "three thirty p m",
    "9am": "nine a m",
    "10:00 a.m. sharp": "ten a m sharp",
    "We left at 9 p.m. Then we slept.": "We left at nine p m. Then we slept.",
    "1:02:03": "one oh two and three seconds",
    # money
    "$5": "five dollars",
    "$1": "one dollar",
    "$5.50": "five dollars and fifty cents",
    "$1.01": "one dollar and one cent",
    "$0.99": "ninety-nine cents",
    "$1,200": "one thousand two hundred dollars",
    "$1.5 million": "one point five million dollars",
    "$3bn": "three billion dollars",
    "$10k": "ten thousand dollars",
    "US$20": "twenty dollars",
    "\u00a32.50": "two pounds and fifty pence",
    "\u00a31": "one pound",
    "\u20ac100": "one hundred euros",
    "\u00a5500": "five hundred yen",
    "$5.": "five dollars.",
    # shares, degrees and measures
    "50%": "fifty percent",
    "3.5 %": "three point five percent",
    "-10\u00b0C": "minus ten degrees Celsius",
    "72\u00b0F": "seventy-two degrees Fahrenheit",
    "90\u00b0": "ninety degrees",
    "5 km": "five kilometers",
    "1 km": "one kilometer",
    "10km": "ten kilometers",
    "100 km/h": "one hundred kilometers per hour",
    "60 mph": "sixty miles per hour",
    "2.5 kg": "two point five kilograms",
    "150 lbs.": "one hundred fifty pounds.",
    "16 kHz": "sixteen kilohertz",
    "8 GB": "eight gigabytes",
    "20 m\u00b2": "twenty square meters",
    "3 cm3": "three cubic centimeters",
    "250 ml": "two hundred fifty milliliters",
    "30 min": "thirty minutes",
    "9.8 m/s2": "nine point eight meters per second squared",
    "6'2\"": "six feet two inches",
    "a 20-year-old": "a twenty-year-old",
    "5G": "five G",
    # titles and abbreviations
    "Mr. Smith": "Mister Smith",
    "Mrs. Jones": "Missus Jones",
    "Dr. Lee": "Doctor Lee",
    "Prof. Li and Gen. Grant": "Professor Li and General Grant",
    "St. Paul": "Saint Paul",
    "Main St. is": "Main Street is",
    "on 42nd St.": "on forty-second Street.",
    "Sammy Davis Jr. sang": "Sammy Davis Junior sang",
    "Smith & Co. closed": "Smith and Company closed",
    "Acme Inc.": "Acme Incorporated.",
    "cats vs. dogs": "cats versus dogs",
    "pens, ink, etc.": "pens, ink, et cetera.",
    "fruit, e.g. apples": "fruit, for example, apples",
    "No. 5": "number five",
    "#1": "number one",
    "pp. 3-5": "pages three to five",
    "vol. 2, fig. 3": "volume two, figure three",
    "the U.S. army": "the U S army",
    "In the U.S. We": "In the U S. We",
    "NASA": "NASA",
    "No. I do not.": "No. I do not.",
    # Roman numerals
    "Henry VIII": "Henry the eighth",
    "Louis XIV of France": "Louis the fourteenth of France",
    "King Charles I": "King Charles the first",
    "Charles, I think": "Charles, I think",
    "Chapter IV": "Chapter four",
    "World War II": "World War two",
    "the XIX century": "the nineteenth century",
    "I am": "I am",
    "Malcolm X": "Malcolm X",
    "an IV drip": "an IV drip",
    # signs and addresses
    "R&D": "R and D",
    "2 + 2 = 4": "two plus two equals four",
    "and/or": "and or",
    "MP3": "MP three",
    "a 4K set": "a four K set",
    "Room 101B": "Room one hundred one B",
    "at 5-7 p.m.": "at five to seven p m.",
    "between 10-12% of": "between ten to twelve percent of",
    "$5-$10": "five dollars to ten dollars",
    "(3)": "(three)",
    "9/11": "nine eleven",
    "1,5": "one,five",
    "100,00": "one hundred,zero zero",
    "3-D": "three-D",
    "COVID-19": "COVID-nineteen",
    "5 ft 3 in.": "five feet three in.",
    "a 2:1 ratio": "a two to one ratio",
    "pH 7.4": "pH seven point four",
    "I paid 5 dollars": "I paid five dollars",
    "9 a.m.-3 p.m.": "nine a m to three p m.",
    "10^6": "ten to the six",
    "\u00a35m": "five million pounds",
    "5-10 km": "five to ten kilometers",
    "1,200 sq ft": "one thousand two hundred square feet",
    "3 m": "three meters",
    "the 3 M's": "the three M's",
    "Sun. morning": "Sunday morning",
    "in the sun. Then": "in the sun. Then",
    "Gen. 3": "Gen. three",
    "I have 3. You have 4.": "I have three. You have four.",
    "e.g., this": "for example, this",
    "Ph.D.": "Ph.D.",
    "24/7": "twenty-four seven",
    "www.example.com": "w w w dot example dot com",
    "ann@mail.example.org": "ann at mail dot example dot org",
    "\u00a7 5": "section five",
    # what needs nothing
    "Hello, world!": "Hello, world!",
    "well-known": "well-known",
    "  two   spaces ": "two spaces",
    "\u201cQuoted,\u201d she said\u2026": '"Quoted," she said...',
    "": "",
}


@pytest.mark.parametrize(("written", "said"), CASES.items())
def test_is_said_as_in_the_table(written, said):
    assert normalise_english(written) == said


def test_the_table_is_long_enough():
    assert len(CASES) >= 120


@pytest.mark.parametrize("written", CASES)
def test_what_is_said_has_nothing_left_to_say(written):
    said = normalise_english(written)
    assert not any(character.isdecimal() for character in said)
    assert normalise_english(said) == said


def test_a_whole_sentence():
    written = "On Jan. 5, 2021, Dr. A. Ruiz sold 1,250 kg (about 2,756 lbs) of rice for $3.2 million, i.e. 45% more."
    assert normalise_english(written) == (
        "On January fifth, twenty twenty-one, Doctor A. Ruiz sold one thousand two hundred fifty kilograms (about two "
        "thousand seven hundred fifty-six pounds) of rice for three point two million dollars, that is, forty-five "
        "percent more."
    )


def test_agrees_with_the_corpus_that_was_normalised_by_hand():
    def bare(said):
        # titles are left written there, and "14th June" has no "of"
        words = said.lower().replace("mr.", "mister").replace("messrs.", "messieurs").replace("-", " ").split()
        kept = ["".join(filter(str.isalpha, word)) for word in words if word not in ("of", "and")]
        return [word for word in kept if word]

    lines = (testing.shared_data("LJSpeech-1.1") / "metadata.csv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("|") for line in lines if any(map(str.isdecimal, line.split("|")[1]))]
    compared = [(bare(normalise_english(written)), bare(said)) for _, written, said in rows]
    assert len(compared) >= 20
    assert [ours for ours, theirs in compared if ours != theirs] == []
