"""Pictures on disk to batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from s2s_commands.image_augment import ImageAugment
from s2s_commands.image_table import ImageRow
from s2s_commands.image_view import ImageView
from s2s_commands.interfaces import ImageBatch
from s2s_core.data.readable_batches import ReadableBatches
from s2s_core.data.sampling import BucketBatchSampler
from s2s_core.errors import UserError


class EpochSampler(BucketBatchSampler):
    """Batches of ``(epoch, index)``, so that worker processes know the epoch that they augment for."""

    def __iter__(self) -> Iterator[list[Any]]:
        for batch in super().__iter__():
            yield [(self.epoch, index) for index in batch]


def open_picture(path: str | Path, view: ImageView) -> Image.Image:
    """Decode a picture file in the view's colours.

    Raises:
        UserError: if it cannot be read; names the file.
    """
    try:
        with Image.open(path) as picture:
            return view.coloured(picture)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnidentifiedImageError:
        raise UserError(f"{path}: not a picture") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None


class Images(ReadableBatches[tuple[int, int], tuple[ImageRow, Tensor], ImageBatch]):
    """Loads whole batches by the keys of an `EpochSampler`; an item of a batch is a row and its pixels.

    Args:
        rows: the pictures.
        classes: names by number; a picture whose label is none of them, or that has none, gets -1.
        view: size and scale of the batches.
        augment: for training; without it, pictures are cut as for evaluation.
        seed: of the augmentation.
        training: pictures have the size of training, and others stand in for those that cannot be read.
    """

    example: ClassVar[str] = "picture"

    def __init__(
        self,
        rows: Sequence[ImageRow],
        classes: Sequence[str],
        view: ImageView,
        augment: ImageAugment | None = None,
        seed: int = 0,
        training: bool = False,
    ) -> None:
        super().__init__(len(rows), substitute=training)
        self.rows = rows
        self.view = view
        self.augment = augment
        self.seed = seed
        self.training = training
        self._numbers = {name: number for number, name in enumerate(classes)}

    def read(self, key: tuple[int, int]) -> tuple[ImageRow, Tensor]:
        epoch, index = key
        return self.rows[index], self._pixels(epoch, index)

    def later(self, key: tuple[int, int], steps: int) -> tuple[int, int]:
        epoch, index = key
        return epoch, (index + steps) % self.count

    def _pixels(self, epoch: int, index: int) -> Tensor:
        picture = open_picture(self.rows[index].path, self.view)
        if self.augment is not None:
            return self.augment(picture, self.view, (self.seed, epoch, index))
        size = self.view.size if self.training else self.view.canvas
        return F.pil_to_tensor(self.view.square(picture, size))

    def collate(self, found: list[tuple[ImageRow, Tensor]]) -> ImageBatch:
        labels = [-1 if row.label is None else self._numbers.get(row.label, -1) for row, _ in found]
        return ImageBatch(
            images=self.view.normalised(torch.stack([pixels for _, pixels in found])),
            labels=torch.tensor(labels),
            ids=[row.name for row, _ in found],
        )
