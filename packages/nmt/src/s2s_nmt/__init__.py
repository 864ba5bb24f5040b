"""Translation and other text-to-text tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s2s_nmt.translate import Translator as Translator

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "Translator":  # on demand: it brings torch, and `--help` should not
        from s2s_nmt.translate import Translator

        return Translator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
