"""Google Speech Commands (Warden, arXiv:1804.03209), by its official split: 30 words (V1), 35 (V2), or 12 classes."""

from __future__ import annotations

import hashlib
import math
import re
from pathlib import Path

from s2s_commands.prepare.clips import TEST, TRAIN, VALIDATION, Clip, Corpus, share_of
from s2s_core.data.audio_files import inspect_audio
from s2s_core.errors import UserError

COMMAND_WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
"""Section 6: the ten words of the 12-class task; the rest are ``unknown``."""
UNKNOWN, SILENCE = "unknown", "silence"
NOISE_FOLDER = "_background_noise_"
LISTS = {VALIDATION: "validation_list.txt", TEST: "testing_list.txt"}
EXTRA_SHARE = 0.1
"""Unknown and silent clips in validation and test, each over the number of command words (section 6: 10 %)."""
SILENCE_STRIDE = 2000
"""Samples between the training slices of noise, as in OpenSeq2Seq."""
SILENCE_PARTS = {TRAIN: (0.0, 0.8), VALIDATION: (0.8, 0.9), TEST: (0.9, 1.0)}
"""The part of each noise recording that a split's silence comes from."""

_HASHES = 2**27 - 1


def which_set(name: str, validation_percent: float = 10.0, test_percent: float = 10.0) -> str:
    """The official split of a file, by the hash of its speaker: the data set's README, section Partitioning.

    Args:
        name: a file name; folders and what follows ``_nohash_`` do not matter.
        validation_percent, test_percent: sizes of the splits.
    """
    speaker = re.sub(r"_nohash_.*$", "", Path(name).name)
    number = int(hashlib.sha1(speaker.encode(), usedforsecurity=False).hexdigest(), 16)
    percent = number % (_HASHES + 1) * (100.0 / _HASHES)
    if percent < validation_percent:
        return VALIDATION
    return TEST if percent < validation_percent + test_percent else TRAIN


def read_speech_commands(source: Path) -> Corpus:
    """Read every word folder; the lists decide the splits, or the hash where there are no lists.

    Raises:
        UserError: if there are no word folders with WAV files.
    """
    files = sorted(path for path in source.glob("[!_.]*/*.wav"))
    if not files:
        raise UserError(f"{source}: no WORD/*.wav in it, the layout of Google Speech Commands")
    corpus = Corpus()
    listed = _read_lists(source, corpus)
    for path in files:
        name = f"{path.parent.name}/{path.name}"
        split = listed.get(name, TRAIN) if listed else which_set(path.name)
        speaker = re.sub(r"_nohash_.*$", "", path.stem)
        corpus.clips.append(Clip(split, name.removesuffix(".wav"), path, path.parent.name, speaker))
    return corpus


def _read_lists(source: Path, corpus: Corpus) -> dict[str, str]:
    listed: dict[str, str] = {}
    for split, file in LISTS.items():
        if not (source / file).is_file():
            corpus.notes.append(f"{file}: no such file, its clips are found by the hash of their names")
            return {}
        names = (source / file).read_text(encoding="utf-8").split()
        listed.update(dict.fromkeys(names, split))
        absent = [name for name in names if not (source / name).is_file()]
        if absent:
            corpus.notes.append(f"{file}: {len(absent)} of its {len(names)} files are absent, the first is {absent[0]}")
    return listed


def read_twelve_classes(source: Path) -> Corpus:
    """Read the 12-class task: ten commands, ``unknown`` and ``silence``.

    Training gets all other words as unknown and overlapping slices of the noise recordings as silence; balanced
    sampling evens them out. Validation and test get a tenth of the commands' number of each, as in the paper, chosen
    once and for all by the hash of their names. The three splits' silence comes from different parts of the
    recordings; the original drew it from all over.

    Raises:
        UserError: as `read_speech_commands`, or if there are no noise recordings to make silence of.
    """
    words = read_speech_commands(source)
    noises = sorted((source / NOISE_FOLDER).glob("*.wav"))
    if not noises:
        raise UserError(f"{source / NOISE_FOLDER}: no recordings of noise, of which the class 'silence' is made")
    corpus = Corpus(notes=words.notes)
    for split in (TRAIN, VALIDATION, TEST):
        here = [clip for clip in words.clips if clip.split == split]
        commands = [clip for clip in here if clip.label in COMMAND_WORDS]
        others = sorted((clip for clip in here if clip.label not in COMMAND_WORDS), key=lambda c: share_of(c.name))
        extra = None if split == TRAIN else math.ceil(EXTRA_SHARE * len(commands))
        unknown = [Clip(split, c.name, c.audio, UNKNOWN, c.speaker) for c in others[:extra]]
        silence = [clip for path in noises for clip in _slices(path, split)]
        if extra is not None:
            silence = sorted(silence, key=lambda c: share_of(c.name))[:extra]
        corpus.clips += [*commands, *unknown, *silence]
    return corpus


def _slices(path: Path, split: str) -> list[Clip]:
    audio = inspect_audio(path, decode=False)
    rate = audio.sample_rate_hz
    low, high = (int(part * audio.samples) for part in SILENCE_PARTS[split])
    starts = range(low, high - rate + 1, SILENCE_STRIDE)
    return [Clip(split, f"{SILENCE}/{path.stem}-{start}", path, SILENCE, None, start / rate, 1.0) for start in starts]
