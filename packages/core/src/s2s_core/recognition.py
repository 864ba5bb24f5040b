"""Speech recognition as other packages see it: what judges whether synthetic speech can be understood."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from s2s_core.errors import UserError

if TYPE_CHECKING:
    import numpy as np


class SpeechRecogniser(Protocol):
    """A trained recogniser."""

    def recognise(self, recordings: Sequence[np.ndarray], sample_rate_hz: int) -> list[str]:
        """The words of each recording ``(samples,)``, single spaces between them, whatever the model's own rate."""
        ...

    def spell(self, text: str) -> str:
        """A text as the recogniser would write it, without punctuation, to compare what it hears with."""
        ...


def load_recogniser(path: str | os.PathLike[str], device: str = "cpu") -> SpeechRecogniser:
    """A recogniser from its checkpoint.

    Raises:
        UserError: if the checkpoint is unreadable or of another task, or recognition is not installed.
    """
    from s2s_core.checkpoint import load_task

    recogniser = getattr(load_task(path, "asr", device), "recogniser", None)
    if recogniser is None:
        raise UserError(f"checkpoint '{path}': is no recogniser")
    return recogniser()
