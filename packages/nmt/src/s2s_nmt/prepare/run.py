"""From parallel text on disk to tokenised files: read, check, learn a vocabulary, tokenise, write, sum up."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from s2s_core.data.output_folder import SUMMARY_FILE, all_or_nothing, check_free
from s2s_core.data.text import TextTableWriter
from s2s_core.errors import UserError
from s2s_core.text.sentences import UNK_ID, SentenceTokenizer, SubwordTokenizer
from s2s_nmt.prepare.checks import CheckOptions, Pair, Rejected, check_lines, count_words
from s2s_nmt.prepare.sources import Source
from s2s_nmt.prepare.summary import SplitSummary, Summary
from s2s_nmt.prepare.vocabulary import VocabularyOptions, train_sentencepiece

REJECTED_FILE = "rejected.tsv"
JOINT_FILE = "vocabulary.model"
SIDE_FILES = {"source": "source.model", "target": "target.model"}

Pairs = Iterable[Pair | Rejected]


@dataclass(frozen=True)
class PrepareOptions:
    """What `prepare_parallel` does besides reading."""

    checks: CheckOptions = field(default_factory=CheckOptions)
    vocabulary: VocabularyOptions = field(default_factory=VocabularyOptions)
    hold_out: int = 0
    """Pairs of ``train`` that become ``validation``, evenly spread."""
    overwrite: bool = False


def prepare_parallel(sources: list[Source], output: Path, options: PrepareOptions) -> Summary:
    """Turn parallel text into tokenised files in ``output``, in memory that does not grow with the corpus.

    Args:
        sources: the splits.
        output: gets ``SPLIT.arrow``, the vocabulary, ``rejected.tsv`` and ``summary.json``, all at once or, after an
            error, not at all.
        options: the rest.

    Raises:
        UserError: if a file cannot be read, or none of a split's pairs is good.
    """
    check_free(output, options.overwrite)

    def split_pairs(source: Source) -> Pairs:
        return check_lines(source, options.checks)

    with all_or_nothing(output, options.overwrite) as scratch:
        tokenizers, names = _vocabularies(sources, scratch, options.vocabulary)
        splits = {source.split: split_pairs(source) for source in sources}
        if options.hold_out:
            splits = _held_out(splits, sources, options)
        summary = write_splits(splits, tokenizers, scratch)
        summary.vocabularies = {name: tokenizer.vocab_size for name, tokenizer in zip(names, tokenizers, strict=False)}
        summary.files += names
        write_summary(scratch, summary)
    return summary


def _held_out(splits: dict[str, Pairs], sources: list[Source], options: PrepareOptions) -> dict[str, Pairs]:
    train = next((source for source in sources if source.split == "train"), None)
    if train is None or "validation" in splits:
        raise UserError("--holdout: there is no train split, or a validation split already")
    count = sum(isinstance(pair, Pair) for pair in check_lines(train, options.checks))
    if options.hold_out >= count:
        raise UserError(f"--holdout {options.hold_out}: train has {count} good pairs")
    chosen = {number * count // options.hold_out for number in range(options.hold_out)}

    def part(held: bool) -> Iterator[Pair | Rejected]:
        number = 0
        for pair in check_lines(train, options.checks):
            if isinstance(pair, Rejected):
                if not held:  # told once
                    yield pair
                continue
            if (number in chosen) == held:
                yield pair
            number += 1

    return {**splits, "train": part(held=False), "validation": part(held=True)}


def _vocabularies(
    sources: list[Source], folder: Path, options: VocabularyOptions
) -> tuple[list[SentenceTokenizer], list[str]]:
    """Tokenizers of source and target, and the names of their files."""
    for source in sources:  # before anything is learnt from them
        pairs = check_lines(source, CheckOptions())
        first = next(iter(pairs), None)
        if not isinstance(first, Pair) and not any(isinstance(pair, Pair) for pair in pairs):
            raise _none_good(source.split, first)
    if options.existing is not None:
        if not options.existing.is_file():
            raise UserError(f"--vocabulary {options.existing}: no such file")
        shutil.copyfile(options.existing, folder / JOINT_FILE)
    elif options.separate:
        for side, name in SIDE_FILES.items():
            train_sentencepiece(_texts(sources, (side,)), options, folder / name)
        return [SubwordTokenizer(str(folder / name)) for name in SIDE_FILES.values()], list(SIDE_FILES.values())
    else:
        train_sentencepiece(_texts(sources, ("source", "target")), options, folder / JOINT_FILE)
    return [SubwordTokenizer(str(folder / JOINT_FILE))] * 2, [JOINT_FILE]


def _texts(sources: list[Source], sides: tuple[str, ...]) -> Iterator[str]:
    train = [source for source in sources if source.split == "train"] or sources
    for source in train:
        for line in tqdm(check_lines(source, CheckOptions()), desc="vocabulary", unit=" pairs", disable=None):
            if isinstance(line, Pair):
                yield from (getattr(line, side) for side in sides)


def write_splits(splits: dict[str, Pairs], tokenizers: list[SentenceTokenizer], folder: Path) -> Summary:
    """Tokenise and write every split into ``folder``, with `REJECTED_FILE`.

    Raises:
        UserError: if none of a split's pairs is good.
    """
    summary = Summary(files=[REJECTED_FILE])
    reasons: Counter[str] = Counter()
    fingerprints = {side: tokenizer.fingerprint() for side, tokenizer in zip(SIDE_FILES, tokenizers, strict=True)}
    with ExitStack() as stack:
        rejected = stack.enter_context((folder / REJECTED_FILE).open("w", encoding="utf-8", errors="backslashreplace"))
        rejected.write("where\treason\tdetail\n")
        for split, pairs in splits.items():
            name = f"{split}.arrow"
            columns = (["source_tokens", "target_tokens"], ["id", "source", "target"])
            with TextTableWriter(folder / name, *columns, fingerprints) as writer:
                summary.splits[split] = _write_split(split, pairs, tokenizers, writer.write, rejected, reasons)
            summary.files.append(name)
    summary.rejected = dict(reasons.most_common())
    return summary


def _write_split(
    split: str,
    pairs: Pairs,
    tokenizers: list[SentenceTokenizer],
    write: Callable[[dict[str, object]], None],
    rejected: TextIO,
    reasons: Counter[str],
) -> SplitSummary:
    figures, first = SplitSummary(), None
    for pair in tqdm(pairs, desc=split, unit=" pairs", disable=None):
        if isinstance(pair, Rejected):
            first = first or pair
            reasons[pair.reason] += pair.lines
            rejected.write("\t".join(" ".join(cell.split()) for cell in (pair.where, pair.reason, pair.detail)) + "\n")
            continue
        source, target = tokenizers[0].encode(pair.source), tokenizers[1].encode(pair.target)
        write({**asdict(pair), "source_tokens": source, "target_tokens": target})
        figures.pairs += 1
        figures.source_words += count_words(pair.source)
        figures.target_words += count_words(pair.target)
        figures.source_tokens += len(source)
        figures.target_tokens += len(target)
        figures.longest = max(figures.longest, len(source), len(target))
        figures.unknown += source.count(UNK_ID) + target.count(UNK_ID)
    if not figures.pairs:
        raise _none_good(split, first)
    return figures


def _none_good(split: str, first: object) -> UserError:
    why = f"; the first: {first.where}: {first.reason}: {first.detail}" if isinstance(first, Rejected) else ""
    return UserError(f"{split}: none of the pairs is good{why}")


def write_summary(folder: Path, summary: Summary) -> None:
    """Write the figures as JSON."""
    (folder / SUMMARY_FILE).write_text(
        json.dumps(asdict(summary), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
