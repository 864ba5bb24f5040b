"""Speech synthesis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s2s_tts.synthesize import Synthesizer as Synthesizer

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "Synthesizer":  # on demand: it brings torch, and `--help` should not
        from s2s_tts.synthesize import Synthesizer

        return Synthesizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
