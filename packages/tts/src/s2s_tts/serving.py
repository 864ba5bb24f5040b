"""Synthesis over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from s2s_core.audio.uploads import wav_bytes
from s2s_core.errors import UserError
from s2s_core.serving.endpoint import Endpoint, Field, Question, checked_text, with_choices
from s2s_tts.synthesize import Synthesizer

LARGEST_SEED = 2**31 - 1


class SynthesizeQuestion(Question):
    """A text and how to say it."""

    text: str = Field(description="what to say; long texts are split at sentences")
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="other seeds, other renderings")


@dataclass(frozen=True)
class _Job:
    text: str
    speaker: str | None
    seed: int


class SynthesizeEndpoint(Endpoint[_Job]):
    """Text to a recording.

    Args:
        synthesizer: the loaded model.
        most_characters: of a text.
        style: a recording ``(samples,)`` at the model's rate to be imitated, where the model takes styles.

    Raises:
        UserError: if the model needs a style and there is none, or takes none and there is one.
    """

    name = "synthesize"
    summary = "Text to speech, as a WAV file"
    answers = "wav"

    def __init__(self, synthesizer: Synthesizer, most_characters: int, style: np.ndarray | None = None) -> None:
        if (synthesizer.task.style is None) != (style is None):
            takes = "takes none" if synthesizer.task.style is None else "needs a recording to imitate"
            raise UserError(f"--style-from: the model {takes}")
        speakers = synthesizer.task.speakers
        self.asks = SynthesizeQuestion
        if speakers is not None:
            self.asks = with_choices(SynthesizeQuestion, "speaker", speakers.names, "whose voice")
        self.synthesizer, self.most_characters, self.style = synthesizer, most_characters, style

    def prepare(self, asked: Any) -> _Job:
        text = checked_text(asked.text, self.most_characters)
        return _Job(text, getattr(asked, "speaker", None), asked.seed)

    def key(self, prepared: _Job) -> tuple[str | None, int]:
        return prepared.speaker, prepared.seed

    def run(self, batch: Sequence[_Job]) -> list[bytes | UserError]:
        spoken = self.synthesizer.synthesize_each(
            [job.text for job in batch], batch[0].speaker, self.style, batch[0].seed
        )
        return [one if isinstance(one, UserError) else wav_bytes(one.audio, one.sample_rate_hz) for one in spoken]
