"""What classifying sources with a trained checkpoint takes, whatever the sources are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from torch import Tensor

from s2s_core.errors import UserError
from s2s_core.precision.inference import Precision, check_precision

if TYPE_CHECKING:
    from s2s_commands.classifier import Classifier

TaskT = TypeVar("TaskT", bound="Classifier")
SourceT = TypeVar("SourceT")
AnswerT = TypeVar("AnswerT")


class EachClassifier(ABC, Generic[TaskT, SourceT, AnswerT]):
    """Classifies sources in batches; what cannot be read is named, and the others go on.

    Args:
        task: in evaluation mode, on its device.
        precision: ``"32-true"``, or ``"bf16"`` for bfloat16 autocast.

    Raises:
        ValueError: if the precision is unknown.
    """

    kind: ClassVar[str]
    """What sources are called."""
    batch_size: ClassVar[int]
    """How many at once, if not told otherwise."""

    def __init__(self, task: TaskT, precision: Precision = "32-true") -> None:
        check_precision(precision)
        self.task: TaskT = task
        task.eval()
        self.precision: Precision = precision
        self.device = next(task.parameters()).device
        self.classes = list(task.classes)

    def classify(self, sources: Sequence[SourceT], batch_size: int | None = None) -> list[AnswerT]:
        """Return what each source is, in their order.

        Args:
            sources: files by their paths, or what they hold.
            batch_size: sources at once; it changes no result.

        Raises:
            UserError: on the first source that cannot be read; it is named.
        """
        answers = []
        for answer in self.classify_each(sources, batch_size):
            if isinstance(answer, UserError):
                raise answer
            answers.append(answer)
        return answers

    def classify_each(self, sources: Iterable[SourceT], batch_size: int | None = None) -> Iterator[AnswerT | UserError]:
        """Yield what each source is, or the error that names it, in order and while the rest is still to come."""
        size = self.batch_size if batch_size is None else batch_size
        if isinstance(sources, str | Path):
            raise TypeError(f"sources: expected a list of {self.kind}, got the one path '{sources}'")
        if size < 1:
            raise ValueError(f"batch_size must be at least 1, got {size}")
        held: list[tuple[str, Tensor | UserError]] = []
        for index, source in enumerate(sources):
            held.append(self._opened(index, source))
            if len(held) == size:
                yield from self._classified(held)
                held = []
        yield from self._classified(held)

    @abstractmethod
    def _open(self, name: str, source: Any) -> Tensor:
        """Read a source; a UserError says what is wrong with it."""

    @abstractmethod
    def _probabilities_of(self, opened: list[Tensor]) -> Tensor:
        """Probabilities ``(sources, classes)``, on the CPU."""

    @abstractmethod
    def _answer(self, name: str, ranked: dict[str, float], opened: Tensor) -> AnswerT:
        """The result for a source, of the probabilities of every class, the most likely first."""

    def _opened(self, index: int, source: Any) -> tuple[str, Tensor | UserError]:
        name = str(source) if isinstance(source, str | Path) else f"#{index}"
        try:
            return name, self._open(name, source)
        except UserError as error:
            return name, error

    def _classified(self, held: list[tuple[str, Tensor | UserError]]) -> Iterator[AnswerT | UserError]:
        opened = [one for _, one in held if isinstance(one, Tensor)]
        rows = iter(self._probabilities_of(opened).tolist() if opened else [])
        for name, one in held:
            if isinstance(one, UserError):
                yield one
            else:
                ranked = sorted(zip(self.classes, next(rows), strict=True), key=lambda pair: -pair[1])
                yield self._answer(name, dict(ranked), one)
