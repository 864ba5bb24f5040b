"""OpenSeq2Seq's Tacotron 2, with global style tokens or without, as parts of this package."""

from __future__ import annotations

from typing import Any

from s2s_core.errors import UserError
from s2s_core.openseq2seq.settings import Options, configured
from s2s_tts.openseq2seq.rows import alike
from s2s_tts.openseq2seq.speech import Speech


def encoder(options: Options, vocab_size: int) -> tuple[dict[str, Any], dict[str, Any] | None, int]:
    """``Tacotron2Encoder``, the style tokens within it, and the size of what both give."""
    convolutions = alike("encoder_params.conv_layers", options.take("conv_layers"))
    size = options.take("rnn_cell_dim")
    part = configured(
        "s2s_tts.encoders.tacotron2.Tacotron2Encoder",
        vocab_size=vocab_size,
        embedding_size=options.take("src_emb_size"),
        channels=convolutions.channels,
        conv_layers=convolutions.count,
        kernel=convolutions.kernel,
        rnn_size=size,
        rnn_layers=options.take("num_rnn_layers"),
        dropout=options.take("cnn_dropout_prob"),
    )
    options.expect("rnn_unidirectional", False, "both directions here")
    options.expect("zoneout_prob", 0.0, "no zoneout here")
    options.expect("rnn_dropout_prob", 0.0, "no dropout behind the recurrent layers here")
    style, width = None, 2 * size
    if options.take("style_embedding_enable", False):
        style, more = _style(options.options("style_embedding_params"))
        width += more
    options.skip("style_embedding_params", "activation_fn", "use_cudnn_rnn", "rnn_type", "data_format")
    options.skip("bn_momentum", "bn_epsilon", "initializer", "initializer_params")
    options.finish()
    return part, style, width


def _style(options: Options) -> tuple[dict[str, Any], int]:
    size = options.take("emb_size")
    part = configured(
        "s2s_tts.encoders.style_tokens.StyleTokens",
        out_features=size,
        tokens=options.take("num_tokens"),
        heads=options.take("num_heads"),
        channels=[row["num_channels"] for row in options.take("conv_layers")],
        rnn_size=options.take("rnn_cell_dim"),
    )
    options.expect("attention_layer_size", size, "the size of the style here")
    options.skip("num_rnn_layers", "rnn_unidirectional", "rnn_type", "bn_momentum", "bn_epsilon")
    options.finish()
    return part, size


def decoder(options: Options, width: int, speech: Speech) -> dict[str, Any]:
    """``Tacotron2Decoder``; only what differs from the published sizes is written."""
    sizes: dict[str, Any] = {
        "prenet": options.take("prenet_units", 256),
        "prenet_layers": options.take("prenet_layers", 2),
        "rnn": options.take("decoder_cell_units"),
        "rnn_dropout": options.take("dropout_prob", 0.0),
        "attention": options.take("attention_layer_size"),
        **_postnet(options),
    }
    if (kind := options.take("attention_type")) != "location":
        raise UserError(f"decoder_params.attention_type {kind!r}: expected 'location'")
    options.expect("decoder_layers", 2, "two layers here")
    options.expect("enable_prenet", True, "there is a prenet here")
    options.expect("zoneout_prob", 0.0, "no zoneout here")
    options.skip("attention_bias", "decoder_cell_type", "mask_decoder_sequence", "parallel_iterations", "time_major")
    options.skip("postnet_data_format", "postnet_bn_momentum", "postnet_bn_epsilon", "prenet_activation")
    options.skip("bahdanau_normalize", "use_swap_memory", "initializer", "initializer_params")
    options.finish()
    return configured(
        "s2s_tts.decoders.tacotron2.Tacotron2Decoder",
        in_features=width,
        num_mels=speech.mels,
        magnitude_bins=speech.bins,
        sizes=sizes,
    )


def _postnet(options: Options) -> dict[str, Any]:
    options.expect("enable_postnet", True, "there is a post-net here")
    keep = options.drop("postnet_keep_dropout_prob", 0.5)
    rows = options.take("postnet_conv_layers")
    within = alike("decoder_params.postnet_conv_layers", rows[:-1])  # the last has as many channels as mel bands
    return {
        "postnet": within.channels,
        "postnet_layers": len(rows),
        "postnet_kernel": within.kernel,
        "postnet_dropout": keep,
    }
