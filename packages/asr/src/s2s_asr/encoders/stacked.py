"""Encoders one after the other."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from s2s_asr.encoder_streams import ChainStream
from s2s_asr.encoders.recurrent import RecurrentEncoder
from s2s_asr.encoders.tdnn import TdnnBlock, TdnnEncoder
from s2s_asr.interfaces import Encoder, EncoderStream


class StackedEncoder(Encoder):
    """Feeds each encoder with the encodings of the one before: convolutions under recurrent layers, say.

    Args:
        encoders: first to last.

    Raises:
        ValueError: if there are none, or one does not take what the one before gives.
    """

    def __init__(self, encoders: list[Encoder]) -> None:
        super().__init__()
        if not encoders:
            raise ValueError("encoders: expected at least one")
        for number, (below, above) in enumerate(pairwise(encoders), start=1):
            if above.in_features != below.out_features:
                raise ValueError(
                    f"encoders[{number}].in_features is {above.in_features}, the one before gives {below.out_features}"
                )
        self.encoders = nn.ModuleList(encoders)
        self.in_features = encoders[0].in_features
        self.out_features = encoders[-1].out_features

    @classmethod
    def examples(cls) -> list[StackedEncoder]:
        """Small ones for the contract tests."""
        return [cls([TdnnEncoder(4, [TdnnBlock(6, 3, stride=2)]), RecurrentEncoder(6, 4, 1)])]

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x = features
        for encoder in self.encoders:
            x, lengths = encoder(x, lengths)
        return x, lengths

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """The last encoder's, of the lengths that come to it."""
        for encoder in self.encoders:
            lengths = encoder.output_lengths(lengths)  # type: ignore[operator]
        return lengths

    def stream(self) -> EncoderStream | None:
        """One after the other; None if one of them needs the whole utterance."""
        streams = [encoder.stream() for encoder in self.encoders]  # type: ignore[operator]
        return None if any(stream is None for stream in streams) else ChainStream(streams)
