"""OpenSeq2Seq's Centaur as parts of this package."""

from __future__ import annotations

from typing import Any

from s2s_core.errors import UserError
from s2s_core.openseq2seq.settings import Options, configured
from s2s_tts.openseq2seq.rows import alike
from s2s_tts.openseq2seq.speech import Speech


def encoder(options: Options, vocab_size: int) -> tuple[dict[str, Any], None, int]:
    """``CentaurEncoder``, no style, and the size of its encodings."""
    convolutions = alike("encoder_params.conv_layers", options.take("conv_layers"))
    width = options.take("output_size")
    if (size := options.take("embedding_size")) != convolutions.channels:
        raise UserError(f"encoder_params.embedding_size {size}: expected the convolutions' {convolutions.channels}")
    part = configured(
        "s2s_tts.encoders.centaur.CentaurEncoder",
        vocab_size=vocab_size,
        channels=convolutions.channels,
        conv_layers=convolutions.count,
        kernel=convolutions.kernel,
        out_features=width,
        dropout=options.take("cnn_dropout_prob"),
    )
    options.skip("src_vocab_size", "pad_embeddings_2_eight", "norm_type", "bn_momentum", "bn_epsilon", "regularizer")
    options.skip("initializer", "initializer_params")
    options.finish()
    return part, None, width


def decoder(options: Options, width: int, speech: Speech) -> dict[str, Any]:
    """``CentaurDecoder``."""
    attention = options.options("self_attention_conv_params")
    hidden = options.take("hidden_size")
    spectra = alike("decoder_params.conv_layers", options.take("conv_layers"))
    dropout = options.take("layer_postprocess_dropout")
    sizes = {
        "hidden": hidden,
        "attention_layers": options.take("attention_layers", 4),
        "conv_layers": spectra.count,
        "magnitude_layers": len(options.take("mag_conv_layers") or []),
        "kernel": spectra.kernel,
        "prenet_layers": options.take("prenet_layers"),
        "prenet_dropout": options.take("prenet_dropout", 0.5),
        "dropout": dropout,
        "window": options.take("window_size", 4),
        "back": options.take("back_step_size", 0),
        "forced": options.take("force_layers", [1, 3]),
    }
    attention.expect("kernel_size", [spectra.kernel], f"{spectra.kernel} here, as in the other convolutions")
    attention.expect("num_channels", hidden, "the size of the other layers here")
    attention.skip("stride", "padding", "is_causal", "activation_fn")
    attention.finish()
    options.expect("prenet_hidden_size", hidden, "the size of the other layers here")
    options.expect("prenet_use_inference_dropout", False, "the prenet drops nothing in synthesis")
    options.expect("attention_heads", 1, "one head here")
    for key in ("attention_dropout", "cnn_dropout_prob", "attention_cnn_dropout_prob"):
        options.expect(key, dropout, "one probability for all layers here")
    options.skip("prenet_activation_fn", "bn_momentum", "bn_epsilon", "initializer", "initializer_params")
    factor = options.take("reduction_factor", 1)
    options.finish()
    return configured(
        "s2s_tts.decoders.centaur.CentaurDecoder",
        in_features=width,
        num_mels=speech.mels,
        magnitude_bins=speech.bins,
        reduction_factor=factor,
        sizes=sizes,
    )
