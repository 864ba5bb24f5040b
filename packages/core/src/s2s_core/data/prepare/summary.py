"""What came of preparing a corpus, in figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from s2s_core.data.prepare.checks import Utterance
from s2s_core.data.prepare.rows import Rejected


@dataclass
class SplitSummary:
    """Figures of one split."""

    utterances: int
    hours: float
    speakers: int
    """0 where the corpus names none."""
    duration_s: dict[str, float]
    """``min``, ``median`` and ``max``."""
    characters: dict[str, int]
    """Characters of the transcripts, the most frequent first."""
    sample_rates_hz: dict[str, int]
    """Recordings by their sample rate."""


@dataclass
class Summary:
    """Figures of a whole run; plain data, as ``summary.json`` holds it."""

    splits: dict[str, SplitSummary] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    """Rows left out, by reason."""
    files: list[str] = field(default_factory=list)
    """What was written, relative to the output folder."""

    def lines(self) -> list[str]:
        """A table for a person."""
        rows = [["split", "utterances", "hours", "speakers", "shortest", "median", "longest", "characters"]]
        for name, split in self.splits.items():
            lasts = [f"{split.duration_s[key]:.2f} s" for key in ("min", "median", "max")]
            speakers = str(split.speakers) if split.speakers else "?"
            rows.append([name, str(split.utterances), f"{split.hours:.2f}", speakers, *lasts, _letters(split)])
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        if self.rejected:
            reasons = ", ".join(f"{count} {reason}" for reason, count in self.rejected.items())
            lines.append(f"left out: {sum(self.rejected.values())} ({reasons}); see rejected.tsv")
        return lines


def _letters(split: SplitSummary) -> str:
    letters = "".join(sorted(split.characters))
    return repr(letters if len(letters) <= 48 else f"{letters[:48]}... ({len(letters)})")


def summarise_split(utterances: Sequence[Utterance]) -> SplitSummary:
    """The figures of one split, which must not be empty."""
    durations = [utterance.duration_s for utterance in utterances]
    characters = Counter(character for utterance in utterances for character in utterance.text)
    rates = Counter(str(utterance.audio.sample_rate_hz) for utterance in utterances)
    return SplitSummary(
        utterances=len(utterances),
        hours=sum(durations) / 3600,
        speakers=len({utterance.row.speaker for utterance in utterances if utterance.row.speaker}),
        duration_s={"min": min(durations), "median": median(durations), "max": max(durations)},
        characters=dict(characters.most_common()),
        sample_rates_hz=dict(rates.most_common()),
    )


def count_reasons(rejected: Iterable[Rejected]) -> dict[str, int]:
    """Rows left out by reason, the most frequent first."""
    return dict(Counter(row.reason for row in rejected).most_common())


def summary_from_json(data: dict[str, Any]) -> Summary:
    """Read ``summary.json`` back."""
    splits = {name: SplitSummary(**split) for name, split in data["splits"].items()}
    return Summary(splits, data["rejected"], data["files"])
