"""OpenSeq2Seq's Transformer encoder and decoder as parts of this package."""

from __future__ import annotations

from typing import Any

from s2s_core.openseq2seq.settings import Old, Options, configured


def encoder(options: Options, vocab_size: int, old: Old) -> tuple[dict[str, Any], int]:
    """``TransformerEncoder``, and the size of its encodings."""
    layers, layer = options.take("encoder_layers"), _layer(options, old)
    options.skip("pad_embeddings_2_eight", "remove_padding", "initializer", "initializer_params")
    options.finish()
    path = "s2s_nmt.encoders.transformer.TransformerEncoder"
    return configured(path, vocab_size=vocab_size, layers=layers, layer=layer), layer["features"]


def decoder(options: Options, width: int, vocab_size: int, old: Old) -> tuple[dict[str, Any], dict[str, Any]]:
    """``TransformerDecoder``, and its search."""
    layers, layer = options.take("num_hidden_layers"), _layer(options, old)
    search = translation_search(options)
    options.skip("EOS_ID", "GO_SYMBOL", "END_SYMBOL", "PAD_SYMBOL", "initializer", "initializer_params")
    options.finish()
    path = "s2s_nmt.decoders.transformer.TransformerDecoder"
    return configured(path, in_features=width, vocab_size=vocab_size, layers=layers, layer=layer), search


def translation_search(options: Options) -> dict[str, Any]:
    """The beam of decoders that search by themselves."""
    return {
        "beam_width": options.take("beam_size", 4),
        "length_penalty": options.take("alpha", 0.6),
        "max_length_extra": options.take("extra_decode_length", 50),
    }


def _layer(options: Options, old: Old) -> dict[str, Any]:
    norm = options.options("norm_params")
    norm.expect("type", "layernorm_L2", "layer norm here")
    norm.skip("momentum", "epsilon", "center_scale", "regularizer", "regularizer_params")
    norm.finish()
    return {
        "features": options.take("hidden_size"),
        "heads": options.take("num_heads"),
        "inner": options.take("filter_size"),
        "dropout": options.take("layer_postprocess_dropout", 0.0),
        "attention_dropout": options.take("attention_dropout", 0.0),
        "inner_dropout": options.take("relu_dropout", 0.0),
        "attention_bias": False,
    }
