"""What a task offers over HTTP: a verb that takes one question a request and answers many at once.

A domain derives from `Endpoint`; this module and it know nothing of HTTP but the words *upload* and *too long*.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, create_model
from pydantic import Field as Field

from s2s_core.errors import UserError

Prepared = TypeVar("Prepared")
Media = Literal["audio", "image"]


class TooLong(UserError):
    """What was sent is longer than the server takes."""


class Question(BaseModel):
    """The JSON that a request holds; a key that is not among the fields is refused."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """The JSON that a request gets. Fields that an answer does not set are not sent."""


@dataclass(frozen=True)
class Upload:
    """A file that a request holds."""

    name: str
    """As the sender calls it."""
    file: BinaryIO
    """Seekable."""


class Endpoint(ABC, Generic[Prepared]):
    """A verb of a loaded model.

    `prepare` is called for each request by itself, several at a time on threads of their own; `run` is called on the
    one thread that uses the model, with what was prepared of requests that wait together and have the same `key`. What
    a request is answered must not depend on the others of its batch.
    """

    name: ClassVar[str]
    """The verb: the path is ``/NAME``."""
    summary: ClassVar[str]
    """One line."""
    answers: ClassVar[type[Answer] | Literal["wav"]]
    """The JSON of an answer, or a recording."""
    asks: type[Question] | Media
    """The JSON of a question, or what kind of file is uploaded."""

    @abstractmethod
    def prepare(self, asked: Any) -> Prepared:
        """Check a question or an `Upload`, and do what can be done without the model.

        Raises:
            TooLong: if it is longer than this server takes.
            UserError: if it cannot be answered; one line that says why.
        """

    def key(self, prepared: Prepared) -> Hashable:
        """Requests with equal keys may share a batch."""
        return None

    @abstractmethod
    def run(self, batch: Sequence[Prepared]) -> Sequence[dict[str, Any] | bytes | UserError]:
        """Answer each of a batch: the fields of `answers`, a WAV file, or why it cannot be answered."""

    def close(self) -> None:
        """Let go of what the model holds beside this process."""


def checked_text(text: str, most_characters: int) -> str:
    """The text of a question.

    Raises:
        TooLong: if it has more characters than that.
        UserError: if there is nothing but white space.
    """
    if len(text) > most_characters:
        raise TooLong(f"text: {len(text)} characters, expected at most {most_characters}")
    if not text.strip():
        raise UserError("text: is empty")
    return text


def with_choices(question: type[Question], field: str, choices: Sequence[str], about: str) -> type[Question]:
    """The question with a field whose values are known only once the model is loaded; the first is the default."""
    fields: dict[str, Any] = {field: (Literal[tuple(choices)], Field(default=choices[0], description=about))}
    return create_model(question.__name__, __base__=question, __doc__=question.__doc__, **fields)
