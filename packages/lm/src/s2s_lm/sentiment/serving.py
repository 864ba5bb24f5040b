"""Classification of texts over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from s2s_core.serving.endpoint import Answer, Endpoint, Field, Question, checked_text
from s2s_lm.sentiment.classifier import SentimentClassifier


class ClassifyQuestion(Question):
    """A text."""

    text: str = Field(description="what to classify")


class ClassAnswer(Answer):
    """A text's class, and the probability of every class."""

    text: str
    label: str
    probabilities: dict[str, float]


class ClassifyTextEndpoint(Endpoint[str]):
    """Texts to classes.

    Args:
        classifier: the loaded model.
        most_characters: of a text.
    """

    name = "classify"
    summary = "A text to its class"
    answers = ClassAnswer

    def __init__(self, classifier: SentimentClassifier, most_characters: int) -> None:
        self.asks = ClassifyQuestion
        self.classifier, self.most_characters = classifier, most_characters

    def prepare(self, asked: ClassifyQuestion) -> str:
        return checked_text(asked.text, self.most_characters)

    def run(self, batch: Sequence[str]) -> list[dict[str, Any]]:
        return [found.row() for found in self.classifier.classify(batch, len(batch))]
