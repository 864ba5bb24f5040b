"""Text to speech with a trained checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from s2s_core.data.audio_files import read_audio
from s2s_core.errors import UserError
from s2s_core.precision.inference import Precision, autocast, check_precision
from s2s_tts.interfaces import Prediction, Spectrogram, Vocoder
from s2s_tts.sentences import LONGEST, paragraphs, split_sentences
from s2s_tts.tokenizers import SpeechTokenizer
from s2s_tts.vocoders.griffin_lim import GriffinLim

if TYPE_CHECKING:
    from s2s_tts.task import TextToSpeech


BATCH_SIZE = 16
ATTEMPTS = 4
PAUSE_S = 0.25
"""Silence between sentences."""
_SEED_STRIDE = 1_000_003
_SMALLEST_COVERAGE = 0.5


@dataclass(frozen=True)
class Speech:
    """A text that was spoken."""

    text: str
    audio: np.ndarray
    """``(samples,)``, float32 in [-1, 1]."""
    sample_rate_hz: int
    sentences: list[Sentence]

    @property
    def duration_s(self) -> float:
        return len(self.audio) / self.sample_rate_hz


@dataclass(frozen=True)
class Sentence:
    """A piece of a text, as it was spoken."""

    text: str
    """As the tokenizer normalises it."""
    start_s: float
    end_s: float
    attempts: int
    """Seeds that it took until the model came to an end."""
    alignment: Tensor = field(repr=False)
    """``(steps, tokens)``."""
    mel: Tensor = field(repr=False)
    """``(frames, bands)``."""


class Synthesizer:
    """Speaks texts of any length.

    Texts are normalised and split at sentences, which are spoken in batches of like length and joined with pauses. A
    sentence's sound is a function of its text, the seed and its place in its text, not of what shares its batch. One
    that does not come to an end by 100 frames and 10 a token, or that leaves out half of its text, is tried again with
    another seed, and given up with an error after a few attempts.

    Args:
        task: in evaluation mode, on its device.
        vocoder: makes spectrograms audible; the task's own if None.
        precision: ``"32-true"``, or ``"bf16"`` for the acoustic model under bfloat16 autocast.

    Raises:
        UserError: if the vocoder takes other spectrograms than the task makes.
    """

    def __init__(self, task: TextToSpeech, vocoder: Vocoder | None = None, precision: Precision = "32-true") -> None:
        check_precision(precision)
        self.task = task.eval()
        self.device = next(task.encoder.parameters()).device
        self.vocoder = (task.vocoder if vocoder is None else vocoder).to(self.device).eval()
        if self.vocoder.features.describe() != task.features.describe():
            raise UserError(
                f"the vocoder takes spectrograms of {self.vocoder.features.describe()['init_args']}, "
                f"the model makes {task.features.describe()['init_args']}"
            )
        self.precision: Precision = precision
        self.sample_rate_hz = task.features.sample_rate_hz

    @classmethod
    def load(
        cls,
        path: str | Path,
        device: str = "cpu",
        vocoder: str | Path = "checkpoint",
        precision: Precision = "32-true",
    ) -> Synthesizer:
        """Rebuild the synthesiser that ``fit`` wrote to ``path``.

        Args:
            path: the checkpoint.
            device: where it runs.
            vocoder: ``checkpoint`` for the model's own, ``griffin-lim``, or the checkpoint of a trained vocoder.
            precision: see the class.

        Raises:
            UserError: if a checkpoint is unreadable or of another task, or the device is not there.
        """
        from s2s_core.checkpoint import load_task
        from s2s_tts.task import TextToSpeech

        task = load_task(path, TextToSpeech.name, device)
        assert isinstance(task, TextToSpeech)
        return cls(task, _vocoder(vocoder, task), precision)

    def synthesize(
        self,
        texts: Sequence[str],
        speaker: str | None = None,
        style_from: str | Path | np.ndarray | None = None,
        seed: int = 0,
        batch_size: int = BATCH_SIZE,
    ) -> list[Speech]:
        """Speak texts.

        Args:
            texts: sentences, or longer.
            speaker: whose voice, where the model knows several.
            style_from: a recording to be imitated, a file or ``(samples,)`` at the model's rate, where the model takes
                styles.
            seed: other seeds, other renderings.
            batch_size: the most sentences at once. It changes no result.

        Raises:
            UserError: on the first text that cannot be spoken.
        """
        spoken = []
        for result in self.synthesize_each(texts, speaker, style_from, seed, batch_size):
            if isinstance(result, UserError):
                raise result
            spoken.append(result)
        return spoken

    def synthesize_each(
        self,
        texts: Iterable[str],
        speaker: str | None = None,
        style_from: str | Path | np.ndarray | None = None,
        seed: int = 0,
        batch_size: int = BATCH_SIZE,
    ) -> Iterator[Speech | UserError]:
        """Yield for each text its speech, or why it could not be spoken; the arguments of `synthesize`."""
        number = self._speaker(speaker)
        reference = self._reference(style_from)
        for group in _groups(texts, max(1, batch_size)):
            jobs = [self._plan(text, seed) for text in group]
            pieces = [piece for job in jobs if not isinstance(job, UserError) for piece in job]
            pieces.sort(key=lambda piece: len(piece.tokens))
            for start in range(0, len(pieces), batch_size):
                self._speak(pieces[start : start + batch_size], number, reference)
            for text, job in zip(group, jobs, strict=True):
                yield job if isinstance(job, UserError) else self._joined(text, job)

    def _speaker(self, name: str | None) -> int:
        speakers = self.task.speakers
        if speakers is None:
            if name is not None:
                raise UserError(f"speaker {name!r}: the model has one voice, without a name")
            return 0
        if name is None and len(speakers.names) == 1:
            return 0
        if name is None:
            raise UserError(f"the model has {speakers.count} speakers, name one: {', '.join(speakers.names[:8])}")
        return speakers.index(name)

    def _reference(self, source: str | Path | np.ndarray | None) -> Spectrogram | None:
        if self.task.style is None:
            if source is not None:
                raise UserError("style: the model takes none; `tacotron2/gst` is a recipe for one that does")
            return None
        if source is None:
            raise UserError("the model needs a recording whose style it is to imitate (--style-from)")
        if isinstance(source, np.ndarray):
            audio = torch.from_numpy(np.ascontiguousarray(source, dtype=np.float32))
        else:
            audio, _ = read_audio(source, self.sample_rate_hz)
        with torch.inference_mode():
            return self.task.target(audio[None].to(self.device), torch.tensor([len(audio)], device=self.device))

    def _plan(self, text: str, seed: int) -> list[_Piece] | UserError:
        tokenizer = self.task.tokenizer
        pieces = []
        for place, sentence in enumerate(self._sentences(text)):
            try:
                # what is left of a sentence may be punctuation alone
                if any(character.isalnum() for character in sentence):
                    pieces.append(_Piece(sentence, tokenizer.encode(sentence), seed + place * _SEED_STRIDE))
            except ValueError as error:
                return UserError(str(error))
        return pieces or UserError(f"nothing to say in {text[:60]!r}")

    def _sentences(self, text: str) -> list[str]:
        """The text's sentences, normalised first: only then is every period the end of one."""
        tokenizer = self.task.tokenizer
        if not isinstance(tokenizer, SpeechTokenizer):  # others may leave out the punctuation that ends sentences
            return split_sentences(text, LONGEST)
        return [
            sentence
            for paragraph in paragraphs(text)
            for sentence in split_sentences(tokenizer.normalise(paragraph), LONGEST)
        ]

    def _speak(self, pieces: list[_Piece], speaker: int, reference: Spectrogram | None) -> None:
        waiting = pieces
        for attempt in range(ATTEMPTS):
            made = self._spectrograms(waiting, speaker, reference, attempt)
            good = [row for row, piece in enumerate(waiting) if self._is_whole(made, row, piece)]
            if good:
                self._keep([waiting[row] for row in good], made, good, attempt + 1)
            waiting = [piece for row, piece in enumerate(waiting) if row not in set(good)]
            if not waiting:
                return
        for piece in waiting:
            piece.failed = True

    @torch.inference_mode()
    def _spectrograms(
        self, pieces: list[_Piece], speaker: int, reference: Spectrogram | None, attempt: int
    ) -> Prediction:
        tokens = [torch.tensor(piece.tokens) for piece in pieces]
        lengths = torch.tensor([len(ids) for ids in tokens], device=self.device)
        seeds = torch.tensor([piece.seed + attempt * _SEED_STRIDE**2 for piece in pieces], device=self.device)
        if reference is not None:
            rows = len(pieces)
            reference = Spectrogram(reference.mel.expand(rows, -1, -1), reference.lengths.expand(rows))
        padded = pad_sequence(tokens, batch_first=True).to(self.device)
        with autocast(self.precision, self.device.type):
            return self.task.synthesise(padded, lengths, torch.full_like(lengths, speaker), reference, seeds)

    def _is_whole(self, made: Prediction, row: int, piece: _Piece) -> bool:
        """Whether the utterance came to an end, and not before it had heard most of its text."""
        steps, tokens = int(made.step_lengths[row]), len(piece.tokens)
        heard = made.alignments[row, :steps, :tokens].float().amax(0) > 1 / max(2, tokens)
        return bool(made.finished[row]) and float(heard.float().mean()) > _SMALLEST_COVERAGE

    @torch.inference_mode()
    def _keep(self, pieces: list[_Piece], made: Prediction, rows: list[int], attempts: int) -> None:
        longest = int(made.spectrogram.lengths[rows].max())
        magnitude = made.spectrogram.magnitude
        spectrogram = Spectrogram(
            made.spectrogram.mel[rows, :longest].float(),
            made.spectrogram.lengths[rows],
            None if magnitude is None else magnitude[rows, :longest].float(),
        )
        seeds = torch.tensor([piece.seed for piece in pieces], device=self.device)
        audio = self.vocoder(spectrogram, seeds).cpu()
        samples = self.task.features.samples(spectrogram.lengths).tolist()
        for place, (piece, row) in enumerate(zip(pieces, rows, strict=True)):
            steps, frames = int(made.step_lengths[row]), int(made.spectrogram.lengths[row])
            piece.audio = audio[place, : samples[place]].numpy()
            piece.alignment = made.alignments[row, :steps, : len(piece.tokens)].float().cpu()
            piece.mel = made.spectrogram.mel[row, :frames].float().cpu()
            piece.attempts = attempts

    def _joined(self, text: str, pieces: list[_Piece]) -> Speech | UserError:
        failed = [piece for piece in pieces if piece.failed]
        if failed:
            return UserError(
                f"{failed[0].text[:60]!r}: the model came to no end in {ATTEMPTS} attempts; "
                "another seed or other words may help"
            )
        pause = np.zeros(round(PAUSE_S * self.sample_rate_hz), dtype=np.float32)
        parts, sentences, start = [], [], 0
        for number, piece in enumerate(pieces):
            assert piece.audio is not None
            assert piece.alignment is not None
            assert piece.mel is not None
            if number:
                parts.append(pause)
                start += len(pause)
            end = start + len(piece.audio)
            times = (round(start / self.sample_rate_hz, 4), round(end / self.sample_rate_hz, 4))
            sentences.append(Sentence(piece.text, *times, piece.attempts, piece.alignment, piece.mel))
            parts.append(piece.audio)
            start = end
        return Speech(text, np.concatenate(parts), self.sample_rate_hz, sentences)


@dataclass
class _Piece:
    text: str
    tokens: list[int]
    seed: int
    failed: bool = False
    attempts: int = 0
    audio: np.ndarray | None = None
    alignment: Tensor | None = None
    mel: Tensor | None = None


def _groups(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    """Some batches' worth of texts at a time, so that results come while texts still come in."""
    group: list[str] = []
    for text in texts:
        group.append(text)
        if len(group) == 4 * size:
            yield group
            group = []
    if group:
        yield group


def _vocoder(name: str | Path, task: TextToSpeech) -> Vocoder | None:
    if str(name) == "checkpoint":
        return None
    if str(name) == "griffin-lim":
        return GriffinLim(task.features)
    from s2s_core.checkpoint import load_task

    if str(name) == "wavenet" and not Path(name).exists():
        raise UserError("--vocoder wavenet: a WaveNet is trained first, name its checkpoint; griffin-lim needs none")
    vocoder = getattr(load_task(name), "vocoder", None)
    if not isinstance(vocoder, Vocoder):
        raise UserError(f"--vocoder {name}: neither griffin-lim nor the checkpoint of a vocoder")
    return vocoder
