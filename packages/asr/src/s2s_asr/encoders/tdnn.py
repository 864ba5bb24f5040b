"""Time-delay networks of 1-D convolutions: Wav2Letter+, Jasper and QuartzNet."""

from __future__ import annotations

from s2s_asr.encoder_streams import window_of
from s2s_asr.interfaces import Encoder, EncoderStream
from s2s_core.nn.norm import NormName
from s2s_core.nn.tdnn import Activation, Tdnn, TdnnBlock

__all__ = ["Activation", "TdnnBlock", "TdnnEncoder"]


class TdnnEncoder(Tdnn, Encoder):
    """Blocks of convolutions along time: Wav2Letter+ (Collobert et al. 2016, as OpenSeq2Seq changed it), Jasper (Li et
    al. 2019) and QuartzNet (Kriman et al. 2019).

    Frames past an utterance's end are zero before every convolution (the original's ``use_conv_mask``, which it left
    off for Wav2Letter+; here always on) and, unlike in the original, left out of the batch-norm statistics: an
    utterance's result does not depend on its batch-mates or padding. Convolutions have a bias only without norm.
    Padding is symmetric, where TensorFlow's SAME is lopsided for the strided first layer.

    Args:
        in_features: size of a feature frame.
        blocks: the blocks, first to last.
        norm: after each convolution and each residual's 1x1 convolution.
        norm_momentum: share of the new value in batch norm's running statistics.
        activation: ``clipped_relu`` is ``min(max(x, 0), 20)``.
        drop_block_prob: probability, in training, that a residual block gives its residual alone (BlockOut).
        drop_block_index: index in ``blocks`` of a residual block that, in evaluation, gives its residual alone.

    Raises:
        ValueError: if there are no blocks, an index names no residual block, or a value is out of range.
    """

    def __init__(
        self,
        in_features: int,
        blocks: list[TdnnBlock],
        norm: NormName = "batch",
        norm_momentum: float = 0.1,
        activation: Activation = "relu",
        drop_block_prob: float = 0.0,
        drop_block_index: int | None = None,
    ) -> None:
        super().__init__(in_features, blocks, norm, norm_momentum, activation, drop_block_prob, drop_block_index)

    def stream(self) -> EncoderStream | None:
        """Over windows of the receptive field; None with instance or group norm, which look at the whole utterance."""
        reach = self.receptive_field // 2
        return None if self.norm in ("instance", "group") else window_of(self, reach, reach, self.stride)

    @classmethod
    def examples(cls) -> list[TdnnEncoder]:
        """Small ones for the contract tests: each kind of block, norm and activation."""
        strided = TdnnBlock(6, 5, stride=2)
        plain = [strided, TdnnBlock(8, 3, repeat=2), TdnnBlock(8, 3, dilation=2)]
        residual = [strided, *(TdnnBlock(c, 5, repeat=2, residual=True, separable=True) for c in (6, 8))]
        dense = [strided, *(TdnnBlock(c, 3, repeat=2, residual="dense") for c in (6, 8, 8)), TdnnBlock(7, 1)]
        return [
            cls(4, plain),
            cls(4, residual, activation="clipped_relu"),
            cls(4, dense),
            cls(4, dense, norm="layer"),
            cls(4, residual, norm="instance"),
            cls(4, plain, norm="none"),
        ]
