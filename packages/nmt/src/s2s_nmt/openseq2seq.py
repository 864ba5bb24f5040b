"""OpenSeq2Seq's configs of the Transformer for translation as configs of this package."""

from __future__ import annotations

from typing import Any

from s2s_core.errors import UserError
from s2s_core.openseq2seq.settings import Old, Options, gradient_rules, optimizer, schedule

VOCABULARY = 32768
"""Of the WMT recipes, padded to a multiple of eight; the old config names a file and no size."""


def convert(old: Old) -> dict[str, Any]:
    """The model and data sections of an old config.

    Raises:
        UserError: if it is not of a Transformer.
    """
    encoder, decoder = old.part("encoder"), old.part("decoder")
    if (encoder, decoder) != ("TransformerEncoder", "TransformerDecoder"):
        raise UserError(f"encoder {encoder} with {decoder}: converted is TransformerEncoder with TransformerDecoder")
    layer_data = old.options("data_layer_params")
    old.take("data_layer")
    smoothing = old.options("loss_params").take("label_smoothing", 0.0)
    old.taken |= {"loss", "loss_params"}
    encoder_args = _encoder(old.options("encoder_params"))
    decoder_args, search = _decoder(old.options("decoder_params"))
    same = layer_data.take("src_vocab_file") == layer_data.take("tgt_vocab_file")
    model = {
        "source_tokenizer": _tokenizer("vocabulary.model" if same else "source.model"),
        **({} if same else {"target_tokenizer": _tokenizer("target.model")}),
        "share_embeddings": same,
        "encoder": {"class_path": "s2s_nmt.encoders.transformer.TransformerEncoder", "init_args": encoder_args},
        "decoder": {"class_path": "s2s_nmt.decoders.transformer.TransformerDecoder", "init_args": decoder_args},
        "loss": {
            "class_path": "s2s_nmt.losses.cross_entropy.CrossEntropyLoss",
            "init_args": {"label_smoothing": smoothing},
        },
        "search": {"class_path": "s2s_core.decoding.beam_search.BeamSearch", "init_args": search},
        "optimizer": optimizer(old),
        **({"schedule": found} if (found := schedule(old)) else {}),
        **gradient_rules(old),
    }
    data = _data(layer_data, old)
    return {
        "model": {"class_path": "s2s_nmt.task.TextToText", "init_args": model},
        "data": {"class_path": "s2s_nmt.data.ParallelData", "init_args": data},
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
    }


def _encoder(options: Options) -> dict[str, Any]:
    layers = options.take("encoder_layers")
    found = {"vocab_size": VOCABULARY, "layers": layers, "layer": _layer(options)}
    options.skip("pad_embeddings_2_eight", "remove_padding", "norm_params", "initializer", "initializer_params")
    options.finish()
    return found


def _decoder(options: Options) -> tuple[dict[str, Any], dict[str, Any]]:
    layer = _layer(options)
    layers = options.take("num_hidden_layers")
    found = {"in_features": layer["features"], "vocab_size": VOCABULARY, "layers": layers, "layer": layer}
    search = {
        "beam_width": options.take("beam_size", 4),
        "length_penalty": options.take("alpha", 0.6),
        "max_length_extra": options.take("extra_decode_length", 50),
    }
    options.skip("EOS_ID", "GO_SYMBOL", "END_SYMBOL", "PAD_SYMBOL", "norm_params", "initializer", "initializer_params")
    options.finish()
    return found, search


def _data(layer: Options, old: Old) -> dict[str, Any]:
    size, longest = old.take("batch_size_per_gpu"), layer.take("max_length") or 256
    data = {
        "train": "data/train.arrow",
        "validation": "data/validation.arrow",
        "test": "data/test.arrow",
        "batch_size": size,
        "batch_tokens": size * 2 * longest,
        "max_length": longest,
    }
    source, target = layer.take("source_file"), layer.take("target_file")
    old.notes.append(f"data: prepare {source} and {target} with 'lightning run nmt prepare' into data/, and set both")
    old.notes.append(f"vocab_size: {VOCABULARY} stands for the size of the old vocabulary file; put yours")
    layer.skip("pad_vocab_to_eight", "delimiter", "shuffle", "shuffle_buffer_size", "repeat", "map_parallel_calls")
    layer.skip("prefetch_buffer_size", "pad_data_to_eight", "special_tokens_already_in_vocab")
    layer.finish()
    return data


def _tokenizer(name: str) -> dict[str, Any]:
    path = "s2s_core.text.sentences.SubwordTokenizer"
    return {"class_path": path, "init_args": {"model_file": f"data/{name}"}}
