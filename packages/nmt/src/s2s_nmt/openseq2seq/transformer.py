"""OpenSeq2Seq's Transformer encoder and decoder as parts of this package."""

from __future__ import annotations

from typing import Any

from s2s_core.openseq2seq.settings import Old, Options, configured

EPSILON = 1e-5
"""Of norms here, where nothing else is said."""


def encoder(options: Options, vocab_size: int, old: Old) -> tuple[dict[str, Any], int]:
    """``TransformerEncoder``, and the size of its encodings."""
    layers, layer = options.take("encoder_layers"), _layer(options)
    options.skip("pad_embeddings_2_eight", "remove_padding", "initializer", "initializer_params")
    options.finish()
    path = "s2s_nmt.encoders.transformer.TransformerEncoder"
    return configured(path, vocab_size=vocab_size, layers=layers, layer=layer), layer["features"]


def decoder(options: Options, width: int, vocab_size: int, old: Old) -> tuple[dict[str, Any], dict[str, Any]]:
    """``TransformerDecoder``, and its search."""
    layers, layer = options.take("num_hidden_layers"), _layer(options)
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


def _layer(options: Options) -> dict[str, Any]:
    return {
        "features": options.take("hidden_size"),
        "heads": options.take("num_heads"),
        "inner": options.take("filter_size"),
        "dropout": options.take("layer_postprocess_dropout", 0.0),
        "attention_dropout": options.take("attention_dropout", 0.0),
        "inner_dropout": options.take("relu_dropout", 0.0),
        "attention_bias": False,
        **_norm(options.options("norm_params")),
    }


def _norm(options: Options) -> dict[str, Any]:
    """``norm_params``, where they ask for another norm than the usual one of layers."""
    kind, momentum, eps = options.take("type", "layernorm_L2"), options.take("momentum", 0.95), options.take("epsilon")
    affine = options.take("center_scale", False)
    options.finish()
    if kind == "batch_norm":
        if not affine:
            options.tell("center_scale", affine, "batch norm has weights and biases here")
        return {"norm": "batch", "norm_momentum": round(1 - momentum, 6), "norm_eps": eps or EPSILON}
    if kind != "layernorm_L2":
        options.tell("type", kind, "layer norm here")
    return {"norm_eps": eps} if eps not in (None, EPSILON) else {}
