"""Pictures to labels with a trained checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from s2s_commands.classify_each import EachClassifier, Precision
from s2s_commands.image_batches import open_picture
from s2s_commands.interfaces import ImageBatch
from s2s_core.errors import UserError
from s2s_core.precision.inference import autocast

if TYPE_CHECKING:
    from s2s_commands.image_task import ImageClassification  # noqa: F401  in quotes below

Source = str | Path | Image.Image | np.ndarray


@dataclass(frozen=True)
class ImageLabel:
    """What a picture is taken for."""

    id: str
    """The file as it was named, or ``#N`` for the Nth picture in memory."""
    label: str
    probability: float
    probabilities: dict[str, float]
    """Of every class, the most likely first."""


class ImageClassifier(EachClassifier["ImageClassification", Source, ImageLabel]):
    """Names pictures of any format and size: paths, pictures, or arrays, uint8.

    Arrays are ``(height, width)`` or ``(height, width, 3)``. The result of one picture does not depend on the others
    of its batch.

    Args:
        task: in evaluation mode, on its device.
        precision: ``"32-true"``, or ``"bf16"`` for bfloat16 autocast.

    Raises:
        ValueError: if the precision is unknown.
    """

    kind = "pictures"
    batch_size = 32

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu", precision: Precision = "32-true") -> ImageClassifier:
        """Rebuild the classifier that ``fit`` wrote to ``path``.

        Raises:
            UserError: if the checkpoint is unreadable or of another task, or the device is not there.
        """
        from s2s_commands.image_task import ImageClassification
        from s2s_core.checkpoint import load_task

        task = load_task(path, ImageClassification.name, device)
        assert isinstance(task, ImageClassification)
        return cls(task, precision)

    @torch.inference_mode()
    def probabilities(self, pixels: Tensor) -> Tensor:
        """Probabilities ``(batch, classes)``, on the CPU, of ``(batch, channels, canvas, canvas)``, uint8."""
        images = self.task.view.normalised(pixels.to(self.device))
        labels = torch.full((len(images),), -1, device=self.device)
        with autocast(self.precision, self.device.type):
            logits = self.task.batch_logits(ImageBatch(images, labels, [""] * len(images)))
        return logits.float().softmax(dim=1).cpu()

    def _open(self, name: str, source: Source) -> Tensor:
        view = self.task.view
        if isinstance(source, str | Path):
            picture = open_picture(source, view)
        else:
            picture = view.coloured(_picture(source, name))
        return F.pil_to_tensor(view.square(picture, view.canvas))

    def _probabilities_of(self, opened: list[Tensor]) -> Tensor:
        return self.probabilities(torch.stack(opened))

    def _answer(self, name: str, ranked: dict[str, float], opened: Tensor) -> ImageLabel:
        label = next(iter(ranked))
        return ImageLabel(name, label, ranked[label], ranked)


def _picture(source: Image.Image | np.ndarray, name: str) -> Image.Image:
    if isinstance(source, Image.Image):
        return source
    if source.dtype != np.uint8 or source.ndim not in (2, 3) or (source.ndim == 3 and source.shape[2] != 3):
        raise UserError(
            f"{name}: an array of {source.dtype} {source.shape}, expected uint8 (height, width) or (height, width, 3)"
        )
    return Image.fromarray(source)
