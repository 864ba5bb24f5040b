"""Recognition over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from s2s_asr.transcribe import Transcriber, Waveform
from s2s_asr.transcript_row import transcript_row
from s2s_core.audio.recording_endpoint import RecordingEndpoint
from s2s_core.errors import UserError
from s2s_core.serving.endpoint import Answer, Field


class WordAnswer(Answer):
    """A word and when it was said."""

    text: str
    start_s: float
    end_s: float
    confidence: float


class HypothesisAnswer(Answer):
    """What a search found; scores are natural logarithms."""

    text: str
    score: float
    acoustic: float
    lm: float
    rescoring: float | None = None
    words: list[WordAnswer]


class TranscriptAnswer(Answer):
    """What was said in a recording."""

    text: str
    duration_s: float
    words: list[WordAnswer]
    nbest: list[HypothesisAnswer] | None = Field(None, description="the best first, if the server searches")


class TranscribeEndpoint(RecordingEndpoint):
    """Recordings to text.

    Args:
        transcriber: the loaded model.
        most_s: seconds of a recording.
    """

    name = "transcribe"
    summary = "A recording (WAV, FLAC, Ogg, Opus, MP3) to text with the time of each word"
    answers = TranscriptAnswer

    def __init__(self, transcriber: Transcriber, most_s: float) -> None:
        super().__init__(transcriber.sample_rate_hz, most_s)
        self.transcriber = transcriber

    def run(self, batch: Sequence[Tensor]) -> list[dict[str, Any] | UserError]:
        results = self.transcriber.transcribe_each([Waveform(audio, self.sample_rate_hz) for audio in batch])
        return [result if isinstance(result, UserError) else transcript_row(result) for result in results]

    def close(self) -> None:
        self.transcriber.close()
