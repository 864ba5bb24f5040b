"""Recordings to labels with a trained checkpoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from s2s_core.data.audio_files import read_audio
from s2s_core.errors import UserError

if TYPE_CHECKING:
    from s2s_commands.sound_task import SoundClassifier
    from s2s_commands.spotting import KeywordSpotter, Spotting

Precision = Literal["32-true", "bf16"]
Source = str | Path | np.ndarray | Tensor

BATCH_SIZE = 64


@dataclass(frozen=True)
class Classification:
    """What a recording is taken for."""

    id: str
    """The file as it was named, or ``#N`` for the Nth array."""
    label: str
    probability: float
    probabilities: dict[str, float]
    """Of every class, the most likely first."""
    duration_s: float


class CommandClassifier:
    """Names recordings of any format, rate and channel count, and finds keywords in streams.

    The result of one recording does not depend on the others of its batch.

    Args:
        task: in evaluation mode, on its device.
        precision: ``"32-true"``, or ``"bf16"`` for encoder and decoder under bfloat16 autocast; features stay float32.

    Raises:
        ValueError: if the precision is unknown.
    """

    def __init__(self, task: SoundClassifier, precision: Precision = "32-true") -> None:
        if precision not in ("32-true", "bf16"):
            raise ValueError(f"precision must be '32-true' or 'bf16', got {precision!r}")
        self.task = task.eval()
        self.precision = precision
        self.device = next(task.encoder.parameters()).device
        self.sample_rate_hz = task.features.sample_rate_hz
        self.classes = list(task.classes)

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu", precision: Precision = "32-true") -> CommandClassifier:
        """Rebuild the classifier that ``fit`` wrote to ``path``.

        Raises:
            UserError: if the checkpoint is unreadable or of another task, or the device is not there.
        """
        from s2s_commands.sound_task import SoundClassifier
        from s2s_core.checkpoint import load_task

        task = load_task(path, task=SoundClassifier.name)
        assert isinstance(task, SoundClassifier)
        try:
            task = task.to(device)
        except (RuntimeError, AssertionError) as error:
            raise UserError(f"device '{device}' cannot be used: {str(error).splitlines()[0]}") from None
        return cls(task, precision)

    def classify(self, sources: Sequence[Source], batch_size: int = BATCH_SIZE) -> list[Classification]:
        """Return what each source is, in their order.

        Args:
            sources: paths, or arrays ``(samples,)`` at the model's own sample rate, floats in [-1, 1].
            batch_size: recordings at once; it changes no result.

        Raises:
            UserError: on the first source that cannot be read; it is named.
        """
        results = []
        for result in self.classify_each(sources, batch_size):
            if isinstance(result, UserError):
                raise result
            results.append(result)
        return results

    def classify_each(
        self, sources: Iterable[Source], batch_size: int = BATCH_SIZE
    ) -> Iterator[Classification | UserError]:
        """Yield what each source is, or the error that names it, in order and while the rest is still to come."""
        if isinstance(sources, str | Path):
            raise TypeError(f"sources: expected a list of recordings, got the one path '{sources}'")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        held: list[tuple[str, Tensor | UserError]] = []
        for index, source in enumerate(sources):
            held.append(self._opened(index, source))
            if len(held) == batch_size:
                yield from self._classified(held)
                held = []
        yield from self._classified(held)

    def spotter(self, settings: Spotting | None = None) -> KeywordSpotter:
        """A fresh listener for a stream of audio at `sample_rate_hz`."""
        from s2s_commands.spotting import KeywordSpotter

        return KeywordSpotter(self.probabilities, self.classes, self.sample_rate_hz, settings)

    @torch.inference_mode()
    def probabilities(self, audio: Tensor, lengths: Tensor) -> Tensor:
        """Probabilities ``(batch, classes)``, on the CPU, of padded audio ``(batch, samples)``."""
        features, lengths = self.task.features(audio.to(self.device), lengths.to(self.device))
        with self._autocast():
            logits = self.task.decoder(self.task.encoder(features, lengths))
        return logits.float().softmax(dim=1).cpu()

    def _autocast(self) -> AbstractContextManager[object]:
        return nullcontext() if self.precision == "32-true" else torch.autocast(self.device.type, dtype=torch.bfloat16)

    def _opened(self, index: int, source: Source) -> tuple[str, Tensor | UserError]:
        if isinstance(source, str | Path):
            try:
                return str(source), read_audio(source, self.sample_rate_hz)[0]
            except UserError as error:
                return str(source), error
        audio = torch.as_tensor(source, dtype=torch.float32)
        if audio.dim() != 1 or not len(audio):
            return f"#{index}", UserError(f"#{index}: samples have shape {tuple(audio.shape)}, expected (samples,)")
        return f"#{index}", audio

    def _classified(self, held: list[tuple[str, Tensor | UserError]]) -> Iterator[Classification | UserError]:
        audio = [sound for _, sound in held if isinstance(sound, Tensor)]
        rows = iter(())
        if audio:
            lengths = torch.tensor([len(sound) for sound in audio])
            rows = iter(self.probabilities(pad_sequence(audio, batch_first=True), lengths))
        for name, sound in held:
            yield sound if isinstance(sound, UserError) else self._result(name, next(rows), len(sound))

    def _result(self, name: str, row: Tensor, samples: int) -> Classification:
        order = row.argsort(descending=True).tolist()
        ranked = {self.classes[place]: float(row[place]) for place in order}
        label = self.classes[order[0]]
        return Classification(name, label, ranked[label], ranked, round(samples / self.sample_rate_hz, 3))
