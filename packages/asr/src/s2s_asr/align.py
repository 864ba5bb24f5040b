"""Recordings and what was said in them to the times of words and labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from s2s_asr.decoders.ctc import CtcDecoder, TokenSpan
from s2s_asr.decoders.forced_alignment import align_ctc
from s2s_asr.words import Word, words_of
from s2s_core.errors import UserError

if TYPE_CHECKING:
    from s2s_asr.transcribe import Source, Transcriber

MOST_CELLS = 1 << 31
"""Frames times states of a search, each a byte of memory."""


class Spoken(NamedTuple):
    """A recording and its text."""

    audio: Source
    text: str
    where: str
    """What a message calls it: file, or file and row."""


@dataclass(frozen=True)
class Alignment:
    """When the words of a text were said."""

    words: list[Word]
    """With the lowest probability among a word's labels as its confidence."""
    labels: list[Word]
    """The tokens but for spaces: characters, pieces or phones."""
    duration_s: float
    log_probability: float
    """Of the best path, a frame; near 0 where the model would have said the same."""


class Aligner:
    """Finds the times of a known text by the most likely path of a CTC model through it.

    Such a model marks a label in few frames, often late in its sound: a word reaches from the start of its first mark
    to the end of its last, and there are gaps between.

    Args:
        transcriber: whose model is used.

    Raises:
        UserError: if the decoder is none of CTC.
    """

    def __init__(self, transcriber: Transcriber) -> None:
        decoder = transcriber.task.decoder
        if not isinstance(decoder, CtcDecoder):
            raise UserError(f"only a CTC model can align, this one has a {type(decoder).__name__}")
        self._transcriber = transcriber
        self._decoder = decoder

    def align(self, audio: Source, text: str) -> Alignment:
        """Align one text.

        Raises:
            UserError: if the recording cannot be read, or the text is empty, has unknown characters or is too long.
        """
        (result,) = self.align_each([Spoken(audio, text, str(audio) if isinstance(audio, str) else "text")])
        if isinstance(result, UserError):
            raise result
        return result

    def align_each(self, given: Iterable[Spoken], batch_seconds: float = 120.0) -> Iterator[Alignment | UserError]:
        """Yield each alignment, or the error that names it, in order.

        Args:
            given: recordings and texts.
            batch_seconds: audio, with padding, that is aligned at once.
        """
        most = batch_seconds * self._transcriber.sample_rate_hz
        batch: list[tuple[Spoken, Tensor, list[int]] | UserError] = []
        longest = 0
        for spoken in given:
            try:
                row = (spoken, self._audio(spoken), self._tokens(spoken))
            except UserError as error:
                batch.append(error)
                continue
            longest = max(longest, len(row[1]))
            if batch and longest * (len(batch) + 1) > most:
                yield from self._aligned(batch)
                batch, longest = [], len(row[1])
            batch.append(row)
        yield from self._aligned(batch)

    def _audio(self, spoken: Spoken) -> Tensor:
        job = self._transcriber._open(0, spoken.audio)
        if job.recording is None:
            assert job.error is not None
            raise job.error
        return torch.cat(list(job.recording.blocks(self._transcriber.sample_rate_hz)))

    def _tokens(self, spoken: Spoken) -> list[int]:
        try:
            tokens = self._transcriber.task.tokenizer.encode(spoken.text)
        except ValueError as error:
            raise UserError(f"{spoken.where}: {error}") from None
        if not tokens:
            raise UserError(f"{spoken.where}: the text is empty")
        return tokens

    def _aligned(self, batch: list[tuple[Spoken, Tensor, list[int]] | UserError]) -> Iterator[Alignment | UserError]:
        good = [row for row in batch if not isinstance(row, UserError)]
        found = iter(self._search(good) if good else [])
        for row in batch:
            yield row if isinstance(row, UserError) else next(found)

    @torch.inference_mode()
    def _search(self, rows: list[tuple[Spoken, Tensor, list[int]]]) -> list[Alignment | UserError]:
        transcriber = self._transcriber
        device, task = transcriber.device, transcriber.task
        samples = torch.tensor([len(audio) for _, audio, _ in rows], device=device)
        padded = pad_sequence([audio for _, audio, _ in rows], batch_first=True).to(device)
        features, lengths = task.features(padded, samples)
        with transcriber._autocast(device.type):
            encodings, lengths = task.encoder(features, lengths)
            log_probs = self._decoder(encodings, lengths).float().log_softmax(-1)
        counts = torch.tensor([len(tokens) for *_, tokens in rows], device=device)
        if log_probs.size(1) * (2 * int(counts.max()) + 1) * len(rows) > MOST_CELLS:
            return [UserError(f"{spoken.where}: too long to be aligned at once, cut it up") for spoken, *_ in rows]
        tokens = pad_sequence([torch.tensor(tokens) for *_, tokens in rows], batch_first=True).to(device)
        found = align_ctc(log_probs, lengths, tokens, counts, self._decoder.vocab_size)
        columns = zip(rows, found.spans, found.scores.tolist(), lengths.tolist(), strict=True)
        return [self._result(*row, spans, score, frames) for row, spans, score, frames in columns]

    def _result(
        self,
        spoken: Spoken,
        audio: Tensor,
        tokens: list[int],
        spans: list[TokenSpan] | None,
        score: float,
        frames: int,
    ) -> Alignment | UserError:
        if spans is None:
            needed = len(tokens) + sum(a == b for a, b in pairwise(tokens))
            return UserError(f"{spoken.where}: the text needs {needed} frames, the audio has {frames}")
        rate, tokenizer = self._transcriber.sample_rate_hz, self._transcriber.task.tokenizer
        frame_s, duration_s = self._transcriber.frame_samples / rate, len(audio) / rate
        words = words_of(spans, tokenizer, frame_s, duration_s)
        each = [word for span in spans for word in words_of([span], tokenizer, frame_s, duration_s)]
        return Alignment(words, each, round(duration_s, 3), score / frames)
