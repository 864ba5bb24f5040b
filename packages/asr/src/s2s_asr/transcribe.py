"""Recordings to text with a trained checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from s2s_asr.audio_input import Recording, Waveform, from_waveform, open_recording
from s2s_asr.chunks import ChunkPlan, plan_chunks, samples_per_frame
from s2s_asr.decoders.ctc import expect_ctc
from s2s_asr.interfaces import Decoder, SpellingDecoder, TokenSpan
from s2s_asr.pieces import Job, Piece, batches, groups, refuse_no_numbers
from s2s_asr.search.choice import searcher_of
from s2s_asr.search.hypotheses import Hypothesis
from s2s_asr.search.searcher import Searcher
from s2s_asr.search.segments import Frames, RecordingParts, RecordingSearch
from s2s_asr.search.settings import SearchSettings
from s2s_asr.search.spelling import SpellingSearcher
from s2s_asr.words import Word, join_spans, words_of
from s2s_core.audio.measures import Measures, measure
from s2s_core.errors import UserError
from s2s_core.precision.inference import Precision, autocast, check_precision

if TYPE_CHECKING:
    from s2s_asr.streaming import StreamOptions, StreamResult
    from s2s_asr.task import SpeechToText

Source = str | Path | Waveform | np.ndarray | Tensor | Recording

BATCH_S = 120.0
CHUNK_S = 30.0
OVERLAP_S = 4.0
BATCHES_AHEAD = 16
"""Recordings are sorted by length within about so many batches, which bounds how long a result waits for its turn."""
SEGMENT_S = 60.0
"""Longer recordings are searched in segments cut at pauses."""


@dataclass(frozen=True)
class Transcript:
    """What was said in a recording."""

    id: str
    """The file as it was named, or ``#N`` for the Nth array."""
    text: str
    """The words, single spaces between them."""
    words: list[Word]
    duration_s: float
    hypotheses: list[Hypothesis] = field(default_factory=list)
    """What a search found, the best first; empty without one."""


class FrameScores(NamedTuple):
    """What a CTC model makes of a recording."""

    log_probs: Tensor
    """``(time, labels + 1)``, natural, on the host."""
    duration_s: float


class Transcriber:
    """Turns recordings of any format, rate, channel count and length into text.

    Recordings of similar length share a batch, so that little is padded; the result of one does not depend on the
    others. A recording longer than ``chunk_s`` is read from disk piece by piece and recognised in chunks that overlap
    by ``overlap_s``. The frames of a chunk fall where those of the whole recording would, its features are normalised
    with the peak, mean and deviation of the whole (for which such a recording is read twice more), each chunk gives up
    half the overlap to its neighbour, and repeats are merged across the seam: the text is that of the unchunked
    recording wherever half the overlap covers what the encoder sees around a frame. Only recurrent layers see further.

    Args:
        task: in evaluation mode, on its device.
        precision: ``"32-true"``, or ``"bf16"`` for encoder and decoder under bfloat16 autocast; features stay float32.
        search: how to search with language models; without it, the decoder finds its text.
        jobs: searches at a time, see `Searcher`; end them with `close`, or use the transcriber in a ``with``.

    Raises:
        UserError: if the task's decoder is none of speech, or cannot be searched as wanted, or the search's files
            cannot be read.
        ValueError: if the precision is unknown.
    """

    def __init__(
        self,
        task: SpeechToText,
        precision: Precision = "32-true",
        search: SearchSettings | None = None,
        jobs: int = 1,
    ) -> None:
        check_precision(precision)
        if not isinstance(task.decoder, Decoder):
            raise UserError(f"only a decoder of speech finds text, this model has a {type(task.decoder).__name__}")
        self.task = task.eval()
        self.decoder = task.decoder
        self.precision: Precision = precision
        self.device = next(task.encoder.parameters()).device
        self.sample_rate_hz = task.features.sample_rate_hz
        self.frame_samples = samples_per_frame(self._frames_of, self.sample_rate_hz)
        self.searcher = None if search is None else searcher_of(task, search, jobs, self.device)

    @classmethod
    def load(
        cls,
        path: str | Path,
        device: str = "cpu",
        precision: Precision = "32-true",
        search: SearchSettings | None = None,
        jobs: int = 1,
    ) -> Transcriber:
        """Rebuild the recogniser that ``fit`` wrote to ``path``.

        Raises:
            UserError: if the checkpoint is unreadable or of another task, or the device is not there.
        """
        from s2s_asr.task import SpeechToText
        from s2s_core.checkpoint import load_task

        task = load_task(path, SpeechToText.name, device)
        assert isinstance(task, SpeechToText)
        return cls(task, precision, search, jobs)

    def close(self) -> None:
        """End the searches that run beside this process."""
        if self.searcher is not None:
            self.searcher.close()

    def __enter__(self) -> Transcriber:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def transcribe(
        self,
        sources: Sequence[Source],
        batch_seconds: float = BATCH_S,
        chunk_s: float | None = CHUNK_S,
        overlap_s: float = OVERLAP_S,
    ) -> list[Transcript]:
        """Return the transcripts of all sources in their order.

        Args:
            sources: paths, `Waveform`s, or bare arrays ``(samples,)`` or ``(samples, channels)`` at the model's own
                sample rate.
            batch_seconds: audio, with padding, that is recognised at once.
            chunk_s: longer recordings are recognised in pieces; ``None`` takes each whole.
            overlap_s: what neighbouring pieces share.

        Raises:
            UserError: on the first source that cannot be read; it is named.
        """
        transcripts = []
        for result in self.transcribe_each(sources, batch_seconds, chunk_s, overlap_s):
            if isinstance(result, UserError):
                raise result
            transcripts.append(result)
        return transcripts

    def transcribe_each(
        self,
        sources: Iterable[Source],
        batch_seconds: float = BATCH_S,
        chunk_s: float | None = CHUNK_S,
        overlap_s: float = OVERLAP_S,
        progress: Callable[[float], None] | None = None,
    ) -> Iterator[Transcript | UserError]:
        """Yield each source's transcript, or the error that names it, in the order of the sources and while the rest
        is still to come.

        Args:
            sources, batch_seconds, chunk_s, overlap_s: see `transcribe`.
            progress: called after each batch with the seconds of audio that it finished.
        """
        if isinstance(sources, str | Path):
            raise TypeError(f"sources: expected a list of recordings, got the one path '{sources}'")
        plan = plan_chunks(self.frame_samples, self.sample_rate_hz, chunk_s, overlap_s)
        jobs = (self._open(index, source) for index, source in enumerate(sources))
        for job in self._finished(jobs, plan, batch_seconds, progress):
            yield self._result(job)

    def log_probs_each(
        self,
        sources: Iterable[Source],
        batch_seconds: float = BATCH_S,
        chunk_s: float | None = CHUNK_S,
        overlap_s: float = OVERLAP_S,
        progress: Callable[[float], None] | None = None,
    ) -> Iterator[FrameScores | UserError]:
        """Yield what a CTC model makes of the frames of each source, or the error that names the source.

        Args:
            sources, batch_seconds, chunk_s, overlap_s, progress: see `transcribe_each`.

        Raises:
            UserError: if the decoder is none of CTC.
        """
        labels = expect_ctc(self.decoder, "be searched so").vocab_size + 1
        plan = plan_chunks(self.frame_samples, self.sample_rate_hz, chunk_s, overlap_s)
        for job, frames in self._with_frames(sources, plan, labels, batch_seconds, progress):
            yield FrameScores(frames, job.samples / self.sample_rate_hz) if job.error is None else job.error

    def searchable_each(
        self, sources: Iterable[Source], batch_seconds: float = BATCH_S
    ) -> Iterator[Tensor | UserError]:
        """Yield what a search of each source starts from, ``(time, size)`` on the host, or the error that names it: the
        log-probabilities of a CTC model, the encodings of one that searches by itself.

        Args:
            sources, batch_seconds: see `transcribe_each`.

        Raises:
            UserError: if the decoder cannot be searched with language models.
        """
        if isinstance(self.decoder, SpellingDecoder):
            size = self.decoder.in_features
        else:
            size = expect_ctc(self.decoder, "be searched so").vocab_size + 1
        plan = plan_chunks(self.frame_samples, self.sample_rate_hz, CHUNK_S, OVERLAP_S)
        for job, frames in self._with_frames(sources, plan, size, batch_seconds, None):
            yield frames if job.error is None else job.error

    def _with_frames(
        self,
        sources: Iterable[Source],
        plan: ChunkPlan,
        size: int,
        batch_seconds: float,
        progress: Callable[[float], None] | None,
    ) -> Iterator[tuple[Job, Tensor]]:
        jobs = (replace(self._open(i, source), frames=Frames(), parts=None) for i, source in enumerate(sources))
        for job in self._finished(jobs, plan, batch_seconds, progress):
            assert isinstance(job.frames, Frames)
            yield job, job.frames.all(size)

    def _finished(
        self,
        jobs: Iterable[Job],
        plan: ChunkPlan,
        batch_seconds: float,
        progress: Callable[[float], None] | None,
    ) -> Iterator[Job]:
        """Recognise jobs, those of like length together; yields them in their order."""
        if batch_seconds <= 0:
            raise ValueError(f"batch_seconds must be positive, got {batch_seconds}")
        for group in groups(jobs, BATCHES_AHEAD * batch_seconds):
            longest_first = sorted(group, key=lambda job: -job.duration_s)
            pieces = (piece for job in longest_first for piece in self._pieces(job, plan))
            for batch in batches(pieces, int(batch_seconds * self.sample_rate_hz)):
                self._recognise(batch)
                if progress is not None:
                    progress(sum(piece.new_samples for piece in batch) / self.sample_rate_hz)
            yield from group

    def stream(self, source: Source, options: StreamOptions | None = None) -> Iterator[StreamResult]:
        """Yield a recording's words as a stream would find them, partial and final: see `StreamingTranscriber`.

        Raises:
            UserError: if the source cannot be read, or the model cannot stream as the options want.
        """
        from s2s_asr.streaming import StreamingTranscriber, stream_blocks

        job = self._open(0, source)
        if job.recording is None:
            assert job.error is not None
            raise job.error
        stream = StreamingTranscriber(self, options)
        return stream_blocks(stream, job.recording.blocks(self.sample_rate_hz))

    def _open(self, index: int, source: Source) -> Job:
        try:
            if isinstance(source, Recording):
                recording = source
            elif isinstance(source, str | Path):
                recording = open_recording(source)
            else:
                waveform = source if isinstance(source, Waveform) else Waveform(source, self.sample_rate_hz)
                recording = from_waveform(waveform, f"#{index}")
        except UserError as error:
            return Job(None, error=error)
        if isinstance(self.searcher, SpellingSearcher):
            return Job(recording, parts=RecordingParts(self.searcher))
        if not isinstance(self.searcher, Searcher):
            return Job(recording)
        most_frames = int(SEGMENT_S * self.sample_rate_hz / self.frame_samples)
        return Job(recording, frames=RecordingSearch(self.searcher, most_frames))

    def _frames_of(self, samples: Tensor) -> Tensor:
        return self.task.encoder.output_lengths(self.task.features.output_lengths(samples))

    def _pieces(self, job: Job, plan: ChunkPlan) -> Iterator[Piece]:
        """Yield what there is to recognise; a reading error ends it and is kept."""
        if job.recording is None:
            return
        try:
            for chunk in plan.cut(job.recording.blocks(self.sample_rate_hz)):
                in_parts = chunk.keep_to is not None
                if in_parts and job.measures is None and self.task.features.needs_whole:
                    job.measures = self._measured(job.recording, plan)
                end = chunk.first_frame * plan.frame_samples + len(chunk.audio)
                piece = Piece(job, chunk, end - job.samples)
                job.samples = end
                yield piece
        except UserError as error:
            job.error = error

    @torch.inference_mode()
    def _measured(self, recording: Recording, plan: ChunkPlan) -> Measures:
        per_frame = plan.frame_samples // self.task.features.hop_samples

        def pieces() -> Iterator[tuple[Tensor, slice]]:
            for chunk in plan.cut(recording.blocks(self.sample_rate_hz)):
                keep_to = None if chunk.keep_to is None else chunk.keep_to * per_frame
                yield chunk.audio.to(self.device), slice(chunk.keep_from * per_frame, keep_to)

        return measure(self.task.features, pieces)

    @torch.inference_mode()
    def _recognise(self, batch: list[Piece]) -> None:
        device = self.device
        lengths = torch.tensor([len(piece.chunk.audio) for piece in batch], device=device)
        audio = pad_sequence([piece.chunk.audio for piece in batch], batch_first=True).to(device)
        measures = [piece.job.measures for piece in batch if piece.job.measures is not None]
        features, lengths = self.task.features(audio, lengths, Measures.stack(measures) if measures else None)
        with autocast(self.precision, device.type):
            encodings, lengths = self.task.encoder(features, lengths)
            refuse_no_numbers(batch, encodings, lengths)
            kept = [slice(p.chunk.keep_from, p.chunk.keep_to) for p in batch]
            starts = [piece.chunk.first_frame + piece.chunk.keep_from for piece in batch]
            if batch[0].job.frames is not None:
                frames = self._searchable(encodings, lengths)
                for piece, row, length, keep in zip(batch, frames, lengths.tolist(), kept, strict=True):
                    if piece.job.error is None:
                        piece.job.take(row[:length][keep].float().cpu(), last=keep.stop is None)
                return
            seen = self.decoder(encodings, lengths)
            if isinstance(self.searcher, SpellingSearcher):
                found = self.searcher.search_parts(seen, lengths, kept)
                for piece, start, row in zip(batch, starts, found, strict=True):
                    assert piece.job.parts is not None
                    piece.job.parts.add(row, start)
                return
            spans = self.decoder.spans(seen, lengths, kept)
        for piece, start, row in zip(batch, starts, spans, strict=True):
            join_spans(piece.job.spans, [s._replace(start=s.start + start, end=s.end + start) for s in row])

    def _searchable(self, encodings: Tensor, lengths: Tensor) -> Tensor:
        """What a search of each frame's row starts from, see `searchable_each`."""
        if isinstance(self.decoder, SpellingDecoder):
            return encodings
        return self.decoder(encodings, lengths).float().log_softmax(-1)

    def _result(self, job: Job) -> Transcript | UserError:
        if job.error is not None:
            return job.error
        assert job.recording is not None
        duration_s = job.samples / self.sample_rate_hz
        if self.searcher is not None:
            search = job.frames if job.parts is None else job.parts
            assert isinstance(search, RecordingSearch | RecordingParts)
            results = search.result() or [Hypothesis("", 0.0, 0.0)]
            found = [replace(one, words=self._words_of(one.spans, duration_s)) for one in results]
            return Transcript(job.recording.name, found[0].text, found[0].words, round(duration_s, 3), found)
        words = self._words_of(job.spans, duration_s)
        return Transcript(job.recording.name, " ".join(w.text for w in words), words, round(duration_s, 3))

    def _words_of(self, spans: list[TokenSpan], duration_s: float) -> list[Word]:
        return words_of(spans, self.task.tokenizer, self.frame_samples / self.sample_rate_hz, duration_s)
