"""Spoken toy corpora with no download: sentences of a small grammar, spoken by eSpeak NG in many voices."""

from __future__ import annotations

import csv
import math
import random
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from s2s_core.audio.espeak import EspeakVoice, synthesize_all

_VERBS = ("bring", "carry", "find", "hide", "move", "throw")
_COLOURS = ("black", "blue", "brown", "green", "red", "white", "yellow")
_THINGS = ("book", "bottle", "box", "chair", "lamp", "ticket")
_PREPOSITIONS = ("from", "into", "to", "under")
_PLACES = ("bridge", "garden", "house", "kitchen", "station", "window")
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_DIRECTIONS = ("back", "down", "left", "north", "right", "south")
_UNITS = ("hours", "minutes", "steps")

VOCABULARY: tuple[str, ...] = tuple(
    sorted(
        {*_VERBS, *_COLOURS, *_THINGS, *_PREPOSITIONS, *_PLACES, *_DIGITS, *_DIRECTIONS, *_UNITS}
        | {"a", "and", "call", "for", "go", "in", "number", "please", "the", "turn"}
    )
)
"""Every word that a sentence may hold."""

# Timbres without clipping, whisper or heavy echo; no two of different splits are settings of one another.
TRAIN_VARIANTS: tuple[str, ...] = (
    *("Alex", "Andy", "Annie", "Denis", "Diogo", "Lee", "Mario", "Mike", "RicishayMax", "adam", "aunty", "belinda"),
    *("boris", "edward2", "f1", "f2", "f3", "f5", "fast", "grandma", "iven4", "Alicia", "m1", "m2", "m4", "m5", "m6"),
    *("m8", "marcelo", "quincy", "rob", "shelby", "travis", "victor"),
)
VALIDATION_VARIANTS: tuple[str, ...] = ("Michael", "linda", "m3", "steph")
TEST_VARIANTS: tuple[str, ...] = ("m7", "f4", "robert", "michel", "grandpa", "anika")
# What voices drawn at random have; of the accents, those given more often are drawn more often.
ACCENTS = ("en-us", "en-us", "en-us", "en", "en-gb-x-rp")
PITCHES = (30, 70)
"""Lowest and highest."""
_RATE_WPM = (130, 200)


@dataclass(frozen=True)
class SpokenUtterance:
    """A recording of a synthetic corpus."""

    path: Path
    """A 16-bit mono WAV file."""
    text: str
    """Lower case, words separated by one space."""
    speaker: str
    """The timbre, such as ``m3``; no speaker is in two splits."""
    duration_s: float


def write_spoken_corpus(
    output_dir: Path | str,
    *,
    seed: int = 0,
    train: int = 900,
    validation: int = 60,
    test: int = 120,
    sample_rate_hz: int = 16000,
    voice: EspeakVoice | None = None,
) -> dict[str, list[SpokenUtterance]]:
    """Write ``train``, ``validation`` and ``test`` utterances that share neither sentences nor, by default, voices.

    Makes ``output_dir/SPLIT/NNNNN.wav`` and ``output_dir/SPLIT.csv`` with the columns
    ``wav_filename,wav_filesize,transcript,speaker``: OpenSeq2Seq's layout and a speaker. File names are relative to
    the CSV. An utterance lasts about 2.4 s. The same arguments give the same bytes.

    Args:
        output_dir: made where it is missing; files of the same names are overwritten.
        seed: of the sentences, voices, speeds and pitches.
        train, validation, test: the numbers of utterances.
        sample_rate_hz: of the recordings.
        voice: speaks all of it; drawn for each utterance if None.

    Raises:
        UserError: if the package espeakng-loader is not installed.
        ValueError: if the grammar has not that many sentences.
    """
    counts = {"train": train, "validation": validation, "test": test}
    timbres = {"train": TRAIN_VARIANTS, "validation": VALIDATION_VARIANTS, "test": TEST_VARIANTS}
    rng = random.Random(seed)
    sentences = iter(_distinct_sentences(rng, sum(counts.values())))
    plan = [
        (split, index, next(sentences), voice or _voice(rng, timbres[split][index % len(timbres[split])]))
        for split, count in counts.items()
        for index in range(count)
    ]
    recordings = _recordings([(text, voice) for _, _, text, voice in plan], sample_rate_hz)
    corpus: dict[str, list[SpokenUtterance]] = {split: [] for split in counts}
    for (split, index, text, speaker), samples in zip(plan, recordings, strict=True):
        path = Path(output_dir) / split / f"{index:05d}.wav"
        _write_wav(path, samples, sample_rate_hz)
        corpus[split].append(SpokenUtterance(path, text, speaker.variant, len(samples) / sample_rate_hz))
    for split, utterances in corpus.items():
        _write_csv(Path(output_dir) / f"{split}.csv", utterances)
    return corpus


def write_spoken_words(
    output_dir: Path | str,
    words: Sequence[str],
    *,
    seed: int = 0,
    train: int = 60,
    validation: int = 10,
    test: int = 20,
    sample_rate_hz: int = 16000,
) -> dict[str, list[SpokenUtterance]]:
    """Write single words, ``train``, ``validation`` and ``test`` times each, in voices that no two splits share.

    Makes ``output_dir/SPLIT/WORD/NNN.wav``. The same arguments give the same bytes.

    Args:
        output_dir: made where it is missing; files of the same names are overwritten.
        words: what is said.
        seed: of the voices, speeds and pitches.
        train, validation, test: recordings of each word.
        sample_rate_hz: of the recordings.

    Raises:
        UserError: if the package espeakng-loader is not installed.
    """
    splits = {
        "train": (train, TRAIN_VARIANTS),
        "validation": (validation, VALIDATION_VARIANTS),
        "test": (test, TEST_VARIANTS),
    }
    rng = random.Random(seed)
    plan = [
        (split, index, word, _voice(rng, timbres[index % len(timbres)]))
        for split, (count, timbres) in splits.items()
        for word in words
        for index in range(count)
    ]
    recordings = _recordings([(word, voice) for _, _, word, voice in plan], sample_rate_hz)
    corpus: dict[str, list[SpokenUtterance]] = {split: [] for split in splits}
    for (split, index, word, voice), samples in zip(plan, recordings, strict=True):
        path = Path(output_dir) / split / word / f"{index:03d}.wav"
        _write_wav(path, samples, sample_rate_hz)
        corpus[split].append(SpokenUtterance(path, word, voice.variant, len(samples) / sample_rate_hz))
    return corpus


def _distinct_sentences(rng: random.Random, count: int) -> list[str]:
    sentences: dict[str, None] = {}
    for _ in range(20 * count + 100):
        if len(sentences) == count:
            return list(sentences)
        sentences[_sentence(rng)] = None
    raise ValueError(f"the grammar gives about {len(sentences)} distinct sentences, {count} were asked for")


def _sentence(rng: random.Random) -> str:
    def pick(words: Sequence[str]) -> str:
        return rng.choice(words)

    kind = rng.randrange(5)
    if kind == 0:
        return f"{pick(_VERBS)} the {pick(_COLOURS)} {pick(_THINGS)} {pick(_PREPOSITIONS)} the {pick(_PLACES)}"
    if kind == 1:
        return f"call number {' '.join(rng.choices(_DIGITS, k=rng.randint(3, 5)))}"
    if kind == 2:
        walk = f"go {pick(_DIRECTIONS)} for {pick(_DIGITS[2:])} {pick(_UNITS)}"
        return f"{walk} and turn {pick(_DIRECTIONS)}"
    if kind == 3:
        return f"please {pick(_VERBS)} {pick(_THINGS)} number {pick(_DIGITS)} {pick(_PREPOSITIONS)} the {pick(_PLACES)}"
    return f"a {pick(_COLOURS)} {pick(_THINGS)} and a {pick(_COLOURS)} {pick(_THINGS)} in the {pick(_PLACES)}"


def _voice(rng: random.Random, variant: str) -> EspeakVoice:
    return EspeakVoice(rng.choice(ACCENTS), variant, rng.randint(*_RATE_WPM), rng.randint(*PITCHES))


def _recordings(utterances: Sequence[tuple[str, EspeakVoice]], sample_rate_hz: int) -> Iterator[np.ndarray]:
    for samples, native_rate_hz in synthesize_all(utterances):
        yield resampled(samples, native_rate_hz, sample_rate_hz)


def resampled(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Samples ``(time,)`` at another rate: the same bytes on every machine, and no torch to import."""
    # In the frequency domain, without torch: its threads add up in another order on another machine, and then
    # the files would differ. The silence around speech makes the transform's wrap-around harmless.
    divisor = math.gcd(from_hz, to_hz)
    block = from_hz // divisor
    padded = -(-len(samples) // block) * block
    length = padded // block * (to_hz // divisor)
    spectrum = np.fft.rfft(samples.astype(np.float64), padded)[: length // 2 + 1]
    resampled = np.fft.irfft(spectrum, length) * (length / padded)
    return resampled[: math.ceil(len(samples) * to_hz / from_hz)].astype(np.float32)


def _write_wav(path: Path, samples: np.ndarray, sample_rate_hz: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate_hz)
        file.writeframes((samples * 32767).round().clip(-32768, 32767).astype("<i2").tobytes())


def _write_csv(path: Path, utterances: Sequence[SpokenUtterance]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["wav_filename", "wav_filesize", "transcript", "speaker"])
        for utterance in utterances:
            name = utterance.path.relative_to(path.parent).as_posix()
            rows.writerow([name, utterance.path.stat().st_size, utterance.text, utterance.speaker])
