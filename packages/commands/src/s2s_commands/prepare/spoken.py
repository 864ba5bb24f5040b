"""Speech commands made from nothing: ten words, spoken by eSpeak NG in many voices."""

from __future__ import annotations

from pathlib import Path

from s2s_commands.prepare.clips import Clip, Corpus
from s2s_commands.prepare.speech_commands import COMMAND_WORDS
from s2s_core.data.synthetic import write_spoken_words


def write_spoken_commands(folder: Path, seed: int = 0, train: int = 60, validation: int = 10, test: int = 20) -> Corpus:
    """Write WAV files of the ten commands into ``folder`` and return them as a corpus; no two splits share a voice.

    Args:
        folder: made where it is missing.
        seed: of voices, speeds and pitches.
        train, validation, test: recordings of each word.

    Raises:
        UserError: if the package espeakng-loader is not installed.
    """
    spoken = write_spoken_words(folder, COMMAND_WORDS, seed=seed, train=train, validation=validation, test=test)
    return Corpus(
        [
            Clip(split, f"{clip.text}-{clip.path.stem}", clip.path, clip.text, clip.speaker)
            for split, clips in spoken.items()
            for clip in clips
        ]
    )
