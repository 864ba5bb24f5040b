"""A translation as an object of JSON: what the command line prints and the server answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s2s_nmt.translate import Translation


def translation_row(line: int, result: Translation) -> dict[str, Any]:
    """Everything known of a line's translation; ``line`` counts from 1."""
    row: dict[str, Any] = {"line": line, "source": result.source, "text": result.text}
    if result.candidates:
        row |= {"score": round(result.candidates[0].score, 4), "source_tokens": result.source_pieces}
    row["nbest"] = []
    for found in result.candidates:
        entry: dict[str, Any] = {
            "text": found.text,
            "score": round(found.score, 4),
            "log_probability": round(found.log_probability, 4),
            "finished": found.finished,
            "tokens": found.pieces,
        }
        if found.alignment is not None:
            entry["alignment"] = found.alignment
        row["nbest"].append(entry)
    return row
