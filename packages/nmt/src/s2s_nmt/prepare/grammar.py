"""English of a small grammar and its German: sentences for quickstarts and tests, made without a download.

Small as it is, it cannot be translated word by word: German articles and adjectives follow gender and case, the verb
comes second whatever comes first, and last in subordinate clauses and after modal verbs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from s2s_nmt.prepare.checks import Pair

NOUNS = {
    "dog": "Hund m", "bird": "Vogel m", "king": "König m", "man": "Mann m", "wolf": "Wolf m", "uncle": "Onkel m",
    "cat": "Katze f", "woman": "Frau f", "queen": "Königin f", "duck": "Ente f", "aunt": "Tante f", "owl": "Eule f",
    "child": "Kind n", "horse": "Pferd n", "girl": "Mädchen n", "sheep": "Schaf n", "pig": "Schwein n",
}  # fmt: skip
THINGS = {
    "ball": "Ball m", "tree": "Baum m", "apple": "Apfel m", "table": "Tisch m", "letter": "Brief m",
    "flower": "Blume f", "lamp": "Lampe f", "bag": "Tasche f", "door": "Tür f", "bottle": "Flasche f",
    "book": "Buch n", "house": "Haus n", "picture": "Bild n", "boat": "Boot n", "egg": "Ei n",
}  # fmt: skip
ADJECTIVES = {
    "small": "klein", "big": "groß", "old": "alt", "young": "jung", "red": "rot", "beautiful": "schön", "new": "neu",
    "green": "grün", "heavy": "schwer", "strange": "seltsam",
}  # fmt: skip
VERBS = {
    "see": "sehen sieht", "find": "finden findet", "carry": "tragen trägt", "hear": "hören hört", "buy": "kaufen kauft",
    "paint": "malen malt", "look for": "suchen sucht", "forget": "vergessen vergisst", "need": "brauchen braucht",
}  # fmt: skip
MODALS = {"can": "kann", "must": "muss", "wants to": "will", "may": "darf"}
TIMES = {"today": "heute", "now": "jetzt", "tomorrow": "morgen", "sometimes": "manchmal", "again": "wieder"}
SAYING = {"says": "sagt", "knows": "weiß", "believes": "glaubt", "hopes": "hofft"}
FEELING = {"happy": "froh", "sad": "traurig", "tired": "müde", "proud": "stolz"}

ARTICLES = {
    ("the", "nominative"): {"m": "der", "f": "die", "n": "das"},
    ("the", "accusative"): {"m": "den", "f": "die", "n": "das"},
    ("a", "nominative"): {"m": "ein", "f": "eine", "n": "ein"},
    ("a", "accusative"): {"m": "einen", "f": "eine", "n": "ein"},
}
ENDINGS = {
    ("the", "nominative"): {"m": "e", "f": "e", "n": "e"},
    ("the", "accusative"): {"m": "en", "f": "e", "n": "e"},
    ("a", "nominative"): {"m": "er", "f": "e", "n": "es"},
    ("a", "accusative"): {"m": "en", "f": "e", "n": "es"},
}


@dataclass(frozen=True)
class _Clause:
    """Someone does something to something: both languages, in parts."""

    who: tuple[str, str]
    verb: str
    what: tuple[str, str]

    @property
    def english(self) -> str:
        return f"{self.who[0]} {_third_person(self.verb)} {self.what[0]}"

    @property
    def infinitive(self) -> str:
        return VERBS[self.verb].split()[0]

    @property
    def finite(self) -> str:
        return VERBS[self.verb].split()[1]


def _noun_phrase(draw: random.Random, nouns: dict[str, str], case: str) -> tuple[str, str]:
    noun = draw.choice(list(nouns))
    german, gender = nouns[noun].split()
    article = draw.choice(["the", "a"])
    adjective = draw.choice(list(ADJECTIVES)) if draw.random() < 0.6 else None
    first = adjective or noun
    written = "an" if article == "a" and first[0] in "aeiou" else article
    english, words = [written, noun], [ARTICLES[article, case][gender], german]
    if adjective is not None:
        english.insert(1, adjective)
        words.insert(1, ADJECTIVES[adjective] + ENDINGS[article, case][gender])
    return " ".join(english), " ".join(words)


def _clause(draw: random.Random) -> _Clause:
    who = _noun_phrase(draw, NOUNS, "nominative")
    what = _noun_phrase(draw, {**NOUNS, **THINGS}, "accusative")
    return _Clause(who, draw.choice(list(VERBS)), what)


def _third_person(verb: str) -> str:
    first, _, rest = verb.partition(" ")
    ending = first[:-1] + "ies" if first == "carry" else first + "s"
    return f"{ending} {rest}".strip()


def _plain(draw: random.Random) -> tuple[str, str]:
    clause = _clause(draw)
    return f"{clause.english}.", f"{clause.who[1]} {clause.finite} {clause.what[1]}."


def _timed(draw: random.Random) -> tuple[str, str]:
    clause, time = _clause(draw), draw.choice(list(TIMES))
    return f"{time} {clause.english}.", f"{TIMES[time]} {clause.finite} {clause.who[1]} {clause.what[1]}."


def _modal(draw: random.Random) -> tuple[str, str]:
    clause, modal = _clause(draw), draw.choice(list(MODALS))
    english = f"{clause.who[0]} {modal} {clause.verb} {clause.what[0]}."
    return english, f"{clause.who[1]} {MODALS[modal]} {clause.what[1]} {clause.infinitive}."


def _question(draw: random.Random) -> tuple[str, str]:
    clause = _clause(draw)
    english = f"does {clause.who[0]} {clause.verb} {clause.what[0]}?"
    return english, f"{clause.finite} {clause.who[1]} {clause.what[1]}?"


def _reported(draw: random.Random) -> tuple[str, str]:
    clause, saying, speaker = _clause(draw), draw.choice(list(SAYING)), _noun_phrase(draw, NOUNS, "nominative")
    english = f"{speaker[0]} {saying} that {clause.english}."
    return english, f"{speaker[1]} {SAYING[saying]}, dass {clause.who[1]} {clause.what[1]} {clause.finite}."


def _reason(draw: random.Random) -> tuple[str, str]:
    clause, feeling, who = _clause(draw), draw.choice(list(FEELING)), _noun_phrase(draw, NOUNS, "nominative")
    english = f"{who[0]} is {feeling} because {clause.english}."
    return english, f"{who[1]} ist {FEELING[feeling]}, weil {clause.who[1]} {clause.what[1]} {clause.finite}."


_PATTERNS: list[Callable[[random.Random], tuple[str, str]]] = [_plain, _timed, _modal, _question, _reported, _reason]


def grammar_pairs(counts: dict[str, int], seed: int = 0) -> dict[str, list[Pair]]:
    """Splits of so many pairs each; no sentence comes twice, so that a test sentence was never trained on."""
    sentences = _different_sentences(random.Random(seed))
    return {
        split: [Pair(str(number), *next(sentences)) for number in range(1, count + 1)]
        for split, count in counts.items()
    }


def _different_sentences(draw: random.Random) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    while True:
        english, german = (text[0].upper() + text[1:] for text in draw.choice(_PATTERNS)(draw))
        if english not in seen:
            seen.add(english)
            yield english, german
