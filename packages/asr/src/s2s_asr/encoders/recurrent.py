"""Recurrent layers with a normalisation after each."""

from __future__ import annotations

from torch import Tensor, nn

from s2s_asr.encoder_streams import ChainStream, RecurrentStream, WindowStream
from s2s_asr.interfaces import Encoder, EncoderStream
from s2s_core.nn.dropout import Dropout
from s2s_core.nn.mask import length_mask
from s2s_core.nn.rnn import Recurrent, RnnType


class RecurrentEncoder(Encoder):
    """Recurrent layers, each followed by layer norm (Ba et al. 2016) and dropout; one encoding a frame.

    `DeepSpeech2Encoder` has no norm between its layers, as in OpenSeq2Seq. Put this behind a `TdnnEncoder` with a
    `StackedEncoder`: on a small corpus the two learn faster than convolutions alone (RESULTS.md, AN4).

    Args:
        in_features: the size of a frame.
        size: the size of one direction's state.
        layers: how many.
        rnn_type: LSTM or GRU.
        bidirectional: whether each layer also runs backwards; without it, an encoding does not depend on later frames.
        dropout: drop probability after each layer.

    Raises:
        ValueError: if there are no layers, or `Recurrent` refuses a value.
    """

    def __init__(
        self,
        in_features: int,
        size: int = 256,
        layers: int = 3,
        rnn_type: RnnType = "lstm",
        bidirectional: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"layers must be at least 1, got {layers}")
        self.in_features = in_features
        self.bidirectional = bidirectional
        self.out_features = size * (2 if bidirectional else 1)
        sizes = [in_features] + [self.out_features] * (layers - 1)
        self.layers = nn.ModuleList(Recurrent(rnn_type, n, size, bidirectional=bidirectional) for n in sizes)
        self.norms = nn.ModuleList(nn.LayerNorm(self.out_features) for _ in sizes)
        self.dropout = Dropout(dropout)

    @classmethod
    def examples(cls) -> list[RecurrentEncoder]:
        """Small ones for the contract tests."""
        return [cls(5, 4, 2), cls(5, 4, 2, rnn_type="gru"), cls(5, 6, 1, bidirectional=False)]

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x = features
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = self.dropout(norm(layer(x, lengths)[0]))
        # the norm's bias reaches padding too
        return x * length_mask(lengths, x.shape[1])[..., None], lengths

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """As many as there are frames."""
        return lengths

    def stream(self) -> EncoderStream | None:
        """The layers carry their state on; None if they run backwards too."""
        if self.bidirectional:
            return None
        streams: list[EncoderStream] = []
        for layer, norm in zip(self.layers, self.norms, strict=True):
            assert isinstance(layer, Recurrent)
            streams += [RecurrentStream(layer), WindowStream(norm, 0, 0)]
        return ChainStream(streams)
