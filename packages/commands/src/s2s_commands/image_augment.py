"""Random changes to training pictures that do not change what they show."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from s2s_commands.image_view import ImageView
from s2s_core.part import Part


class ImageAugment(Part):
    """Crop, flip, colours, RandAugment and erasing, in this order, as torchvision's ``transforms.v2``.

    What happens to a picture is a function of the training's seed, the epoch and the picture's number: the same for any
    number of worker processes, and repeated by a resumed run.

    Args:
        crop: ``resized`` is a random part of the picture of random shape, brought to size (Szegedy et al. 2015);
            ``padded`` is a random square, of the view's size, of the picture with a black border; ``none`` the
            middle square.
        min_area: the smallest share of the picture that ``resized`` takes; shapes are 3:4 to 4:3. OpenSeq2Seq's 0.05.
        padding: the border of ``padded``, pixels.
        flip: mirror half of the pictures.
        colour: change brightness, contrast and saturation by up to this factor more or less, and hue by a quarter of
            it of half the colour circle; 0 is off.
        rand_augment: magnitude, 0 to 30, of random operations (Cubuk et al. 2019, arXiv 1909.13719); 0 is off.
        operations: how many of them a picture.
        erase: probability of replacing a random box by the mean colour (Zhong et al. 2017, arXiv 1708.04896).

    Raises:
        ValueError: if a number is out of range.
    """

    def __init__(
        self,
        crop: Literal["resized", "padded", "none"] = "resized",
        min_area: float = 0.08,
        padding: int = 4,
        flip: bool = True,
        colour: float = 0.0,
        rand_augment: int = 0,
        operations: int = 2,
        erase: float = 0.0,
    ) -> None:
        if crop not in ("resized", "padded", "none"):
            raise ValueError(f"crop must be 'resized', 'padded' or 'none', got {crop!r}")
        if not 0 < min_area <= 1:
            raise ValueError(f"min_area must be above 0 and at most 1, got {min_area}")
        if padding < 0 or operations < 1:
            raise ValueError(f"padding and operations: expected at least 0 and 1, got {padding} and {operations}")
        if not 0 <= colour <= 1 or not 0 <= erase <= 1:
            raise ValueError(f"colour and erase must be 0 to 1, got {colour} and {erase}")
        if not 0 <= rand_augment <= 30:
            raise ValueError(f"rand_augment must be 0 to 30, got {rand_augment}")
        self.crop, self.min_area, self.padding, self.flip = crop, min_area, padding, flip
        self.colour, self.rand_augment, self.operations, self.erase = colour, rand_augment, operations, erase
        self._built: tuple[int, v2.Compose] | None = None

    @classmethod
    def examples(cls) -> list[ImageAugment]:
        """Small ones for the contract tests."""
        return [cls(), cls("padded", padding=2, colour=0.4, rand_augment=9, erase=0.5), cls("none", flip=False)]

    def __call__(self, picture: Image.Image, view: ImageView, key: tuple[int, int, int]) -> Tensor:
        """Change a coloured picture: uint8 ``(channels, view.size, view.size)``.

        Args:
            picture: in the view's colours.
            view: size and mean colour of the result.
            key: seed, epoch and number of the picture.
        """
        if self._built is None or self._built[0] != id(view):
            self._built = (id(view), v2.Compose(self._transforms(view)))
        seed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])
        with torch.random.fork_rng(devices=[]):  # torchvision draws from the global generator, and the model too
            torch.default_generator.manual_seed(seed)
            return self._built[1](picture)

    def _transforms(self, view: ImageView) -> list[Any]:
        grey = [round(255 * mean) for mean in view.mean]
        found: list[Any] = []
        if self.crop == "resized":
            found.append(v2.RandomResizedCrop(view.size, scale=(self.min_area, 1.0)))
        elif self.crop == "padded":
            if view.resize is not None:
                found.append(v2.Resize(view.resize))
            found.append(v2.RandomCrop(view.size, padding=self.padding, pad_if_needed=True))
        else:
            found.append(v2.Lambda(lambda picture: view.square(picture, view.size)))
        if self.flip:
            found.append(v2.RandomHorizontalFlip())
        if self.colour:
            found.append(v2.ColorJitter(self.colour, self.colour, self.colour, self.colour / 8))
        if self.rand_augment:
            fill: Any = {Image.Image: grey if view.channels == 3 else grey[0]}
            found.append(v2.RandAugment(self.operations, self.rand_augment, fill=fill))
        found.append(v2.PILToTensor())
        if self.erase:
            value: Any = [float(level) for level in grey]
            found.append(v2.RandomErasing(self.erase, value=value))
        return found
