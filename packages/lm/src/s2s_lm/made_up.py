"""Text that comes along: stories and reviews from small grammars, for quickstarts and tests without a download."""

from __future__ import annotations

import random

_PEOPLE = ["anna", "ben", "clara", "david", "emma", "felix"]
_THINGS = ["book", "lamp", "letter", "map", "ring", "clock", "key", "coin"]
_PLACES = ["garden", "kitchen", "library", "station", "harbour", "market"]
_COLOURS = ["red", "green", "old", "small", "heavy", "bright"]


def story(draw: random.Random) -> str:
    """A story in one line whose later sentences follow from its first: who, what, where."""
    who, other = draw.sample(_PEOPLE, 2)
    thing, colour = draw.choice(_THINGS), draw.choice(_COLOURS)
    here, there = draw.sample(_PLACES, 2)
    sentences = [f"{who} found a {colour} {thing} in the {here} ."]
    sentences += draw.sample(
        [
            f"{other} asked {who} for the {thing} .",
            f"{who} took the {colour} {thing} to the {there} .",
            f"the {thing} belonged to {other} .",
            f"nobody in the {here} had seen the {thing} before .",
            f"{other} walked from the {here} to the {there} .",
        ],
        draw.randint(1, 4),
    )
    sentences.append(f"at last {who} gave the {thing} to {other} .")
    return " ".join(sentences)


_SUBJECTS = ["the film", "the story", "the acting", "the music", "the ending", "this picture", "the script", "the cast"]
_GOOD = ["moving", "funny", "clever", "charming", "gripping", "beautiful", "warm", "fresh"]
_BAD = ["dull", "clumsy", "tired", "shallow", "noisy", "predictable", "cold", "stale"]
_BEGINNINGS = ["frankly ,", "in the end", "to my surprise", "from the first scene", "despite its budget", ""]


def review(draw: random.Random) -> tuple[str, str]:
    """A review and its class, ``positive`` or ``negative``; negation turns a word's meaning round."""
    positive = draw.random() < 0.5
    parts = []
    for _ in range(draw.randint(1, 3)):
        words = _GOOD if positive else _BAD
        saying = "is {} and {}".format(*draw.sample(words, 2))
        if draw.random() < 0.35:
            saying = f"is not {draw.choice(_BAD if positive else _GOOD)} at all"
        elif draw.random() < 0.3:
            saying = f"is never {draw.choice(_BAD if positive else _GOOD)} but {draw.choice(words)}"
        parts.append(f"{draw.choice(_BEGINNINGS)} {draw.choice(_SUBJECTS)} {saying}".strip())
    return " , and ".join(parts) + " .", "positive" if positive else "negative"
