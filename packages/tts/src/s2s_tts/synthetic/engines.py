"""What speaks the lines of a manifest: eSpeak NG, or a trained model."""

from __future__ import annotations

import os
import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from s2s_core.audio.espeak import EspeakVoice, synthesize, variants, voices, warm_up
from s2s_core.data.synthetic import TRAIN_VARIANTS
from s2s_core.errors import UserError

NORMAL_RATE_WPM = 170
_SLOWEST_WPM, _FASTEST_WPM = 80, 450


class Engine(ABC):
    """Speaks texts; which voice speaks is drawn apart from it, so that any process can speak any line.

    An engine is pickled, empty, and made ready in each process.
    """

    @abstractmethod
    def check(self) -> None:
        """Raise UserError if it cannot speak as it is set."""

    @abstractmethod
    def draw(self, rng: random.Random) -> dict[str, Any]:
        """A speaker, style and speed at random, as plain data; ``speaker`` is among them."""

    @abstractmethod
    def prepare(self) -> None:
        """Load what speaking needs, once in each process."""

    @abstractmethod
    def speak(self, text: str, voice: dict[str, Any]) -> tuple[np.ndarray, int]:
        """Speak a text, the same whatever was spoken before.

        Returns:
            float32 samples ``(time,)`` in [-1, 1] and their rate in Hz.

        Raises:
            UserError: if it cannot be spoken.
        """


@dataclass
class EspeakEngine(Engine):
    """eSpeak NG: formant voices in many timbres, and nothing to train.

    Args:
        speakers: timbres, see `s2s_core.audio.espeak.variants`.
        accents: languages or accents, see `s2s_core.audio.espeak.voices`.
        speeds: slowest and fastest, 1 is 170 words a minute.
        pitches: lowest and highest, 0 to 99; 50 is the timbre's own.
    """

    speakers: Sequence[str] = TRAIN_VARIANTS
    accents: Sequence[str] = ("en-us", "en-us", "en-us", "en", "en-gb-x-rp")
    speeds: tuple[float, float] = (0.8, 1.2)
    pitches: tuple[int, int] = (30, 70)

    def check(self) -> None:
        for kind, wanted, known in (("speaker", self.speakers, variants()), ("accent", self.accents, voices())):
            for name in wanted:
                if name not in known:
                    raise UserError(f"--{kind}s: eSpeak NG has no {kind} {name!r}; it has {', '.join(known)}")
        slowest, fastest = (round(NORMAL_RATE_WPM * speed) for speed in self.speeds)
        if not _SLOWEST_WPM <= slowest <= fastest <= _FASTEST_WPM:
            raise UserError(
                f"--speeds: expected {_SLOWEST_WPM / NORMAL_RATE_WPM:.2f} to {_FASTEST_WPM / NORMAL_RATE_WPM:.2f}, "
                f"the slower first, got {self.speeds[0]:g} {self.speeds[1]:g}"
            )

    def draw(self, rng: random.Random) -> dict[str, Any]:
        return {
            "speaker": rng.choice(self.speakers),
            "accent": rng.choice(self.accents),
            "rate_wpm": round(NORMAL_RATE_WPM * rng.uniform(*self.speeds)),
            "pitch": rng.randint(*self.pitches),
        }

    def prepare(self) -> None:
        warm_up()

    def speak(self, text: str, voice: dict[str, Any]) -> tuple[np.ndarray, int]:
        chosen = EspeakVoice(voice["accent"], voice["speaker"], voice["rate_wpm"], voice["pitch"])
        # what it spoke before leaves traces in the library: a copy of this process that has spoken nothing yet does it
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            _speak_into(writer, text, chosen)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            content = pipe.read()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status != 0:
            raise UserError(f"eSpeak NG could not speak it (status {status})")
        rate = int.from_bytes(content[:4], "little")
        samples = np.frombuffer(content[4:], np.float32)
        if not np.any(samples):
            raise UserError("eSpeak NG gave silence")
        return samples, rate


def _speak_into(pipe: int, text: str, voice: EspeakVoice) -> None:
    status = 1
    try:
        # transcripts in capitals are words all the same
        samples, rate = synthesize(text.lower() if text.isupper() else text, voice)
        with os.fdopen(pipe, "wb") as file:
            file.write(rate.to_bytes(4, "little") + samples.tobytes())
        status = 0
    finally:
        os._exit(status)  # nothing of the parent's may run twice
