"""Speech commands and image classification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s2s_commands.classify_image import ImageClassifier as ImageClassifier
    from s2s_commands.classify_sound import CommandClassifier as CommandClassifier

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "CommandClassifier":  # on demand: it brings torch, and `--help` should not
        from s2s_commands.classify_sound import CommandClassifier

        return CommandClassifier
    if name == "ImageClassifier":
        from s2s_commands.classify_image import ImageClassifier

        return ImageClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
