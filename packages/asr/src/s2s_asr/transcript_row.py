"""A transcript as an object of JSON: what the command line prints and the server answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s2s_asr.search.hypotheses import Hypothesis
    from s2s_asr.transcribe import Transcript


def transcript_row(result: Transcript) -> dict[str, Any]:
    """Text, duration and words; after a search also the n-best."""
    row: dict[str, Any] = {"text": result.text, "duration_s": result.duration_s}
    row["words"] = [word.row() for word in result.words]
    if result.hypotheses:
        row["nbest"] = [_hypothesis_row(one) for one in result.hypotheses]
    return row


def _hypothesis_row(one: Hypothesis) -> dict[str, Any]:
    scores = {"score": one.score, "acoustic": one.acoustic, "lm": one.words_score}
    if one.rescore_weight:
        scores["rescoring"] = one.rescoring
    rounded = {name: round(value, 4) for name, value in scores.items()}
    return {"text": one.text, **rounded, "words": [word.row() for word in one.words]}
