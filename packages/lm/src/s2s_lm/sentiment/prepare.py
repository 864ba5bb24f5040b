"""Labelled texts to tokenised files and a vocabulary."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from s2s_core.data.output_folder import SUMMARY_FILE, all_or_nothing
from s2s_core.data.text import TextTableWriter
from s2s_core.errors import UserError
from s2s_lm.prepare.run import MODEL_FILE, REJECTED_FILE, VOCABULARY_FILE
from s2s_lm.sentiment.corpora import Labelled
from s2s_lm.tokenizers import (
    END,
    UNKNOWN,
    LmTokenizer,
    SpelledTokenizer,
    SubwordLmTokenizer,
    VocabularyTokenizer,
    vocabulary_file,
)


@dataclass(frozen=True)
class TextOptions:
    """How texts are cut into words."""

    lower_case: bool = True
    split_punctuation: bool = False
    min_count: int = 1
    size: int | None = None
    existing: Path | None = None
    """A vocabulary, or SentencePiece model (``.model``), to use instead of one learnt from the training texts."""
    spelling: int = 0
    """Character n-grams follow each word, under so many numbers (`SpelledTokenizer`)."""


@dataclass
class Summary:
    """Figures of a whole run; plain data, as ``summary.json`` holds it."""

    labels: list[str]
    vocabulary: int = 0
    splits: dict[str, dict[str, int]] = field(default_factory=dict)
    """Texts of each class."""
    unknown: dict[str, float] = field(default_factory=dict)
    """Unknown tokens by words."""
    rejected: dict[str, int] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """A table for a person."""
        rows = [["split", "texts", *self.labels, "unknown"]]
        for name, counts in self.splits.items():
            numbers = [f"{counts.get(label, 0):,}" for label in self.labels]
            rows.append([name, f"{sum(counts.values()):,}", *numbers, f"{100 * self.unknown[name]:.2f} %"])
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        table.append(f"vocabulary: {self.vocabulary:,}")
        if self.rejected:
            reasons = ", ".join(f"{count} {reason}" for reason, count in self.rejected.items())
            table.append(f"left out: {reasons}; see {REJECTED_FILE}")
        return table


def prepare_texts(
    splits: dict[str, list[Labelled]], output: Path, options: TextOptions, overwrite: bool = False
) -> Summary:
    """Write ``SPLIT.arrow``, the vocabulary and ``summary.json`` to ``output``.

    Raises:
        UserError: for everything that is the user's to mend.
    """
    rejected = [row for rows in splits.values() for row in rows if row.reason]
    good = {split: [row for row in rows if not row.reason] for split, rows in splits.items()}
    labels = sorted({row.label for row in good["train"]}, key=lambda label: (len(label), label))
    if set(labels) == {"negative", "positive"}:
        labels = ["negative", "positive"]
    if len(labels) < 2:
        raise UserError(f"prepare: the training texts have {len(labels)} class, expected at least 2")
    strange = {row.label for rows in good.values() for row in rows} - set(labels)
    if strange:
        raise UserError(f"prepare: class {sorted(strange)[0]!r} is not among those of the training texts")
    with all_or_nothing(output, overwrite) as folder:
        tokenizer = _tokenizer(good["train"], folder, options)
        summary = Summary(labels, tokenizer.vocab_size)
        for split, rows in good.items():
            summary.splits[split] = dict(Counter(row.label for row in rows))
            summary.unknown[split] = _write(folder / f"{split}.arrow", rows, labels, tokenizer)
        if rejected:
            lines = [f"{row.where}\t{row.reason}\t{row.text[:80]}\n" for row in rejected]
            (folder / REJECTED_FILE).write_text("".join(lines), encoding="utf-8")
            summary.rejected = dict(Counter(row.reason for row in rejected))
        summary.files = sorted(path.name for path in folder.iterdir())
        (folder / SUMMARY_FILE).write_text(json.dumps(asdict(summary), indent=1) + "\n", encoding="utf-8")
    return summary


def _tokenizer(rows: list[Labelled], folder: Path, options: TextOptions) -> LmTokenizer:
    if options.existing is not None and not options.existing.is_file():
        raise UserError(f"--vocabulary {options.existing}: no such file")
    if options.existing is not None and options.existing.suffix == ".model":
        if options.spelling:
            raise UserError("--spelling is for words, and a .model makes pieces of them")
        (folder / MODEL_FILE).write_bytes(options.existing.read_bytes())
        return SubwordLmTokenizer(str(folder / MODEL_FILE))
    path = folder / VOCABULARY_FILE
    if options.existing is not None:
        path.write_bytes(options.existing.read_bytes())
    else:
        blank = VocabularyTokenizer("", "words", options.lower_case, options.split_punctuation)
        counts = Counter(word for row in rows for word in blank.normalise(row.text).split())
        unknown = counts.pop(UNKNOWN, 0) + counts.pop(END, 0)
        entries = [(word, count) for word, count in counts.most_common() if count >= options.min_count]
        entries = entries[: None if options.size is None else max(1, options.size - 2)]
        names, numbers = zip(*entries, strict=True)
        path.write_bytes(vocabulary_file([END, UNKNOWN, *names], [len(rows), unknown, *numbers]))
    if options.spelling:
        text = {"lower_case": options.lower_case, "split_punctuation": options.split_punctuation}
        return SpelledTokenizer(str(path), options.spelling, **text)
    return VocabularyTokenizer(str(path), "words", options.lower_case, options.split_punctuation)


def _write(path: Path, rows: list[Labelled], labels: list[str], tokenizer: LmTokenizer) -> float:
    metadata = {"vocabulary": tokenizer.fingerprint(), "labels": json.dumps(labels)}
    words_of, words, unknown = tokenizer.words_of(), 0.0, 0
    with TextTableWriter(path, ["tokens"], ["text", "label"], metadata) as writer:
        for row in rows:
            ids = tokenizer.encode(row.text)
            writer.write({"tokens": ids, "text": row.text, "label": row.label})
            words += sum(words_of[number] for number in ids)
            unknown += ids.count(tokenizer.unk_id)
    return unknown / max(1.0, words)
