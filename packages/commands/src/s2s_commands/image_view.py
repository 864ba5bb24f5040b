"""How a picture is brought to the size and scale that a network sees."""

from __future__ import annotations

from typing import Literal

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from s2s_core.part import Part

IMAGENET_MEAN, IMAGENET_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


class ImageView(Part):
    """Resizes the short side, cuts out the centre, scales to mean 0 and deviation 1.

    Several crops average a network's answer over as many views of a picture in evaluation: 2 are the picture and its
    mirror image, 5 the centre and the corners of the resized picture's middle square, 10 those and their mirror images
    (Krizhevsky et al. 2012, section 4.1).

    Args:
        size: height and width of what the network sees, pixels.
        resize: short side before cutting, pixels; None keeps pictures as they are, for a corpus of one size.
        mean, std: of each channel of pixels in [0, 1]: three numbers for RGB, one for grey pictures.
        crops: views of a picture in evaluation: 1, 2, 5 or 10.

    Raises:
        ValueError: if a size is not positive, ``resize`` is smaller than ``size``, or the channels' numbers do not fit.
    """

    def __init__(
        self,
        size: int = 224,
        resize: int | None = 256,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        crops: Literal[1, 2, 5, 10] = 1,
    ) -> None:
        mean, std = mean or IMAGENET_MEAN, std or IMAGENET_STD
        if size < 1:
            raise ValueError(f"size must be positive, got {size}")
        if resize is not None and resize < size:
            raise ValueError(f"resize must be at least size ({size}), got {resize}")
        if crops not in (1, 2, 5, 10):
            raise ValueError(f"crops must be 1, 2, 5 or 10, got {crops}")
        if crops > 2 and resize is None:
            raise ValueError(f"{crops} crops need resize, the size of the square that they are cut from")
        if len(mean) != len(std) or len(mean) not in (1, 3) or min(std) <= 0:
            raise ValueError(f"mean and std: expected 3 numbers each, or 1, deviations above 0; got {mean} and {std}")
        self.size, self.resize, self.crops = size, resize, crops
        self.mean, self.std = mean, std

    @classmethod
    def examples(cls) -> list[ImageView]:
        """Small ones for the contract tests."""
        return [cls(8, 10), cls(8, None, [0.5], [0.5], 2), cls(8, 10, crops=5), cls(8, 10, crops=10)]

    @property
    def channels(self) -> int:
        return len(self.mean)

    @property
    def canvas(self) -> int:
        """Height and width of what `square` gives: that of the crops' source, pixels."""
        return self.size if self.crops <= 2 or self.resize is None else self.resize

    def coloured(self, picture: Image.Image) -> Image.Image:
        """The picture in RGB or grey; what is transparent becomes white."""
        if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        return picture.convert("RGB" if self.channels == 3 else "L")

    def square(self, picture: Image.Image, size: int) -> Image.Image:
        """The middle square of ``size`` of a coloured picture, resized as asked; padded with black if it is smaller."""
        if self.resize is not None:
            picture = F.resize(picture, [self.resize])  # pyright: ignore[reportArgumentType, reportAssignmentType]
        return F.center_crop(picture, [size])  # pyright: ignore[reportArgumentType, reportReturnType]

    def normalised(self, pixels: Tensor) -> Tensor:
        """Scale uint8 ``(batch, channels, height, width)`` to float32."""
        mean, std = (torch.tensor(numbers, device=pixels.device)[:, None, None] for numbers in (self.mean, self.std))
        return (pixels.float() - 255 * mean) / (255 * std)

    def views(self, images: Tensor) -> list[Tensor]:
        """Cut ``(batch, channels, canvas, canvas)`` into `crops` tensors ``(batch, channels, size, size)``."""
        if self.crops == 1:
            return [images]
        if self.crops == 2:
            return [images, images.flip(-1)]
        crops = list(F.five_crop(images, [self.size]))
        return crops if self.crops == 5 else crops + [crop.flip(-1) for crop in crops]
