"""OpenSeq2Seq's DeepSpeech2Encoder as a part of this package."""

from __future__ import annotations

from typing import Any

from s2s_core.openseq2seq.settings import Old, Options


def deepspeech2(options: Options, in_features: int, old: Old) -> tuple[dict[str, Any], int]:
    """``DeepSpeech2Encoder``, and the size of its encodings."""
    width = options.take("n_hidden")
    convolutions = [
        {"out_channels": row["num_channels"], "kernel": list(row["kernel_size"]), "stride": list(row["stride"])}
        for row in options.take("conv_layers")
    ]
    cell = str(options.take("rnn_type")).removeprefix("cudnn_")
    init_args: dict[str, Any] = {
        "in_features": in_features,
        "conv_layers": convolutions,
        "rnn_type": cell,
        "rnn_layers": options.take("num_rnn_layers"),
        "rnn_size": options.take("rnn_cell_dim"),
        "bidirectional": not options.take("rnn_unidirectional"),
        "out_features": width,
        "dropout": round(1 - options.take("dropout_keep_prob", 1.0), 6),
    }
    if options.take("row_conv", False):
        init_args["row_conv_width"] = options.take("row_conv_width", 8)
    options.skip("use_cudnn_rnn", "activation_fn", "data_format", "initializer", "initializer_params", "row_conv_width")
    options.finish()
    return {"class_path": "s2s_asr.encoders.deepspeech2.DeepSpeech2Encoder", "init_args": init_args}, width
