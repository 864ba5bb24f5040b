"""Recordings to labels with a trained checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from s2s_commands.classify_each import EachClassifier, Precision
from s2s_core.data.audio_files import read_audio
from s2s_core.errors import UserError
from s2s_core.precision.inference import autocast

if TYPE_CHECKING:
    from s2s_commands.sound_task import SoundClassifier
    from s2s_commands.spotting import KeywordSpotter, Spotting

Source = str | Path | np.ndarray | Tensor


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


class CommandClassifier(EachClassifier["SoundClassifier", Source, Classification]):
    """Names recordings of any format, rate and channel count, and finds keywords in streams.

    Sources are paths, or arrays ``(samples,)`` at the model's own sample rate, floats in [-1, 1]. The result of one
    recording does not depend on the others of its batch.

    Args:
        task: in evaluation mode, on its device.
        precision: ``"32-true"``, or ``"bf16"`` for encoder and decoder under bfloat16 autocast; features stay float32.

    Raises:
        ValueError: if the precision is unknown.
    """

    kind = "recordings"
    batch_size = 64

    def __init__(self, task: SoundClassifier, precision: Precision = "32-true") -> None:
        super().__init__(task, precision)
        self.sample_rate_hz = task.features.sample_rate_hz

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu", precision: Precision = "32-true") -> CommandClassifier:
        """Rebuild the classifier that ``fit`` wrote to ``path``.

        Raises:
            UserError: if the checkpoint is unreadable or of another task, or the device is not there.
        """
        from s2s_commands.sound_task import SoundClassifier
        from s2s_core.checkpoint import load_task

        task = load_task(path, SoundClassifier.name, device)
        assert isinstance(task, SoundClassifier)
        return cls(task, precision)

    def spotter(self, settings: Spotting | None = None) -> KeywordSpotter:
        """A fresh listener for a stream of audio at `sample_rate_hz`."""
        from s2s_commands.spotting import KeywordSpotter

        return KeywordSpotter(self.probabilities, self.classes, self.sample_rate_hz, settings)

    @torch.inference_mode()
    def probabilities(self, audio: Tensor, lengths: Tensor) -> Tensor:
        """Probabilities ``(batch, classes)``, on the CPU, of padded audio ``(batch, samples)``."""
        features, lengths = self.task.features(audio.to(self.device), lengths.to(self.device))
        with autocast(self.precision, self.device.type):
            logits = self.task.decoder(self.task.encoder(features, lengths))
        return logits.float().softmax(dim=1).cpu()

    def _open(self, name: str, source: Source) -> Tensor:
        if isinstance(source, str | Path):
            return read_audio(source, self.sample_rate_hz)[0]
        audio = torch.as_tensor(source, dtype=torch.float32)
        if audio.dim() != 1 or not len(audio):
            raise UserError(f"{name}: samples have shape {tuple(audio.shape)}, expected (samples,)")
        return audio

    def _probabilities_of(self, opened: list[Tensor]) -> Tensor:
        lengths = torch.tensor([len(sound) for sound in opened])
        return self.probabilities(pad_sequence(opened, batch_first=True), lengths)

    def _answer(self, name: str, ranked: dict[str, float], opened: Tensor) -> Classification:
        label = next(iter(ranked))
        duration_s = round(len(opened) / self.sample_rate_hz, 3)
        return Classification(name, label, ranked[label], ranked, duration_s)
