"""Speech from eSpeak NG behind the interface of a trained synthesiser: nothing to train, in a hundred languages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from s2s_core.audio.espeak import EspeakVoice, synthesize_all
from s2s_core.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from s2s_tts.synthesize import Speech


class EspeakSynthesizer:
    """Speaks texts with eSpeak NG's formant voices.

    Args:
        voice: accent, timbre, speed and pitch; the timbre is that of a text whose speaker is not named.
    """

    sample_rate_hz = 22050

    def __init__(self, voice: EspeakVoice) -> None:
        self.voice = voice

    def synthesize_each(
        self,
        texts: Iterable[str],
        speaker: str | None = None,
        style_from: str | Path | None = None,
        seed: int = 0,
        batch_size: int = 1,
    ) -> Iterator[Speech | UserError]:
        """Yield for each text its speech; ``speaker`` is a timbre, ``seed`` and ``batch_size`` change nothing.

        Raises:
            UserError: if there is no such timbre or accent, or a style is given.
        """
        from s2s_tts.synthesize import Speech

        if style_from is not None:
            raise UserError("style: eSpeak NG takes none")
        voice = self.voice if speaker is None else replace(self.voice, variant=speaker)
        listed = list(texts)
        for text, (samples, rate_hz) in zip(listed, synthesize_all([(text, voice) for text in listed]), strict=True):
            yield Speech(text, samples, rate_hz, []) if samples.any() else UserError("eSpeak NG gave silence")
