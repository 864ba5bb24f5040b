"""scikit-learn's handwritten digits: 1797 grey pictures of 8 x 8 pixels that come with the library."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from s2s_core.errors import UserError

_TEST_EVERY, _VALIDATION_EVERY = 5, 10


def written_digits() -> Iterator[tuple[str, str, str, np.ndarray]]:
    """Split, class, name and pixels ``(8, 8)`` of every digit: of each ten, two are test and one validation.

    Raises:
        UserError: without scikit-learn.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise UserError("digits: needs scikit-learn; pip install scikit-learn") from None
    flat, targets = load_digits(return_X_y=True)
    for number, (pixels, label) in enumerate(zip(flat.reshape(-1, 8, 8), targets, strict=True)):
        split = "test" if number % _TEST_EVERY == 0 else "validation" if number % _VALIDATION_EVERY == 1 else "train"
        yield split, str(label), f"{number:04}.png", (pixels * (255 / 16)).round().astype(np.uint8)
