"""From a corpus of sounds to manifests: read, check, write, sum up."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tqdm import tqdm

from s2s_commands.prepare.clips import Clip, Corpus
from s2s_commands.prepare.folders import read_folders, read_fsdd, read_tables
from s2s_commands.prepare.speech_commands import read_speech_commands, read_twelve_classes
from s2s_core.data.audio_files import AudioInfo, inspect_audio
from s2s_core.data.manifests import SUMMARY_FILE, all_or_nothing, check_free, recording_cut, write_cuts
from s2s_core.errors import UserError

REJECTED_FILE = "rejected.tsv"
READERS: dict[str, Callable[[Path], Corpus]] = {
    "speech-commands": read_speech_commands,
    "speech-commands-12": read_twelve_classes,
    "fsdd": read_fsdd,
    "folders": read_folders,
    "csv": read_tables,
}


@dataclass(frozen=True)
class SoundSummary:
    """What came of it, in figures."""

    splits: dict[str, dict[str, int]]
    """Clips of each class of each split."""
    rejected: int
    notes: list[str]
    files: list[str]

    def lines(self) -> list[str]:
        """For a person."""
        lines = []
        for split, classes in self.splits.items():
            fewest, most = min(classes.values()), max(classes.values())
            each = f"{fewest}" if fewest == most else f"{fewest} to {most}"
            lines.append(f"{split:<10} {sum(classes.values()):>6} clips of {len(classes)} classes, {each} of each")
        lines += self.notes
        return [*lines, f"left out: {self.rejected}; see {REJECTED_FILE}"] if self.rejected else lines


def prepare_sounds(
    corpus: str, source: Path | None, output: Path, jobs: int = 1, overwrite: bool = False, seed: int = 0
) -> SoundSummary:
    """Turn a corpus into Lhotse manifests ``SPLIT.jsonl.gz`` whose supervisions' text is the label.

    Every recording is decoded; those that cannot be are listed in ``rejected.tsv`` and left out.

    Args:
        corpus: ``speech-commands``, ``speech-commands-12``, ``fsdd``, ``folders``, ``csv`` or ``synthetic``.
        source: the corpus; None for ``synthetic`` only.
        output: gets the manifests and ``summary.json``, all at once or, after an error, not at all.
        jobs: files to be checked at a time.
        overwrite: replace manifests that are there.
        seed: for synthetic speech.

    Raises:
        UserError: if the corpus is not where or what it should be, or nothing of it is good.
    """
    check_free(output, overwrite)
    found = _read(corpus, source, output, seed)
    _check_names(found.clips)
    kept: dict[str, list[tuple[Clip, AudioInfo]]] = {}
    rejected: list[tuple[Clip, str]] = []
    for clip, result in zip(found.clips, _inspected(found.clips, jobs), strict=True):
        if isinstance(result, str):
            rejected.append((clip, result))
        else:
            kept.setdefault(clip.split, []).append((clip, result))
    if not kept:
        first = rejected[0][1] if rejected else "there are none"
        raise UserError(f"{source or output}: none of the {len(found.clips)} clips is good: {first}")
    return _write(output, overwrite, kept, rejected, found.notes)


def _read(corpus: str, source: Path | None, output: Path, seed: int) -> Corpus:
    if corpus == "synthetic":
        from s2s_commands.prepare.spoken import write_spoken_commands

        return write_spoken_commands(output / "audio", seed=seed)
    if source is None or not source.exists():
        raise UserError(f"--input {source}: no such folder" if source else f"--input: {corpus} needs its folder")
    if corpus != "csv" and not source.is_dir():
        raise UserError(f"--input {source}: not a folder; {corpus} is one")
    return READERS[corpus](source)


def _check_names(clips: Sequence[Clip]) -> None:
    (most,) = Counter((clip.split, clip.name) for clip in clips).most_common(1)
    if most[1] > 1:
        raise UserError(f"{most[0][1]}: named {most[1]} times in split {most[0][0]}")


def _inspected(clips: Sequence[Clip], jobs: int) -> list[AudioInfo | str]:
    decoded = lru_cache(maxsize=64)(_inspect)  # many slices share a recording
    with ThreadPoolExecutor(max(1, jobs)) as pool:  # libsndfile decodes outside the interpreter's lock
        results = pool.map(decoded, [clip.audio for clip in clips])
        return list(tqdm(results, total=len(clips), unit=" clips", desc="checking", disable=None))


def _inspect(path: Path) -> AudioInfo | str:
    try:
        return inspect_audio(path)
    except UserError as error:
        return str(error)


def _write(
    output: Path,
    overwrite: bool,
    kept: dict[str, list[tuple[Clip, AudioInfo]]],
    rejected: list[tuple[Clip, str]],
    notes: list[str],
) -> SoundSummary:
    files = [f"{split}.jsonl.gz" for split in kept]
    counts = {split: dict(sorted(Counter(clip.label for clip, _ in rows).items())) for split, rows in kept.items()}
    summary = SoundSummary(counts, len(rejected), notes, [*files, REJECTED_FILE])
    with all_or_nothing(output, overwrite) as folder:
        for name, rows in zip(files, kept.values(), strict=True):
            cuts = (
                recording_cut(c.name, c.audio, audio, c.label, c.speaker, c.start_s, c.duration_s) for c, audio in rows
            )
            write_cuts(folder / name, cuts, output)
        lines = [f"{clip.split}\t{clip.name}\t{' '.join(reason.split())}" for clip, reason in rejected]
        (folder / REJECTED_FILE).write_text("\n".join(["split\tid\treason", *lines]) + "\n", encoding="utf-8")
        (folder / SUMMARY_FILE).write_text(json.dumps(vars(summary), indent=2) + "\n", encoding="utf-8")
    return summary
