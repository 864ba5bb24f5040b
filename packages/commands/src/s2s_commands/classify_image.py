"""Pictures to labels with a trained checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from s2s_commands.image_batches import open_picture
from s2s_commands.interfaces import ImageBatch
from s2s_core.errors import UserError

if TYPE_CHECKING:
    from s2s_commands.image_task import ImageClassification

Precision = Literal["32-true", "bf16"]
Source = str | Path | Image.Image | np.ndarray

BATCH_SIZE = 32


@dataclass(frozen=True)
class ImageLabel:
    """What a picture is taken for."""

    id: str
    """The file as it was named, or ``#N`` for the Nth picture in memory."""
    label: str
    probability: float
    probabilities: dict[str, float]
    """Of every class, the most likely first."""


class ImageClassifier:
    """Names pictures of any format and size.

    The result of one picture does not depend on the others of its batch.

    Args:
        task: in evaluation mode, on its device.
        precision: ``"32-true"``, or ``"bf16"`` for bfloat16 autocast.

    Raises:
        ValueError: if the precision is unknown.
    """

    def __init__(self, task: ImageClassification, precision: Precision = "32-true") -> None:
        if precision not in ("32-true", "bf16"):
            raise ValueError(f"precision must be '32-true' or 'bf16', got {precision!r}")
        self.task = task.eval()
        self.precision = precision
        self.device = next(task.encoder.parameters()).device
        self.classes = list(task.classes)

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu", precision: Precision = "32-true") -> ImageClassifier:
        """Rebuild the classifier that ``fit`` wrote to ``path``.

        Raises:
            UserError: if the checkpoint is unreadable or of another task, or the device is not there.
        """
        from s2s_commands.image_task import ImageClassification
        from s2s_core.checkpoint import load_task

        task = load_task(path, task=ImageClassification.name)
        assert isinstance(task, ImageClassification)
        try:
            task = task.to(device)
        except (RuntimeError, AssertionError) as error:
            raise UserError(f"device '{device}' cannot be used: {str(error).splitlines()[0]}") from None
        return cls(task, precision)

    def classify(self, sources: Sequence[Source], batch_size: int = BATCH_SIZE) -> list[ImageLabel]:
        """Return what each source is, in their order.

        Args:
            sources: paths, pictures, or arrays ``(height, width)`` or ``(height, width, 3)``, uint8.
            batch_size: pictures at once; it changes no result.

        Raises:
            UserError: on the first source that cannot be read; it is named.
        """
        results = []
        for result in self.classify_each(sources, batch_size):
            if isinstance(result, UserError):
                raise result
            results.append(result)
        return results

    def classify_each(
        self, sources: Iterable[Source], batch_size: int = BATCH_SIZE
    ) -> Iterator[ImageLabel | UserError]:
        """Yield what each source is, or the error that names it, in order and while the rest is still to come."""
        if isinstance(sources, str | Path):
            raise TypeError(f"sources: expected a list of pictures, got the one path '{sources}'")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        held: list[tuple[str, Tensor | UserError]] = []
        for index, source in enumerate(sources):
            held.append(self._opened(index, source))
            if len(held) == batch_size:
                yield from self._classified(held)
                held = []
        yield from self._classified(held)

    @torch.inference_mode()
    def probabilities(self, pixels: Tensor) -> Tensor:
        """Probabilities ``(batch, classes)``, on the CPU, of ``(batch, channels, canvas, canvas)``, uint8."""
        images = self.task.view.normalised(pixels.to(self.device))
        labels = torch.full((len(images),), -1, device=self.device)
        with self._autocast():
            logits = self.task.batch_logits(ImageBatch(images, labels, [""] * len(images)))
        return logits.float().softmax(dim=1).cpu()

    def _autocast(self) -> AbstractContextManager[object]:
        return nullcontext() if self.precision == "32-true" else torch.autocast(self.device.type, dtype=torch.bfloat16)

    def _opened(self, index: int, source: Source) -> tuple[str, Tensor | UserError]:
        view = self.task.view
        name = str(source) if isinstance(source, str | Path) else f"#{index}"
        try:
            if isinstance(source, str | Path):
                picture = open_picture(source, view)
            else:
                picture = view.coloured(_picture(source, name))
        except UserError as error:
            return name, error
        return name, F.pil_to_tensor(view.square(picture, view.canvas))

    def _classified(self, held: list[tuple[str, Tensor | UserError]]) -> Iterator[ImageLabel | UserError]:
        pixels = [picture for _, picture in held if isinstance(picture, Tensor)]
        rows = iter(self.probabilities(torch.stack(pixels)).tolist() if pixels else [])
        for name, picture in held:
            yield picture if isinstance(picture, UserError) else self._result(name, next(rows))

    def _result(self, name: str, row: list[float]) -> ImageLabel:
        ranked = sorted(zip(self.classes, row, strict=True), key=lambda pair: -pair[1])
        return ImageLabel(name, ranked[0][0], ranked[0][1], dict(ranked))


def _picture(source: Image.Image | np.ndarray, name: str) -> Image.Image:
    if isinstance(source, Image.Image):
        return source
    if source.dtype != np.uint8 or source.ndim not in (2, 3) or (source.ndim == 3 and source.shape[2] != 3):
        raise UserError(
            f"{name}: an array of {source.dtype} {source.shape}, expected uint8 (height, width) or (height, width, 3)"
        )
    return Image.fromarray(source)
