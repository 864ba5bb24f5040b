"""OpenSeq2Seq's TDNNEncoder (Jasper, QuartzNet, Wav2Letter+) as a part of this package."""

from __future__ import annotations

from typing import Any

from s2s_core.openseq2seq.convolutions import tdnn_blocks, tdnn_settings
from s2s_core.openseq2seq.settings import Old, Options, configured


def tdnn(options: Options, in_features: int, old: Old) -> tuple[dict[str, Any], int]:
    """``TDNNEncoder``, and the size of its encodings."""
    options.expect("use_conv_mask", True, "here convolutions always leave padding out")
    return convolutions(options, in_features, old)


def convolutions(options: Options, in_features: int, old: Old) -> tuple[dict[str, Any], int]:
    """The encoder of ``convnet_layers``, and the size of its encodings."""
    blocks = tdnn_blocks(options, old)
    init_args = {"in_features": in_features, "blocks": blocks, **tdnn_settings(options)}
    if (momentum := options.take("bn_momentum")) is not None:
        init_args["norm_momentum"] = round(1 - momentum, 6)
    if (drop := options.take("drop_block_prob", 0.0)) > 0:
        init_args |= {"drop_block_prob": drop, "drop_block_index": options.take("drop_block_index", -1)}
    options.skip("drop_block_index")
    options.finish()
    return configured("s2s_asr.encoders.tdnn.TdnnEncoder", **init_args), blocks[-1]["channels"]
