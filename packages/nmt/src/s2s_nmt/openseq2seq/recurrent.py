"""OpenSeq2Seq's recurrent encoders and decoders of translation as parts of this package."""

from __future__ import annotations

from typing import Any

from s2s_core.errors import UserError
from s2s_core.openseq2seq.settings import Old, Options, configured

CELLS = {"LSTMCell": "lstm", "BasicLSTMCell": "lstm", "LSTMBlockCell": "lstm", "GRUCell": "gru"}
CELLS |= {"LayerNormBasicLSTMCell": "layer_norm_lstm"}
ATTENTIONS: dict[str, dict[str, Any]] = {
    "bahdanau": {"score": "bahdanau"},
    "luong": {"score": "luong"},
    "gnmt": {"score": "bahdanau", "placement": "gnmt"},
    "gnmt_v2": {"score": "bahdanau", "placement": "gnmt_v2"},
}
HOME = "s2s_nmt.encoders"


def bidirectional(options: Options, vocab_size: int, old: Old) -> tuple[dict[str, Any], int]:
    """``BidirectionalRNNEncoderWithEmbedding``, and the size of its encodings."""
    sizes = _encoder(options, vocab_size)
    return configured(f"{HOME}.rnn.RnnEncoder", **sizes), 2 * sizes["rnn"]["hidden_size"]


def unidirectional(options: Options, vocab_size: int, old: Old) -> tuple[dict[str, Any], int]:
    """``UnidirectionalRNNEncoderWithEmbedding``, and the size of its encodings."""
    sizes = _encoder(options, vocab_size)
    return configured(f"{HOME}.rnn.RnnEncoder", **sizes, bidirectional=False), sizes["rnn"]["hidden_size"]


def gnmt(options: Options, vocab_size: int, old: Old) -> tuple[dict[str, Any], int]:
    """``GNMTLikeEncoderWithEmbedding``, and the size of its encodings."""
    sizes = _encoder(options, vocab_size)
    return configured(f"{HOME}.gnmt.GnmtEncoder", **sizes), sizes["rnn"]["hidden_size"]


def gnmt_cudnn(options: Options, vocab_size: int, old: Old) -> tuple[dict[str, Any], int]:
    """``GNMTLikeEncoderWithEmbedding_cuDNN``, whose layers all have skip connections, as above."""
    size, layers, cell = (options.take(f"encoder_{key}") for key in ("cell_units", "layers", "cell_type"))
    rnn = {"hidden_size": size, "num_layers": layers, "cell": cell, "residual": True}
    rnn["output_dropout"] = options.drop("encoder_dp_output_keep_prob")
    found = {"vocab_size": vocab_size, "embedding_size": options.take("src_emb_size"), "rnn": rnn}
    options.skip("initializer", "initializer_params")
    options.finish()
    return configured(f"{HOME}.gnmt.GnmtEncoder", **found), size


def decoder(options: Options, width: int, vocab_size: int, old: Old) -> tuple[dict[str, Any], dict[str, Any]]:
    """``RNNDecoderWithAttention``, and the beam of ``infer_params``, which had a decoder of its own."""
    kind = options.take("attention_type")
    if kind not in ATTENTIONS:
        raise UserError(f"decoder_params.attention_type {kind!r}: expected {', '.join(ATTENTIONS)}")
    scaled = [options.take(key, False) for key in ("bahdanau_normalize", "luong_scale")]
    attention = {**ATTENTIONS[kind], "size": options.take("attention_layer_size")}
    if any(scaled) or kind.startswith("gnmt"):  # OpenSeq2Seq's GNMT normalised its scores always
        attention["scaled"] = True
    part = configured(
        "s2s_nmt.decoders.rnn.RnnDecoder",
        vocab_size=vocab_size,
        in_features=width,
        embedding_size=options.take("tgt_emb_size"),
        rnn=_layers(options, "decoder"),
        attention=attention,
        tie_output=options.take("weight_tied", False) or None,
    )
    searched = dict(old.inference.get("decoder_params") or {})
    search = {
        "beam_width": options.take("beam_width", searched.get("beam_width", 10)),
        "length_penalty": options.take("length_penalty", searched.get("length_penalty", 1.0)),
        "max_length_ratio": 2.0,
        "max_length_extra": 0,
    }
    options.skip("GO_SYMBOL", "END_SYMBOL", "PAD_SYMBOL")
    _finish(options)
    return part, search


def _encoder(options: Options, vocab_size: int) -> dict[str, Any]:
    size = options.take("src_emb_size")
    found = {"vocab_size": vocab_size, "embedding_size": size, "rnn": _layers(options, "encoder")}
    _finish(options)
    return found


def _layers(options: Options, side: str) -> dict[str, Any]:
    name = str(options.take("core_cell")).rpartition(".")[2]
    if name not in CELLS:
        raise UserError(f"{side}_params.core_cell {name}: has no counterpart; known are {', '.join(CELLS)}")
    cell = options.options("core_cell_params")
    rnn: dict[str, Any] = {"hidden_size": cell.take("num_units"), "num_layers": options.take(f"{side}_layers")}
    if CELLS[name] != "lstm":
        rnn["cell"] = CELLS[name]
    if options.take(f"{side}_use_skip_connections", False):
        rnn["residual"] = True
    for key in ("input", "output"):
        if drop := options.drop(f"{side}_dp_{key}_keep_prob"):
            rnn[f"{key}_dropout"] = drop
    if (bias := cell.take("forget_bias", 1.0)) != 1.0:
        rnn["forget_bias"] = bias
    cell.finish()
    if "uniform" in str(options.take("initializer")) and (
        bound := options.options("initializer_params").take("maxval")
    ):
        rnn["init_range"] = bound
    return rnn


def _finish(options: Options) -> None:
    options.skip("initializer_params", "use_swap_memory", "time_major")
    options.finish()
