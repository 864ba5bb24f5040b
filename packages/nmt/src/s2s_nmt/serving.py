"""Translation over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from s2s_core.decoding.beam_search import BeamSearch
from s2s_core.errors import UserError
from s2s_core.serving.endpoint import Answer, Endpoint, Field, Question, checked_text
from s2s_nmt.translate import Translation, Translator
from s2s_nmt.translation_row import translation_row

WIDEST_BEAM = 64


class TranslateQuestion(Question):
    """A text, and how to search; what is not given is the model's own."""

    text: str = Field(description="a sentence a line, or whatever the model takes")
    beam_width: int | None = Field(None, ge=1, le=WIDEST_BEAM, description="open hypotheses a sentence; 1 is greedy")
    nbest: int | None = Field(None, ge=1, le=WIDEST_BEAM, description="translations of each line to give")
    length_penalty: float | None = Field(None, ge=0, le=10, description="0 favours short translations, 1 long ones")


class CandidateAnswer(Answer):
    """One of the translations that were found; scores are natural logarithms."""

    text: str
    score: float
    log_probability: float
    finished: bool
    tokens: list[str]
    alignment: list[int] | None = None


class LineAnswer(Answer):
    """What became of a line."""

    line: int
    source: str
    text: str
    score: float | None = None
    source_tokens: list[str] | None = None
    nbest: list[CandidateAnswer]


class TranslateAnswer(Answer):
    """The translation, and what is known of each line."""

    text: str
    lines: list[LineAnswer]


@dataclass(frozen=True)
class _Job:
    lines: list[str]
    search: BeamSearch
    settings: tuple[Any, ...]


class TranslateEndpoint(Endpoint[_Job]):
    """Text to text.

    Args:
        translator: the loaded model.
        most_characters: of a text.
    """

    name = "translate"
    summary = "Text to text, line by line"
    answers = TranslateAnswer

    def __init__(self, translator: Translator, most_characters: int) -> None:
        self.asks = TranslateQuestion
        self.translator, self.most_characters = translator, most_characters

    def prepare(self, asked: TranslateQuestion) -> _Job:
        text = checked_text(asked.text, self.most_characters)
        given = asked.model_dump(include={"beam_width", "nbest", "length_penalty"}, exclude_none=True)
        settings: dict[str, Any] = self.translator.search.describe()["init_args"]
        settings["nbest"] = min(settings["nbest"], given.get("beam_width", settings["beam_width"]))
        try:
            search = BeamSearch(**{**settings, **given})
        except ValueError as error:
            raise UserError(f"search: {error}") from None
        return _Job(text.replace("\r\n", "\n").split("\n"), search, tuple(sorted(given.items())))

    def key(self, prepared: _Job) -> tuple[Any, ...]:
        return prepared.settings

    def run(self, batch: Sequence[_Job]) -> list[dict[str, Any] | UserError]:
        results = self.translator.translate_each((line for job in batch for line in job.lines), batch[0].search)
        answers = [_answer([next(results) for _ in job.lines]) for job in batch]
        if len(batch) > 1:  # errors name lines by their number, which is that of a text only where it is alone
            answers = [
                self.run([job])[0] if isinstance(answer, UserError) else answer
                for job, answer in zip(batch, answers, strict=True)
            ]
        return answers


def _answer(results: list[Translation | UserError]) -> dict[str, Any] | UserError:
    rows = []
    for number, result in enumerate(results, start=1):
        if isinstance(result, UserError):
            return result
        rows.append(translation_row(number, result))
    return {"text": "\n".join(row["text"] for row in rows), "lines": rows}
