"""A trained recogniser as other packages see it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from s2s_asr.audio_input import Waveform
from s2s_asr.task import SpeechToText
from s2s_asr.transcribe import Transcriber
from s2s_core.text.normalise import normalise_text


class Recogniser:
    """A `s2s_core.recognition.SpeechRecogniser`: the best path of a task, without a language model."""

    def __init__(self, task: SpeechToText) -> None:
        self._transcriber = Transcriber(task)

    def recognise(self, recordings: Sequence[np.ndarray], sample_rate_hz: int) -> list[str]:
        # speech of one frame has no samples, and a file without samples is an error elsewhere
        sounds = [Waveform(recording, sample_rate_hz) for recording in recordings if len(recording)]
        found = iter(self._transcriber.transcribe(sounds))
        return [next(found).text if len(recording) else "" for recording in recordings]

    def spell(self, text: str) -> str:
        plain = normalise_text(text, strip_punctuation=True, fold_accents=True)
        return self._transcriber.task.tokenizer.normalise(plain)
