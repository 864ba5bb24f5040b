"""OpenSeq2Seq's ConvS2S encoder and decoder as parts of this package."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from s2s_core.openseq2seq.settings import Old, Options, configured
from s2s_nmt.openseq2seq.transformer import translation_search


def encoder(options: Options, vocab_size: int, old: Old) -> tuple[dict[str, Any], int]:
    """``ConvS2SEncoder``, and the size of its encodings."""
    size = options.take("src_emb_size")
    part = configured(
        "s2s_nmt.encoders.convs2s.ConvS2SEncoder",
        vocab_size=vocab_size,
        embedding_size=size,
        attention_layers=options.take("att_layer_num"),
        layers=_layers(options),
    )
    options.finish()
    return part, size


def decoder(options: Options, width: int, vocab_size: int, old: Old) -> tuple[dict[str, Any], dict[str, Any]]:
    """``ConvS2SDecoder``, and its search."""
    tied, size, out = options.take("shared_embed", True), options.take("tgt_emb_size"), options.take("out_emb_size")
    part = configured(
        "s2s_nmt.decoders.convs2s.ConvS2SDecoder",
        vocab_size=vocab_size,
        in_features=width,
        embedding_size=size,
        output_size=out if out != size else None,
        output_dropout=options.drop("out_dropout_keep_prob"),
        tie_output=None if tied else False,
        layers=_layers(options),
    )
    search = translation_search(options)
    options.skip("EOS_ID", "GO_SYMBOL", "END_SYMBOL")
    options.finish()
    return part, search


def _layers(options: Options) -> dict[str, Any]:
    rows = [tuple(row) for row in options.take("conv_nchannels_kwidth")]
    blocks = [
        {"channels": channels, "kernel": kernel, "repeat": len(list(same))}
        for (channels, kernel), same in groupby(rows)
    ]
    options.expect("normalization_type", "weight_norm", "weight norm here")
    if abs((factor := options.take("scaling_factor", 0.5**0.5)) - 0.5**0.5) > 1e-6:
        options.tell("scaling_factor", factor, "the square root of a half here")
    if "gated_linear_units" not in (gate := str(options.take("conv_activation", "gated_linear_units"))):
        options.tell("conv_activation", gate, "gated linear units here")
    options.skip("pad_embeddings_2_eight", "PAD_SYMBOL", "init_var", "initializer", "initializer_params")
    return {
        "blocks": blocks,
        "embedding_dropout": options.drop("embedding_dropout_keep_prob"),
        "hidden_dropout": options.drop("hidden_dropout_keep_prob"),
        "positions": options.take("pos_embed", True),
        "max_length": options.take("max_input_length", 1024),
    }
