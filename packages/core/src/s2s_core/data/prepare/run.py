"""The steps of preparing a corpus of speech that do not depend on what it is prepared for: find, read, check."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from s2s_core.data.prepare.checks import CheckOptions, Utterance, check_rows
from s2s_core.data.prepare.recipes import read_lhotse_recipe
from s2s_core.data.prepare.rows import Rejected, Row
from s2s_core.data.prepare.summary import Summary, count_reasons, summarise_split
from s2s_core.data.prepare.tables import read_csv_corpus
from s2s_core.errors import UserError

Reader = Callable[[Path], Iterable[Row | Rejected]]


def read_rows(
    corpus: str, source: Path | None, audio_root: Path | None, readers: Mapping[str, Reader]
) -> Iterable[Row | Rejected]:
    """The rows of a corpus.

    Args:
        corpus: ``csv``, ``lhotse:NAME`` or a key of ``readers``.
        source: where it lies.
        audio_root: what a table's relative file names are relative to.
        readers: of corpora that are folders.

    Raises:
        UserError: if it is not where it should be.
    """
    if source is None:
        raise UserError(f"--input: {corpus} needs the folder of the corpus")
    if not source.exists():
        raise UserError(f"{source}: no such folder")
    if corpus.startswith("lhotse:"):
        return read_lhotse_recipe(corpus.removeprefix("lhotse:"), source)
    if corpus == "csv":
        return read_csv_corpus(source, audio_root)
    if not source.is_dir():
        raise UserError(f"{source}: not a folder; {corpus} is one")
    return readers[corpus](source)


def split_rows(
    rows: Sequence[Row | Rejected], checks: CheckOptions, jobs: int, source: Path
) -> tuple[dict[str, list[Utterance]], list[Rejected]]:
    """Check rows, under a progress bar: the good ones by split, and the others.

    Raises:
        UserError: if none is good.
    """
    splits: dict[str, list[Utterance]] = defaultdict(list)
    rejected: list[Rejected] = []
    checked = check_rows(rows, checks, jobs)
    for result in tqdm(checked, total=len(rows), unit=" rows", desc="checking", disable=None):
        if isinstance(result, Rejected):
            rejected.append(result)
        else:
            splits[result.row.split].append(result)
    if not splits:
        raise UserError(_nothing_left(source, rejected))
    return splits, rejected


def summarise(splits: Mapping[str, list[Utterance]], rejected: Sequence[Rejected]) -> Summary:
    """What there is of each split, and why rows were rejected; no files yet."""
    return Summary(
        splits={split: summarise_split(utterances) for split, utterances in splits.items()},
        rejected=count_reasons(rejected),
    )


def _nothing_left(source: Path, rejected: Sequence[Rejected]) -> str:
    if not rejected:
        return f"{source}: the corpus has no rows"
    first = rejected[0]
    return (
        f"{source}: none of the {len(rejected)} rows is good; the first: {first.where}: {first.reason}: {first.detail}"
    )
