"""Tacotron 2's decoder: frames one after another from what attention finds in the text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s_core.ceiling import ceil_div
from s2s_core.nn.dropout import dropout
from s2s_core.nn.frames import frame_layout
from s2s_core.nn.linear import Linear, linear
from s2s_core.nn.location_attention import LocationAttention
from s2s_core.nn.mask import length_mask
from s2s_core.nn.rnn import Recurrent
from s2s_tts.decoders.attention_recurrence import LoopOptions, attention_recurrence
from s2s_tts.decoders.postnet import MagnitudeNet, Postnet
from s2s_tts.decoders.prenet import Prenet
from s2s_tts.decoders.synthesis_loop import NativeLoop, PackedWeights, TorchLoop, can_run
from s2s_tts.interfaces import Memory, Prediction, Spectrogram, SpectrogramDecoder


@dataclass
class Tacotron2Sizes:
    """The published sizes."""

    prenet: int = 256
    prenet_layers: int = 2
    prenet_dropout: float = 0.5
    """On in synthesis too."""
    rnn: int = 1024
    """Of the attention's and of the decoder's LSTM."""
    rnn_dropout: float = 0.1
    attention: int = 128
    filters: int = 32
    kernel: int = 31
    """OpenSeq2Seq had 32 taps, which centre on no token."""
    postnet: int = 512
    """Channels; 0 for no post-net."""
    postnet_layers: int = 5
    postnet_kernel: int = 5
    postnet_dropout: float = 0.5


_PUBLISHED = Tacotron2Sizes()


class Tacotron2Decoder(SpectrogramDecoder):
    """Prenet, attention LSTM, location-sensitive attention, decoder LSTM, projection, post-net (Shen et al. 2018, 2.2).

    As in the paper the stop token is read off the decoder's state and the context; OpenSeq2Seq read it off the
    predicted frame. Dropout of the LSTMs acts on what leaves them, not on what they remember. With a reduction factor
    (Wang et al. 2017, section 3.4) a step gives several frames and sees the last of them.

    Args:
        in_features: the size of an encoding.
        num_mels: mel bands.
        magnitude_bins: size of the linear spectrum that is predicted from the mel, if one is.
        reduction_factor: frames a step.
        forward_attention: see `LocationAttention`.
        stop_threshold: a stop probability above it ends an utterance.
        sizes: the rest.
    """

    def __init__(
        self,
        in_features: int,
        num_mels: int = 80,
        magnitude_bins: int | None = None,
        reduction_factor: int = 1,
        forward_attention: bool = False,
        stop_threshold: float = 0.5,
        sizes: Tacotron2Sizes = _PUBLISHED,
    ) -> None:
        super().__init__()
        if reduction_factor < 1:
            raise ValueError(f"reduction_factor must be at least 1, got {reduction_factor}")
        self.in_features = in_features
        self.num_mels = num_mels
        self.magnitude_bins = magnitude_bins
        self.reduction_factor = reduction_factor
        self.stop_threshold = stop_threshold
        self.rnn_dropout = sizes.rnn_dropout
        self.packed: tuple[Any, PackedWeights] | None = None
        self.prenet = Prenet(num_mels, sizes.prenet, sizes.prenet_layers, sizes.prenet_dropout)
        self.attention_rnn = nn.LSTMCell(self.prenet_size + in_features, sizes.rnn)
        self.attention = LocationAttention(
            sizes.rnn, in_features, sizes.attention, sizes.filters, sizes.kernel, forward_attention
        )
        self.decoder_rnn = Recurrent("lstm", sizes.rnn + in_features, sizes.rnn)
        self.projection = Linear(sizes.rnn + in_features, num_mels * reduction_factor)
        self.stop = Linear(sizes.rnn + in_features, 1)
        postnet = (sizes.postnet, sizes.postnet_kernel, sizes.postnet_layers, sizes.postnet_dropout)
        self.postnet = Postnet(num_mels, *postnet) if sizes.postnet else None
        self.magnitude = MagnitudeNet(num_mels, magnitude_bins) if magnitude_bins else None

    @property
    def prenet_size(self) -> int:
        """The size of what the attention's LSTM sees of a frame."""
        return self.prenet.size if len(self.prenet.layers) else self.num_mels

    @classmethod
    def examples(cls) -> list[Tacotron2Decoder]:
        """Small ones for the contract tests."""
        small = Tacotron2Sizes(prenet=6, rnn=8, attention=5, filters=3, kernel=5, postnet=7, rnn_dropout=0.0)
        small.postnet_dropout = 0.0
        return [
            cls(9, 4, sizes=small),
            cls(9, 4, magnitude_bins=6, reduction_factor=2, sizes=small),
            cls(
                9, 4, reduction_factor=3, forward_attention=True, sizes=Tacotron2Sizes(**{**vars(small), "postnet": 0})
            ),
        ]

    def forward(self, memory: Memory, target: Spectrogram, seeds: Tensor | None = None) -> Prediction:
        time = target.mel.shape[1]
        steps = ceil_div(time, self.reduction_factor)
        shown = target.mel[:, self.reduction_factor - 1 :: self.reduction_factor][:, : steps - 1]
        frames = self.prenet(F.pad(shown, (0, 0, 1, 0)), seeds).transpose(0, 1)
        # values of padding may be anything: attention gives them no weight
        values = memory.values
        mask = length_mask(memory.lengths, values.shape[1])
        weight, split = self.attention_rnn.weight_ih, self.prenet_size
        gates = linear(frames, weight[:, :split], self.attention_rnn.bias_ih + self.attention_rnn.bias_hh)
        recurrent = torch.cat((weight[:, split:], self.attention_rnn.weight_hh), dim=1)
        options = LoopOptions(mask, self._keep(gates), self.attention.only_forward)
        hidden, contexts, weights = attention_recurrence(
            gates, self.attention.keys(values), values, recurrent, self.attention, options
        )
        outputs = self._decoder_states(torch.cat((hidden, contexts), dim=2).to(gates.dtype))
        read = torch.cat((outputs, contexts.to(outputs.dtype)), dim=2).transpose(0, 1)
        coarse = self.projection(read).unflatten(2, (self.reduction_factor, self.num_mels)).flatten(1, 2)[:, :time]
        finished = torch.ones_like(memory.lengths, dtype=torch.bool)
        stop = self.stop(read)[..., 0]
        return self._polished(coarse, target.lengths, stop, weights.transpose(0, 1), finished)

    def _keep(self, gates: Tensor) -> Tensor | None:
        if not self.training or not self.rnn_dropout:
            return None
        ones = torch.ones(*gates.shape[:2], gates.shape[2] // 4, device=gates.device)
        return dropout(ones, self.rnn_dropout)

    def _decoder_states(self, inputs: Tensor) -> Tensor:
        steps, rows, _ = inputs.shape
        state = self.decoder_rnn.initial_state(rows, inputs)
        outputs, _ = self.decoder_rnn.packed(inputs.flatten(0, 1), [rows] * steps, state)
        return dropout(outputs.unflatten(0, (steps, rows)), self.rnn_dropout, self.training)

    def _polished(
        self, coarse: Tensor, lengths: Tensor, stop_logits: Tensor, alignments: Tensor, finished: Tensor
    ) -> Prediction:
        layout = frame_layout(lengths, coarse.shape[1])
        frames = layout.enter(coarse)
        mel = self.postnet(frames, layout) if self.postnet is not None else frames
        magnitude = layout.leave(self.magnitude(mel, layout)) if self.magnitude is not None else None
        spectrogram = Spectrogram(layout.leave(mel), lengths, magnitude)
        before = layout.leave(frames) if self.postnet is not None else None
        return Prediction(before, spectrogram, stop_logits, alignments, finished, self.reduction_factor)

    def generate(self, memory: Memory, seeds: Tensor, max_frames: Tensor) -> Prediction:
        loop = NativeLoop(self, memory, seeds) if can_run(self, memory) else TorchLoop(self, memory, seeds)
        limits, first = self._limits(max_frames), 0
        while len(loop.rows):
            logits = loop.run(first, limits[loop.rows])
            steps = torch.arange(first + 1, first + len(logits) + 1, device=logits.device)[:, None]
            over = torch.sigmoid(logits.float()) > self.stop_threshold
            ends = over | (steps >= limits[loop.rows])
            gone, at = ends.any(0), ends.int().argmax(0)
            if bool(gone.any()):
                loop.leave(gone, over.gather(0, at[None])[0], first + at + 1)
            first += len(logits)
        coarse, stop_logits, alignments = loop.collected()
        lengths = torch.minimum(loop.steps * self.reduction_factor, max_frames)
        return self._polished(coarse[:, : int(lengths.max())], lengths, stop_logits, alignments, loop.finished)

    def _limits(self, max_frames: Tensor) -> Tensor:
        return (max_frames + self.reduction_factor - 1) // self.reduction_factor
