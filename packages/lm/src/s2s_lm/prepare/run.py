"""From text on disk to tokenised files: read, learn a vocabulary, tokenise, write, sum up."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from s2s_core.data.output_folder import SUMMARY_FILE, all_or_nothing, check_free
from s2s_core.data.text import TextTableWriter
from s2s_core.errors import UserError
from s2s_core.text.sentences import BOS_ID, EOS_ID, PAD_ID, UNK_ID
from s2s_lm.prepare.sources import BadLine, Rows, group_rows, read_lines
from s2s_lm.tokenizers import END, UNKNOWN, LmTokenizer, SubwordLmTokenizer, Unit, VocabularyTokenizer, vocabulary_file

VOCABULARY_FILE, MODEL_FILE, REJECTED_FILE = "vocab.txt", "tokenizer.model", "rejected.tsv"
SENTENCEPIECE_LINES = 2_000_000


@dataclass(frozen=True)
class VocabularyOptions:
    """What text is cut into."""

    unit: Unit = "words"
    size: int | None = None
    """The most entries; of subwords, how many pieces."""
    min_count: int = 1
    """Rarer words are unknown. OpenSeq2Seq kept those seen 3 times in WikiText's raw text."""
    lower_case: bool = False
    existing: Path | None = None
    """A vocabulary to use instead of learning one."""


@dataclass(frozen=True)
class PrepareOptions:
    """How to read a corpus."""

    vocabulary: VocabularyOptions
    rows: Rows = "line"
    hold_out: float = 0.0
    """Share of the training rows, the last ones, that become the validation split where there is none."""
    drop_empty: bool = False
    overwrite: bool = False


@dataclass
class SplitSummary:
    """Figures of one split."""

    rows: int = 0
    lines: int = 0
    tokens: int = 0
    """Ends of lines included."""
    unknown: int = 0


@dataclass
class Summary:
    """Figures of a whole run; plain data, as ``summary.json`` holds it."""

    unit: str = ""
    vocabulary: int = 0
    splits: dict[str, SplitSummary] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """A table for a person."""
        rows = [["split", "rows", "lines", "tokens", "unknown"]]
        for name, split in self.splits.items():
            share = f"{100 * split.unknown / max(1, split.tokens):.2f} %"
            rows.append([name, f"{split.rows:,}", f"{split.lines:,}", f"{split.tokens:,}", share])
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        table.append(f"vocabulary: {self.vocabulary:,} {self.unit}")
        if self.rejected:
            reasons = ", ".join(f"{count} {reason}" for reason, count in self.rejected.items())
            table.append(f"left out: {reasons}; see {REJECTED_FILE}")
        return table


def prepare_text(splits: dict[str, list[Path]], output: Path, options: PrepareOptions) -> Summary:
    """Write ``SPLIT.arrow``, the vocabulary and ``summary.json`` to ``output``.

    Raises:
        UserError: for everything that is the user's to mend.
    """
    if "train" not in splits and options.vocabulary.existing is None:
        raise UserError("prepare: no training text to learn a vocabulary from; name it, or give --vocabulary FILE")
    check_free(output, options.overwrite)
    with all_or_nothing(output, options.overwrite) as folder:
        tokenizer = _tokenizer(splits, folder, options)
        summary = Summary(tokenizer.unit, tokenizer.vocab_size)
        rejected: list[BadLine] = []
        for split, (files, share) in _portions(splits, options).items():
            rows = _rows(files, options, rejected)
            _write(folder, split, islice(rows, *share), tokenizer, summary)
        if rejected:
            # a line of several portions of a file is read, and found bad, more than once
            lines = dict.fromkeys(f"{bad.where}\t{bad.reason}\t{bad.detail}\n" for bad in rejected)
            (folder / REJECTED_FILE).write_text("".join(lines), encoding="utf-8")
            summary.rejected = dict(Counter(line.split("\t")[1] for line in lines))
        summary.files = sorted(path.name for path in folder.iterdir())
        (folder / SUMMARY_FILE).write_text(json.dumps(asdict(summary), indent=1) + "\n", encoding="utf-8")
    return summary


def _portions(
    splits: dict[str, list[Path]], options: PrepareOptions
) -> dict[str, tuple[list[Path], tuple[int, int | None]]]:
    """The files of each split and which of their rows."""
    whole: dict[str, tuple[list[Path], tuple[int, int | None]]] = {s: (files, (0, None)) for s, files in splits.items()}
    if "validation" in splits or not options.hold_out or "train" not in splits:
        return whole
    count = sum(1 for _ in _rows(splits["train"], options, []))
    kept = min(count - 1, round(count * (1 - options.hold_out)))
    if kept < 1:
        raise UserError(f"prepare: {count} rows of training text are too few to hold some out")
    return {**whole, "train": (splits["train"], (0, kept)), "validation": (splits["train"], (kept, None))}


def _rows(files: list[Path], options: PrepareOptions, rejected: list[BadLine]) -> Iterator[list[str]]:
    for path in files:
        for row in group_rows(read_lines(path), options.rows):
            if isinstance(row, BadLine):
                rejected.append(row)
                continue
            lines = [line for line in row if line.strip()] if options.drop_empty else row
            if lines:
                yield lines


def _tokenizer(splits: dict[str, list[Path]], folder: Path, options: PrepareOptions) -> LmTokenizer:
    wanted = options.vocabulary
    name = MODEL_FILE if wanted.unit == "subwords" else VOCABULARY_FILE
    if wanted.existing is not None:
        if not wanted.existing.is_file():
            raise UserError(f"--vocabulary {wanted.existing}: no such file")
        (folder / name).write_bytes(wanted.existing.read_bytes())
    else:
        files, share = _portions(splits, options)["train"]
        rows = islice(_rows(files, options, []), *share)
        lines = (line for row in rows for line in row)
        lines = _with_words(lines, ", ".join(map(str, files)))
        (folder / name).write_bytes(_learn_subwords(lines, wanted) if name == MODEL_FILE else _count(lines, wanted))
    if wanted.unit == "subwords":
        return SubwordLmTokenizer(str(folder / name))
    return VocabularyTokenizer(str(folder / name), wanted.unit, wanted.lower_case)


def _with_words(lines: Iterator[str], source: str) -> Iterator[str]:
    """The same lines; raises UserError if all are empty."""
    begin: list[str] = []
    for line in lines:
        begin.append(line)
        if line.strip():
            return chain(begin, lines)
    raise UserError(f"{source}: holds no words, expected text to learn a vocabulary from")


def _count(lines: Iterator[str], wanted: VocabularyOptions) -> bytes:
    assert wanted.unit != "subwords"
    blank = VocabularyTokenizer("", wanted.unit, wanted.lower_case)
    counts: Counter[str] = Counter()
    ends = 0
    for line in tqdm(lines, "counting", unit=" lines", leave=False):
        text = blank.normalise(line)
        counts.update(text.split() if wanted.unit == "words" else text)
        ends += 1
    unknown = counts.pop(UNKNOWN, 0) + counts.pop(END, 0)
    # equal counts in the order of the text: the same on every machine
    entries = [(entry, count) for entry, count in counts.most_common(wanted.size) if count >= wanted.min_count]
    if wanted.size is not None:
        entries = entries[: max(0, wanted.size - 2)]
    if not entries:
        small = wanted.size is not None and wanted.size <= 2
        option = f"--vocabulary-size {wanted.size}" if small else f"--min-count {wanted.min_count}"
        raise UserError(f"{option}: no {wanted.unit} are left for a vocabulary")
    unknown += sum(counts.values()) - sum(count for _, count in entries)
    names, numbers = zip(*entries, strict=True)
    return vocabulary_file([END, UNKNOWN, *names], [ends, unknown, *numbers])


def _learn_subwords(lines: Iterator[str], wanted: VocabularyOptions) -> bytes:
    import sentencepiece

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(line for line in lines if line.strip()),
            model_writer=model,
            model_type="unigram",
            vocab_size=wanted.size or 8000,
            character_coverage=1.0,
            normalization_rule_name="nfkc_cf" if wanted.lower_case else "nfkc",
            input_sentence_size=SENTENCEPIECE_LINES,
            shuffle_input_sentence=True,
            pad_id=PAD_ID,
            bos_id=BOS_ID,
            eos_id=EOS_ID,
            unk_id=UNK_ID,
            minloglevel=2,
        )
    except RuntimeError as error:
        reason = " ".join(str(error).split()).rpartition("] ")[2]
        raise UserError(f"--vocabulary-size {wanted.size or 8000}: {reason}") from None
    return model.getvalue()


def _write(folder: Path, split: str, rows: Iterator[list[str]], tokenizer: LmTokenizer, summary: Summary) -> None:
    figures = summary.splits[split] = SplitSummary()
    metadata = {"vocabulary": tokenizer.fingerprint(), "unit": tokenizer.unit}
    with TextTableWriter(folder / f"{split}.arrow", ["tokens"], [], metadata) as writer:
        for row in tqdm(rows, f"tokenising {split}", unit=" rows", leave=False):
            ids: list[int] = []
            for line in row:
                ids += tokenizer.encode(line)
                ids.append(tokenizer.eos_id)
            writer.write(_row(ids))
            figures.rows += 1
            figures.lines += len(row)
            figures.tokens += len(ids)
            figures.unknown += ids.count(tokenizer.unk_id)


def _row(ids: list[int]) -> dict[str, Any]:
    return {"tokens": ids}
