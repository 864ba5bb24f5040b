"""What speaks the lines of a manifest: eSpeak NG, or a trained model."""

from __future__ import annotations

import math
import os
import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from s2s_core.audio.espeak import RATE_RANGE_WPM, EspeakVoice, synthesize, variants, voices, warm_up
from s2s_core.data.synthetic import ACCENTS, PITCHES, TRAIN_VARIANTS
from s2s_core.errors import UserError

if TYPE_CHECKING:
    from s2s_tts.synthesize import Synthesizer


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
    accents: Sequence[str] = ACCENTS
    speeds: tuple[float, float] = (0.8, 1.2)
    pitches: tuple[int, int] = PITCHES

    def check(self) -> None:
        for kind, wanted, known in (("speaker", self.speakers, variants()), ("accent", self.accents, voices())):
            for name in wanted:
                if name not in known:
                    raise UserError(f"--{kind}s: eSpeak NG has no {kind} {name!r}; it has {', '.join(known)}")
        slowest, fastest = (round(EspeakVoice.rate_wpm * speed) for speed in self.speeds)
        least, most = RATE_RANGE_WPM
        if not least <= slowest <= fastest <= most:
            raise UserError(
                f"--speeds: expected {least / EspeakVoice.rate_wpm:.2f} to {most / EspeakVoice.rate_wpm:.2f}, "
                f"the slower first, got {self.speeds[0]:g} {self.speeds[1]:g}"
            )

    def draw(self, rng: random.Random) -> dict[str, Any]:
        return {
            "speaker": rng.choice(self.speakers),
            "accent": rng.choice(self.accents),
            "rate_wpm": round(EspeakVoice.rate_wpm * rng.uniform(*self.speeds)),
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


@dataclass
class CheckpointEngine(Engine):
    """A trained model, on one thread of each process; its own random draws differ from line to line as well.

    Args:
        checkpoint: as ``fit`` wrote it.
        vocoder: see `s2s_tts.synthesize.Synthesizer.load`.
        speakers: which of the model's; all if empty.
        styles: recordings of which one is imitated, for a model that takes styles.
        speeds: slowest and fastest; 1 is the model's own. Pitch stays.
    """

    checkpoint: Path
    vocoder: str = "checkpoint"
    speakers: Sequence[str] = ()
    styles: Sequence[Path] = ()
    speeds: tuple[float, float] = (0.8, 1.2)
    _synthesizer: Synthesizer | None = field(default=None, repr=False)

    def check(self) -> None:
        if not 0.5 <= self.speeds[0] <= self.speeds[1] <= 2.0:
            raise UserError(f"--speeds: expected 0.5 to 2, the slower first, got {self.speeds[0]:g} {self.speeds[1]:g}")
        task = self._load().task
        known = [] if task.speakers is None else task.speakers.names
        for name in self.speakers:
            if name not in known:
                raise UserError(
                    f"--speakers: the model has no speaker {name!r}; it has {', '.join(known) or 'no names'}"
                )
        if (task.style is None) != (not self.styles):
            wants = "recordings whose style it is to imitate" if task.style is not None else "no styles"
            raise UserError(f"--styles: the model takes {wants}")
        for path in self.styles:
            if not path.is_file():
                raise UserError(f"--styles {path}: no such file")

    def draw(self, rng: random.Random) -> dict[str, Any]:
        assert self._synthesizer is not None
        speakers = self._synthesizer.task.speakers
        names = self.speakers or ([] if speakers is None else speakers.names)
        return {
            "speaker": rng.choice(names) if names else "model",
            "style": str(rng.choice(self.styles)) if self.styles else None,
            "speed": round(rng.uniform(*self.speeds), 3),
            "seed": rng.randrange(1 << 31),
        }

    def prepare(self) -> None:
        import torch

        torch.set_num_threads(1)
        self._synthesizer = self._load()

    def _load(self) -> Synthesizer:
        from s2s_tts.synthesize import Synthesizer

        return Synthesizer.load(self.checkpoint, vocoder=self.vocoder)

    def speak(self, text: str, voice: dict[str, Any]) -> tuple[np.ndarray, int]:
        import torch

        from s2s_core.audio.augment.stretch import vocode

        synthesizer = self._synthesizer
        assert synthesizer is not None
        speaker = None if synthesizer.task.speakers is None else voice["speaker"]
        speech = synthesizer.synthesize([text], speaker, voice["style"], voice["seed"], 1)[0]
        audio, rate_hz = torch.from_numpy(speech.audio)[None], speech.sample_rate_hz
        width = math.ceil(audio.size(1) / voice["speed"])
        changed = vocode(audio, torch.tensor([voice["speed"]]), width, rate_hz)
        return changed[0].numpy(), rate_hz
