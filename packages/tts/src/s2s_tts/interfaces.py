"""What flows between the parts of a synthesiser, and the parts' abstract classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from s2s_core.ceiling import ceil_div
from s2s_core.losses.reduction import LossSum
from s2s_core.part import Part
from s2s_tts.spectrogram import MelSpectrogram


@dataclass
class SpeechBatch:
    """Texts and their recordings, padded to the longest. Spectrograms are computed from it on the training device."""

    tokens: Tensor
    """``(batch, tokens)``, int64, zeros after each text's end."""
    token_lengths: Tensor
    """``(batch,)``."""
    audio: Tensor
    """``(batch, samples)``, float32 in [-1, 1], zeros after each recording's end; ``(batch, 0)`` without recordings."""
    audio_lengths: Tensor
    """``(batch,)``, samples."""
    speakers: Tensor
    """``(batch,)``, int64: places in the list of speakers; zeros where a model knows none."""
    ids: list[str]
    """The utterances' names in their manifest."""
    texts: list[str]
    """What is said, as the tokenizer normalises it."""


@dataclass
class Spectrogram:
    """Spectra of a batch, as targets, as references of style, and as what a vocoder makes audible."""

    mel: Tensor
    """``(batch, frames, bands)``, natural logarithms of mel bands' magnitudes, zero after each utterance's end."""
    lengths: Tensor
    """``(batch,)``, frames."""
    magnitude: Tensor | None = None
    """``(batch, frames, bins)``, natural logarithms of the linear spectrum's magnitudes, if there are any."""


@dataclass
class Prediction:
    """What a decoder makes of a batch of texts."""

    coarse: Tensor | None
    """``(batch, frames, bands)``, the mel spectrogram before the post-net, zero after each utterance's end; None of a
    decoder without one."""
    spectrogram: Spectrogram
    """After the post-net, if there is one. Lengths are the targets' under teacher forcing, else where the decoder
    stopped."""
    stop_logits: Tensor
    """``(batch, steps)``: is this step the last one? A step is as many frames as the decoder's reduction factor. Here
    and in the alignments, steps after an utterance's end may hold anything."""
    alignments: Tensor
    """``(batch, steps, tokens)``: how much each step attends to each token; rows sum to 1, padding has 0."""
    finished: Tensor
    """``(batch,)`` bool: whether the stop token ended the utterance, rather than the limit on its length."""
    reduction_factor: int = 1
    """Frames a step."""

    @property
    def step_lengths(self) -> Tensor:
        """``(batch,)``, steps of each utterance."""
        return ceil_div(self.spectrogram.lengths, self.reduction_factor)


@dataclass
class Memory:
    """Encoded texts, as a decoder attends to them."""

    values: Tensor
    """``(batch, tokens, features)``, zero after each text's end."""
    lengths: Tensor
    """``(batch,)``."""


class TextEncoder(Part, nn.Module, ABC):
    """Tokens to encodings."""

    vocab_size: int
    out_features: int

    @abstractmethod
    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Encode ``(batch, tokens)`` with true ``lengths`` (batch,).

        Returns:
            ``(batch, tokens, out_features)``, zero after each text's end.
        """


class StyleEncoder(Part, nn.Module, ABC):
    """A recording's spectrogram to a vector that says how it is spoken."""

    out_features: int

    @abstractmethod
    def forward(self, reference: Spectrogram) -> Tensor:
        """Embed the style of each reference: ``(batch, out_features)``."""


class SpectrogramDecoder(Part, nn.Module, ABC):
    """Encodings to a spectrogram, step by step.

    Dropout that a decoder keeps in synthesis is a function of each utterance's own seed and the step, so that an
    utterance sounds the same alone and in any batch.
    """

    in_features: int
    """The size of an encoding, style and speaker included."""
    num_mels: int
    magnitude_bins: int | None
    """The size of the linear spectrum that is predicted as well, if it is."""
    reduction_factor: int
    """Frames a step."""

    @abstractmethod
    def forward(self, memory: Memory, target: Spectrogram, seeds: Tensor | None = None) -> Prediction:
        """Predict each step from the true frames before it (teacher forcing).

        Args:
            memory: the encoded texts.
            target: what is to be predicted.
            seeds: ``(batch,)`` int64, of the dropout that stays on in evaluation; None draws it from torch's generator.
        """

    @abstractmethod
    def generate(self, memory: Memory, seeds: Tensor, max_frames: Tensor) -> Prediction:
        """Predict each step from the ones before, until the stop token.

        Args:
            memory: the encoded texts.
            seeds: ``(batch,)`` int64, one an utterance.
            max_frames: ``(batch,)``, where to stop an utterance that does not end.
        """


@dataclass
class SynthesisLoss:
    """A batch's loss and what it is made of."""

    sum: LossSum
    """What is minimised; the weight counts frames."""
    parts: dict[str, Tensor]
    """Totals by name, weighted, which add up to ``sum.total``."""


class Loss(Part, nn.Module, ABC):
    """A prediction and the true spectrogram to a number."""

    @abstractmethod
    def forward(self, prediction: Prediction, target: Spectrogram, token_lengths: Tensor) -> SynthesisLoss:
        """Compare the real frames; padding gets neither loss nor gradient."""


class Vocoder(Part, nn.Module, ABC):
    """Spectrograms to sound."""

    features: MelSpectrogram
    """What the spectrograms are that it takes; a synthesiser refuses a vocoder of other ones than its decoder's."""

    @abstractmethod
    def forward(self, spectrogram: Spectrogram, seeds: Tensor | None = None) -> Tensor:
        """Make spectrograms audible.

        Args:
            spectrogram: of a batch; a vocoder takes the mel or, where it can use it, the magnitude.
            seeds: ``(batch,)`` int64, one an utterance, for vocoders that draw; zeros if None.

        Returns:
            audio ``(batch, samples)``, float32 in [-1, 1], zero after each utterance's end, which is at
            ``features.samples(lengths)``. An utterance's audio does not depend on its batch-mates.
        """
