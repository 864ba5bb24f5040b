"""Recordings and what was said in them to the times of words and labels."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from s2s_asr.decoders.ctc import expect_ctc
from s2s_asr.search.spans import align_tokens, frames_needed
from s2s_asr.words import Word, words_of
from s2s_core.errors import UserError

if TYPE_CHECKING:
    from s2s_asr.transcribe import FrameScores, Source, Transcriber

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
        expect_ctc(transcriber.decoder, "align")
        self._transcriber = transcriber

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
            batch_seconds: audio, with padding, that is recognised at once.
        """
        asked: deque[tuple[Spoken, list[int]] | UserError] = deque()

        def sources() -> Iterator[Source]:
            for spoken in given:
                asked.append(self._with_tokens(spoken))
                if not isinstance(asked[-1], UserError):
                    yield spoken.audio

        def refused() -> Iterator[UserError]:
            while asked and isinstance(error := asked[0], UserError):
                asked.popleft()
                yield error

        # chunk_s=None: frames of a chunk would be those of the whole only as far as the encoder sees
        for heard in self._transcriber.log_probs_each(sources(), batch_seconds, chunk_s=None):
            yield from refused()
            row = asked.popleft()
            assert not isinstance(row, UserError)
            yield heard if isinstance(heard, UserError) else self._aligned(*row, heard)
        yield from refused()

    def _with_tokens(self, spoken: Spoken) -> tuple[Spoken, list[int]] | UserError:
        try:
            tokens = self._transcriber.task.tokenizer.encode(spoken.text)
        except ValueError as error:
            return UserError(f"{spoken.where}: {error}")
        return (spoken, tokens) if tokens else UserError(f"{spoken.where}: the text is empty")

    def _aligned(self, spoken: Spoken, tokens: list[int], heard: FrameScores) -> Alignment | UserError:
        frames, needed = len(heard.log_probs), frames_needed(tokens)
        if needed > frames:
            return UserError(f"{spoken.where}: the text needs {needed} frames, the audio has {frames}")
        if frames * (2 * len(tokens) + 1) > MOST_CELLS:
            return UserError(f"{spoken.where}: too long to be aligned at once, cut it up")
        found = align_tokens(heard.log_probs, tokens)
        if found is None:
            return UserError(f"{spoken.where}: the model gives no number for the text")
        transcriber, duration_s = self._transcriber, heard.duration_s
        tokenizer, frame_s = transcriber.task.tokenizer, transcriber.frame_samples / transcriber.sample_rate_hz
        words = words_of(found.spans, tokenizer, frame_s, duration_s)
        each = [word for span in found.spans for word in words_of([span], tokenizer, frame_s, duration_s)]
        return Alignment(words, each, round(duration_s, 3), found.score / frames)
