"""A class with its probability as an object of JSON: what the command lines print and the server answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s2s_commands.classify_image import ImageLabel
    from s2s_commands.classify_sound import Classification


def answer_row(result: Classification | ImageLabel) -> dict[str, Any]:
    """The label, its probability, and that of every class, the most likely first."""
    return {
        "label": result.label,
        "probability": round(result.probability, 6),
        "probabilities": {name: round(value, 6) for name, value in result.probabilities.items()},
    }
