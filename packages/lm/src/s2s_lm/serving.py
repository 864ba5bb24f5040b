"""Language models over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from s2s_core.decoding.beam_search import BeamSearch
from s2s_core.decoding.hypothesis import Search
from s2s_core.decoding.sampling import Sampling
from s2s_core.errors import UserError
from s2s_core.serving.endpoint import Answer, Endpoint, Field, Question, TooLong, checked_text
from s2s_lm.language_model import SEGMENT, LanguageModel, TextScore, total_score

LARGEST_SEED = 2**31 - 1


class GenerateQuestion(Question):
    """What to go on with, and how tokens are chosen."""

    prompt: str = Field("", description="what to go on with")
    tokens: int = Field(100, ge=1, description="at most")
    temperature: float = Field(1.0, ge=1e-3, le=100, description="below 1 the likely becomes likelier")
    top_k: int = Field(0, ge=0, description="draw from the K likeliest; 0: from all")
    top_p: float = Field(1.0, gt=0, le=1, description="draw from the likeliest that have this probability together")
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="the same seed draws the same")
    samples: int = Field(1, ge=1, le=16, description="texts to draw")
    beam: int = Field(0, ge=0, le=16, description="search with so many open texts instead of drawing")
    one_line: bool = Field(False, description="stop at the end of the line")


class GenerateAnswer(Answer):
    """What follows the prompt: each sample, or the n-best, the best first."""

    prompt: str
    texts: list[str]


@dataclass(frozen=True)
class _Prompt:
    text: str
    search: Search
    one_line: bool
    settings: tuple[Any, ...]


class GenerateEndpoint(Endpoint[_Prompt]):
    """Goes on with prompts.

    Args:
        model: the loaded model.
        most_characters: of a prompt.
        most_tokens: that are generated.
    """

    name = "generate"
    summary = "Go on with a text"
    answers = GenerateAnswer

    def __init__(self, model: LanguageModel, most_characters: int, most_tokens: int) -> None:
        self.asks = GenerateQuestion
        self.model, self.most_characters, self.most_tokens = model, most_characters, most_tokens

    def prepare(self, asked: GenerateQuestion) -> _Prompt:
        if len(asked.prompt) > self.most_characters:
            raise TooLong(f"prompt: {len(asked.prompt)} characters, expected at most {self.most_characters}")
        if asked.tokens > self.most_tokens:
            raise TooLong(f"tokens: {asked.tokens}, expected at most {self.most_tokens}")
        settings = asked.model_dump(exclude={"prompt"})
        return _Prompt(asked.prompt, _search(asked), asked.one_line, tuple(settings.values()))

    def key(self, prepared: _Prompt) -> tuple[Any, ...]:
        return prepared.settings

    def run(self, batch: Sequence[_Prompt]) -> list[dict[str, Any] | UserError]:
        first = batch[0]
        found = self.model.generate_each([one.text for one in batch], first.search, one_line=first.one_line)
        return [{"prompt": one.text, "texts": texts} for one, texts in zip(batch, found, strict=True)]


def _search(asked: GenerateQuestion) -> Search:
    length: dict[str, Any] = {"max_length_ratio": 0.0, "max_length_extra": asked.tokens}
    if asked.beam:
        return BeamSearch(asked.beam, 0.0, nbest=asked.beam, **length)
    return Sampling(asked.samples, asked.temperature, asked.top_k, asked.top_p, asked.seed, **length)


class ScoreQuestion(Question):
    """A text of one or more lines."""

    text: str = Field(description="a sentence or paragraph a line")
    alone: bool = Field(False, description="score each line by itself, without those before it")


class ScoreAnswer(Answer):
    """How probable a text is; logarithms are natural."""

    log_probability: float
    perplexity: float
    bits_per_character: float
    tokens: int
    words: int
    characters: int
    unknown: int


class LineScoreAnswer(ScoreAnswer):
    """How probable a line is."""

    text: str


class ScoresAnswer(Answer):
    """How probable each line is, and all of them."""

    total: ScoreAnswer
    lines: list[LineScoreAnswer]


@dataclass(frozen=True)
class _Text:
    lines: list[str]
    alone: bool


class ScoreEndpoint(Endpoint[_Text]):
    """Log-probability and perplexity of texts.

    Args:
        model: the loaded model.
        most_characters: of a text.
    """

    name = "score"
    summary = "Log-probability and perplexity of a text, line by line and in total"
    answers = ScoresAnswer

    def __init__(self, model: LanguageModel, most_characters: int) -> None:
        self.asks = ScoreQuestion
        self.model, self.most_characters = model, most_characters

    def prepare(self, asked: ScoreQuestion) -> _Text:
        lines = checked_text(asked.text, self.most_characters).replace("\r\n", "\n").split("\n")
        # a line that fits into a segment has no context, so that it may share a batch
        short = len(lines) == 1 and len(self.model.task.tokenizer.encode(lines[0])) < SEGMENT
        return _Text(lines, asked.alone or short)

    def key(self, prepared: _Text) -> bool:
        return prepared.alone

    def run(self, batch: Sequence[_Text]) -> list[dict[str, Any] | UserError]:
        if not batch[0].alone:
            return [_answer(self.model.score(one.lines)) for one in batch]
        scores = iter(self.model.score([line for one in batch for line in one.lines], continuous=False))
        return [_answer([next(scores) for _ in one.lines]) for one in batch]


def _answer(scores: Sequence[TextScore]) -> dict[str, Any]:
    return {"total": total_score(scores).row(), "lines": [{"text": one.text, **one.row()} for one in scores]}
