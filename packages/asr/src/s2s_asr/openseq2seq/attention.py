"""OpenSeq2Seq's listen-attend-spell and joint CTC-attention models as parts of this package."""

from __future__ import annotations

from typing import Any

from s2s_asr.openseq2seq.tdnn import convolutions
from s2s_core.openseq2seq.settings import Old, Options, configured

DECODERS = "s2s_asr.decoders"


def encoder(options: Options, in_features: int, old: Old) -> tuple[dict[str, Any], int]:
    """``ListenAttendSpellEncoder``, and the size of its encodings."""
    rows = options.take("recurrent_layers") or []
    part, width = convolutions(options, in_features, old)
    stages = [part]
    for number, row in enumerate(rows):
        stage, width = _recurrent(Options(f"recurrent_layers[{number}]", dict(row), old), width)
        stages.append(stage)
    if len(stages) == 1:
        return part, width
    return configured("s2s_asr.encoders.stacked.StackedEncoder", encoders=stages), width


def _recurrent(row: Options, in_features: int) -> tuple[dict[str, Any], int]:
    size = row.take("hidden_dim")
    part = configured(
        "s2s_asr.encoders.recurrent.RecurrentEncoder",
        in_features=in_features,
        size=size,
        layers=row.take("num_layers", 1),
        rnn_type=str(row.take("type", "lstm")).removeprefix("cudnn_"),
        dropout=row.drop("dropout_keep_prob"),
    )
    row.finish()
    return part, 2 * size


def attention(options: Options, width: int, labels: int, search: dict[str, Any] | None) -> dict[str, Any]:
    """``ListenAttendSpellDecoder``; the search is its own, or, if None, that of the joint decoder around it."""
    sizes = options.options("attention_params")
    sizes.expect("attention_type", "chorowski", "location-sensitive attention here")
    sizes.expect("num_heads", 1, "one head here")
    sizes.skip("plot_attention", "use_coverage")  # drawn always; attention sees where it has been
    location = {"size": sizes.take("attention_dim"), "filters": 10, "kernel": 101}
    sizes.finish()
    options.expect("rnn_type", "lstm", "LSTM here")
    positions = 1024 if options.take("pos_embedding", False) else None
    part = configured(
        f"{DECODERS}.attention.AttentionDecoder",
        in_features=width,
        vocab_size=labels,
        embedding_size=options.take("tgt_emb_size"),
        layers={"hidden_size": options.take("hidden_dim"), "num_layers": options.take("num_layers")},
        attention=location,
        dropout=options.drop("dropout_keep_prob"),
        max_positions=positions,
        search=search,
    )
    options.skip("GO_SYMBOL", "END_SYMBOL", "use_language_model", "initializer", "initializer_params")
    return part


def las(options: Options, width: int, labels: int) -> dict[str, Any]:
    """``ListenAttendSpellDecoder`` on its own."""
    beam = options.take("beam_width", 4)
    part = attention(
        options, width, labels, configured(f"{DECODERS}.attention_search.AttentionSearch", beam_width=beam)
    )
    options.finish()
    return part


def joint(options: Options, width: int, labels: int) -> dict[str, Any]:
    """``JointCTCAttentionDecoder``; its search weighs CTC by 0.3, where OpenSeq2Seq's left CTC out."""
    inner = options.options("attn_decoder_params")
    part = attention(inner, width, labels, None)
    inner.finish()
    beam = options.options("beam_search_params")
    search = {"beam_width": beam.take("beam_width", 4), "ctc_weight": 0.3}
    beam.finish()
    options.options("language_model_params").expect("use_language_model", False, "give transcribe the model: --lm FILE")
    options.skip("attn_decoder", "ctc_decoder", "ctc_decoder_params", "GO_SYMBOL", "END_SYMBOL")
    options.finish()
    return configured(
        f"{DECODERS}.joint.JointDecoder",
        attention=part,
        search=configured(f"{DECODERS}.attention_search.AttentionSearch", **search),
    )


def joint_loss(options: Options) -> dict[str, Any]:
    """``MultiTaskCTCEntropyLoss``."""
    sequence = options.options("seq_loss_params")
    per_label = sequence.take("average_across_timestep", False)
    sequence.expect("do_mask", True, "padding never counts here")
    sequence.skip("offset_target_by_one")
    sequence.finish()
    options.skip("ctc_loss_params")
    weight = options.take("lambda_value", 0.25)
    options.finish()
    reduction = None if per_label else "utterance"
    return configured("s2s_asr.losses.joint.JointLoss", ctc_weight=weight, reduction=reduction)
