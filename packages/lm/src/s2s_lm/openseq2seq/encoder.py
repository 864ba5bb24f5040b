"""OpenSeq2Seq's LMEncoder as an encoder of this package."""

from __future__ import annotations

from typing import Any

from s2s_core.errors import UserError
from s2s_core.openseq2seq.settings import Old, Options, configured

WIKITEXT = {"wikitext-2": 33278, "wikitext-103": 267735}
"""The sizes of vocabularies; the old config names a folder, as ``wkt103-processed-data``."""
CELLS = ("WeightDropLayerNormBasicLSTMCell", "LayerNormBasicLSTMCell")


def corpus(old: Old) -> str:
    """The corpus whose vocabulary the model has: WikiText-103 where it is named, else WikiText-2."""
    keys = ("lm_vocab_file", "processed_data_folder")
    data_root = (old.params.get("data_layer_params") or {}).get("data_root")
    named = " ".join(str(value) for value in (*(old.take(key) for key in keys), data_root))
    return "wikitext-103" if "103" in named else "wikitext-2"


def encoder(options: Options, vocab_size: int) -> tuple[dict[str, Any], int]:
    """``LMEncoder``, and the size of its encodings: layer-norm LSTM cells, or cuDNN's LSTM, dropped as in AWD-LSTM.

    Raises:
        UserError: if its cell has no counterpart.
    """
    cell, cudnn = (str(options.take(key)).rpartition(".")[2] for key in ("core_cell", "cudnn_rnn_type"))
    fused = options.take("use_cudnn_rnn", False)
    if fused and cudnn not in ("CudnnLSTM", "CudnnGRU"):
        raise UserError(f"encoder_params.cudnn_rnn_type {cudnn}: expected CudnnLSTM or CudnnGRU")
    if not fused and cell not in CELLS:
        raise UserError(f"encoder_params.core_cell {cell}: expected {' or '.join(CELLS)}")
    cell_options = options.options("core_cell_params")
    hidden, forget_bias = cell_options.take("num_units"), cell_options.take("forget_bias", 1.0)
    cell_options.finish()
    tied, embedding = options.take("weight_tied", False), options.take("emb_size")
    sizes = {
        "vocab_size": vocab_size,
        "embedding_size": embedding,
        "hidden_size": hidden,
        "layers": options.take("encoder_layers"),
        "tied": None if tied else False,
    }
    drops = _drops(options)
    _finish(options)
    width = embedding if tied else hidden
    if fused:
        if drops["candidate"]:
            kept = round(1 - drops["candidate"], 6)
            options.tell("recurrent_keep_prob", kept, "cuDNN's cells dropped nothing within, nor do these")
        kind = "gru" if cudnn == "CudnnGRU" else None
        return configured(
            "s2s_lm.encoders.recurrent.AwdLstmEncoder",
            **sizes,
            rnn_type=kind,
            dropout={
                "word": 0.0,
                "inputs": drops["embedding"],
                "hidden": drops["outputs"],
                "outputs": drops["last"],
                "weights": drops["weights"],
            },
            activation_penalty=0.0,
            temporal_penalty=0.0,
        ), width
    if drops["last"] != drops["outputs"]:
        options.tell("encoder_last_output_keep_prob", 1 - drops["last"], "the other layers' here")
    del drops["last"]
    bias = forget_bias if forget_bias != 1.0 else None
    path = "s2s_lm.encoders.layer_norm_lstm.LayerNormLstmEncoder"
    return configured(path, **sizes, dropout=drops, forget_bias=bias), width


def _drops(options: Options) -> dict[str, float]:
    return {
        "embedding": options.drop("encoder_emb_keep_prob"),
        "outputs": options.drop("encoder_dp_output_keep_prob"),
        "last": options.drop("encoder_last_output_keep_prob"),
        "candidate": options.drop("recurrent_keep_prob"),
        "weights": options.drop("recurrent_weight_keep_prob"),
    }


def _finish(options: Options) -> None:
    for key in ("encoder_dp_input_keep_prob", "encoder_last_input_keep_prob", "input_weight_keep_prob"):
        options.expect(key, 1.0, "layers' inputs keep all but what is dropped behind the layer before")
    options.expect("encoder_use_skip_connections", False, "no skip connections here")
    options.expect("sampling_prob", 0.0, "no scheduled sampling here")
    options.skip("initializer", "initializer_params", "awd_initializer", "fc_use_bias", "end_token", "num_tokens_gen")
    options.skip("seed_tokens", "schedule_learning", "time_major", "use_swap_memory", "weight_variational")
    options.skip("variational_recurrent", "dropout_seed")
    options.finish()
