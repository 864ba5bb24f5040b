"""Language models and sentiment analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s2s_lm.language_model import LanguageModel as LanguageModel
    from s2s_lm.sentiment.classifier import SentimentClassifier as SentimentClassifier

__version__ = "0.1.0"

_EXPORTS = {
    "LanguageModel": "s2s_lm.language_model",
    "SentimentClassifier": "s2s_lm.sentiment.classifier",
}


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:  # on demand: they bring torch, and `--help` should not
        from importlib import import_module

        return getattr(import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
