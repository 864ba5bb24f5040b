"""What came of preparing parallel text, in figures."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class SplitSummary:
    """Figures of one split."""

    pairs: int = 0
    source_words: int = 0
    target_words: int = 0
    source_tokens: int = 0
    target_tokens: int = 0
    longest: int = 0
    """Tokens of the longest side."""
    unknown: int = 0
    """Tokens without a place in the vocabulary."""


@dataclass
class Summary:
    """Figures of a whole run; plain data, as ``summary.json`` holds it."""

    splits: dict[str, SplitSummary] = field(default_factory=dict)
    vocabularies: dict[str, int] = field(default_factory=dict)
    """Sizes by file."""
    rejected: dict[str, int] = field(default_factory=dict)
    """Lines left out, by reason, the most frequent first."""
    files: list[str] = field(default_factory=list)
    """What was written, relative to the output folder."""

    def lines(self) -> list[str]:
        """A table for a person."""
        rows = [["split", "pairs", "words", "tokens", "longest", "unknown"]]
        for name, split in self.splits.items():
            words, tokens = split.source_words + split.target_words, split.source_tokens + split.target_tokens
            counts = (split.pairs, words, tokens, split.longest, split.unknown)
            rows.append([name, *(f"{count:,}" for count in counts)])
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        lines += [f"{name}: {size:,} tokens" for name, size in self.vocabularies.items()]
        if self.rejected:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.rejected.items())
            lines.append(f"left out: {sum(self.rejected.values()):,} lines ({reasons}); see rejected.tsv")
        return lines
