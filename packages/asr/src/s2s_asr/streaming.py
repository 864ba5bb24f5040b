"""Recordings that are still going on to text, word by word."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from s2s_asr.decoders.ctc import expect_ctc
from s2s_asr.encoder_streams import window_of
from s2s_asr.interfaces import TokenSpan
from s2s_asr.words import Word, join_spans, words_of
from s2s_core.audio.feature_stream import FeatureStream
from s2s_core.audio.measures import Measures
from s2s_core.errors import UserError
from s2s_core.precision.inference import autocast

if TYPE_CHECKING:
    from s2s_asr.interfaces import EncoderStream
    from s2s_asr.transcribe import Transcriber

Mode = Literal["auto", "exact", "buffered"]


@dataclass(frozen=True)
class StreamOptions:
    """How a recording is heard piece by piece."""

    chunk_s: float = 0.32
    """Audio that is recognised at once: less is sooner, and more work."""
    mode: Mode = "auto"
    """``exact``: encodings are those of the whole recording, which a model must allow (convolutions, recurrent layers
    of one direction). ``buffered``: any model, over windows of ``left_s``, a chunk and ``right_s``. ``auto``: exact
    where that waits for no more than ``right_s``."""
    left_s: float = 6.0
    right_s: float = 1.0
    """What a buffered model sees before and after what it is asked for."""
    silence_s: float | None = 0.8
    """So long without a token ends a segment: its words are final. None: only the end does."""
    most_segment_s: float = 30.0
    """A segment that lasts longer gives up its finished words."""
    warm_up_s: float = 1.0
    """Audio that a normalisation is first estimated from: see `FeatureStream`."""

    def __post_init__(self) -> None:
        if self.mode not in ("auto", "exact", "buffered"):
            raise ValueError(f"mode must be auto, exact or buffered, got {self.mode!r}")
        for name in ("chunk_s", "most_segment_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("left_s", "right_s", "warm_up_s"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.silence_s is not None and self.silence_s <= 0:
            raise ValueError(f"silence_s must be positive or None, got {self.silence_s}")


@dataclass(frozen=True)
class StreamResult:
    """What is known of the segment that is being spoken, or of one that is over."""

    final: bool
    """Whether the segment is over; otherwise more words may follow, and the last one may go on."""
    text: str
    words: list[Word]
    """With times from the beginning of the recording."""
    heard_s: float
    """How much of the recording had been heard then."""


class StreamingTranscriber:
    """Recognises one recording as it arrives, in constant memory.

    A word is known ``latency_s`` after its mark at the latest. Features that are normalised by the whole recording are
    normalised by what has been heard so far (`FeatureStream`), unless ``measures`` are given; with those, or without
    normalisation, the words in ``exact`` mode are those that `Transcriber` finds in the whole recording, but that a
    pause of ``silence_s`` always ends a word.

    Args:
        transcriber: whose model is used; it must have a CTC decoder. Many streams may share it.
        options: see `StreamOptions`.
        measures: peak, mean and deviation of a recording like this one, such as the speaker's last.

    Raises:
        UserError: if the decoder is none of CTC, or ``exact`` is asked of a model that needs the whole recording.
    """

    def __init__(
        self, transcriber: Transcriber, options: StreamOptions | None = None, measures: Measures | None = None
    ) -> None:
        self._transcriber = transcriber
        self.options = options or StreamOptions()
        decoder, features = transcriber.task.decoder, transcriber.task.features
        self._decoder = expect_ctc(decoder, "stream")
        self._features = FeatureStream(features, transcriber.device, measures, self.options.warm_up_s)
        self._encoder = self._encoder_stream()
        self._chunk = max(1, round(self.options.chunk_s * transcriber.sample_rate_hz))
        self._pending = torch.zeros(0)
        self._heard = 0
        self._frames = 0
        self._spans: list[TokenSpan] = []
        self._shown = ""
        self._over = False

    def _encoder_stream(self) -> EncoderStream:
        encoder, options = self._transcriber.task.encoder, self.options
        hop_s = self._transcriber.task.features.hop_samples / self._transcriber.sample_rate_hz
        exact = None if options.mode == "buffered" else encoder.stream()
        if exact is None and options.mode == "exact":
            raise UserError(
                f"a {type(encoder).__name__} of this kind needs the whole recording: its stream can only be buffered"
            )
        self.exact = exact is not None and (options.mode == "exact" or exact.lookahead * hop_s <= options.right_s)
        if exact is not None and self.exact:
            return exact
        stride = self._transcriber.frame_samples // self._transcriber.task.features.hop_samples
        return window_of(encoder, round(options.left_s / hop_s), round(options.right_s / hop_s), stride)

    @property
    def lookahead_s(self) -> float:
        """How much audio after its place a frame waits for."""
        features = self._transcriber.task.features
        samples = self._features.lookahead_samples + self._encoder.lookahead * features.hop_samples
        return samples / self._transcriber.sample_rate_hz

    @property
    def latency_s(self) -> float:
        """How long after its place a frame is recognised at the latest, the time to compute it aside: a chunk, and what
        it waits for. The first words wait for the warm-up besides, where there is one."""
        return self._chunk / self._transcriber.sample_rate_hz + self.lookahead_s

    def push(self, samples: Tensor | np.ndarray) -> list[StreamResult]:
        """Hear more ``(samples,)``, float in [-1, 1] at the model's rate; returns what is new.

        Raises:
            ValueError: if the stream is over.
        """
        if self._over:
            raise ValueError("push: the stream is over")
        self._pending = torch.cat([self._pending, torch.as_tensor(samples, dtype=torch.float32)])
        results: list[StreamResult] = []
        while len(self._pending) >= self._chunk:
            piece, self._pending = self._pending[: self._chunk], self._pending[self._chunk :]
            results += self._advance(piece, last=False)
        return results

    def finish(self) -> list[StreamResult]:
        """Recognise what is left; the stream is over."""
        if self._over:
            return []
        self._over = True
        return self._advance(self._pending, last=True)

    @torch.inference_mode()
    def _advance(self, samples: Tensor, last: bool) -> list[StreamResult]:
        self._heard += len(samples)
        frames = self._features.push(samples, last)
        with autocast(self._transcriber.precision, self._transcriber.device.type):
            encodings = self._encoder.push(frames[None], last)
            count = encodings.size(1)
            lengths = torch.tensor([count], device=encodings.device)
            spans = self._decoder.greedy_spans(self._decoder(encodings, lengths), lengths)[0] if count else []
        start = self._frames
        join_spans(self._spans, [s._replace(start=s.start + start, end=s.end + start) for s in spans])
        self._frames += count
        return self._results(last)

    def _results(self, last: bool) -> list[StreamResult]:
        frame_s = self._transcriber.frame_samples / self._transcriber.sample_rate_hz
        silence_s, found = self.options.silence_s, self._spans
        quiet_s = (self._frames - found[-1].end) * frame_s if found else 0.0
        if last or (silence_s is not None and quiet_s >= silence_s):
            self._spans = []
            return self._final(found)
        results: list[StreamResult] = []
        if found and (self._frames - found[0].start) * frame_s > self.options.most_segment_s:
            ids = [span.token for span in found]
            cut = max(i for i in range(len(ids)) if not i or self._transcriber.task.tokenizer.is_word_start(ids, i))
            self._spans = found[cut:] if cut else []
            results = self._final(found[:cut] or found)
        partial = self._result(self._spans, final=False)
        if partial.text != self._shown:
            self._shown = partial.text
            results.append(partial)
        return results

    def _final(self, spans: list[TokenSpan]) -> list[StreamResult]:
        self._shown = ""
        result = self._result(spans, final=True)
        return [result] if result.words else []

    def _result(self, spans: list[TokenSpan], final: bool) -> StreamResult:
        rate, tokenizer = self._transcriber.sample_rate_hz, self._transcriber.task.tokenizer
        heard_s = self._heard / rate
        words = words_of(spans, tokenizer, self._transcriber.frame_samples / rate, heard_s)
        return StreamResult(final, " ".join(word.text for word in words), words, round(heard_s, 3))


def stream_blocks(stream: StreamingTranscriber, blocks: Iterable[Tensor]) -> Iterator[StreamResult]:
    """Yield what a stream finds in blocks of audio ``(samples,)`` as they come, and at their end."""
    for block in blocks:
        yield from stream.push(block)
    yield from stream.finish()
