"""OpenSeq2Seq's configs of recognition with CTC as configs of this package: TDNNEncoder and DeepSpeech2Encoder."""

from __future__ import annotations

from typing import Any

from s2s_core.errors import UserError
from s2s_core.openseq2seq.settings import Old, Options, gradient_rules, optimizer, schedule

LABELS = 28
"""Of the toolkit's own ``vocab.txt``: space, apostrophe and a to z; blank is not counted."""


def convert(old: Old) -> dict[str, Any]:
    """The model and data sections of an old config.

    Raises:
        UserError: if its encoder, decoder or loss has no counterpart.
    """
    encoders = {"TDNNEncoder": _tdnn, "DeepSpeech2Encoder": _deepspeech2}
    encoder_name, decoder, loss = (old.part(key) for key in ("encoder", "decoder", "loss"))
    if encoder_name not in encoders:
        raise UserError(f"encoder {encoder_name}: is not converted; converted are {', '.join(encoders)}")
    if decoder != "FullyConnectedCTCDecoder" or loss != "CTCLoss":
        raise UserError(f"decoder {decoder} with {loss}: expected FullyConnectedCTCDecoder with CTCLoss")
    if old.part("data_layer") != "Speech2TextDataLayer":
        raise UserError(f"data_layer {old.params.get('data_layer')}: expected Speech2TextDataLayer")
    layer = old.options("data_layer_params")
    features = _features(layer)
    num_features = features["init_args"]["num_features"]
    encoder, width = encoders[encoder_name](old.options("encoder_params"), num_features, old)
    _decoder_options(old)
    augment = _augment(layer)
    data = _data(layer, old)
    init_args = {
        "tokenizer": {"class_path": "s2s_core.text.tokenizers.CharTokenizer"},
        "features": features,
        "encoder": encoder,
        "decoder": {
            "class_path": "s2s_asr.decoders.ctc.CtcDecoder",
            "init_args": {"in_features": width, "vocab_size": LABELS},
        },
        "loss": {"class_path": "s2s_asr.losses.ctc.CtcLoss"},
        **({"augment": augment} if augment else {}),
        "optimizer": optimizer(old),
        **({"schedule": found} if (found := schedule(old)) else {}),
        **gradient_rules(old),
    }
    model = {"class_path": "s2s_asr.task.SpeechToText", "init_args": init_args}
    return {"model": model, "data": {"class_path": "s2s_asr.data.SpeechData", "init_args": data}}


def _tdnn(options: Options, in_features: int, old: Old) -> tuple[dict[str, Any], int]:
    keep = options.take("dropout_keep_prob", 1.0)
    blocks = [_block(Options(f"convnet_layers[{n}]", dict(row), old), keep, old) for n, row in
              enumerate(options.take("convnet_layers"))]  # fmt: skip
    norm = options.take("normalization", "batch_norm")
    norms = {"batch_norm": "batch", "layer_norm": "layer", "instance_norm": "instance", None: "none"}
    init_args: dict[str, Any] = {"in_features": in_features, "blocks": blocks}
    if norm != "batch_norm":
        init_args["norm"] = norms.get(norm, norm)
    if options.take("use_conv_mask", False) is False:
        old.notes.append("use_conv_mask = False: here convolutions always leave padding out")
    if (momentum := options.take("bn_momentum")) is not None:
        init_args["norm_momentum"] = round(1 - momentum, 6)
    if (drop := options.take("drop_block_prob", 0.0)) > 0:
        init_args |= {"drop_block_prob": drop, "drop_block_index": options.take("drop_block_index", -1)}
    activation = str(options.take("activation_fn", "relu"))
    if "relu" not in activation:
        old.notes.append(f"encoder_params.activation_fn = {activation}: relu here")
    elif "minimum" in activation or "20" in activation:
        init_args["activation"] = "clipped_relu"
    options.skip("initializer", "initializer_params", "data_format", "bn_epsilon", "drop_block_index")
    options.finish()
    width = blocks[-1]["channels"]
    return {"class_path": "s2s_asr.encoders.tdnn.TdnnEncoder", "init_args": init_args}, width


def _block(row: Options, keep: float, old: Old) -> dict[str, Any]:
    kind = row.take("type")
    if kind not in ("conv1d", "sep_conv1d"):
        raise UserError(f"convnet_layers: type {kind!r}: expected conv1d or sep_conv1d")
    block: dict[str, Any] = {"channels": row.take("num_channels"), "kernel": _one(row.take("kernel_size"))}
    for name, key in (("repeat", "repeat"), ("stride", "stride"), ("dilation", "dilation")):
        value = _one(row.take(key, 1))
        if value != 1:
            block[name] = value
    drop = round(1 - row.take("dropout_keep_prob", keep), 6)
    if drop:
        block["dropout"] = drop
    residual, dense = row.take("residual", False), row.take("residual_dense", False)
    if residual:
        block["residual"] = "dense" if dense else True
    if kind == "sep_conv1d":
        block["separable"] = True
    if row.take("padding", "SAME") != "SAME":
        old.notes.append("convnet_layers: padding VALID: convolutions are padded on both sides here")
    row.finish()
    return block


def _deepspeech2(options: Options, in_features: int, old: Old) -> tuple[dict[str, Any], int]:
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


def _features(layer: Options) -> dict[str, Any]:
    kind = layer.take("input_type", "spectrogram")
    names = {"logfbank": "LogMel", "spectrogram": "LogSpectrogram", "mfcc": "Mfcc"}
    if kind not in names:
        raise UserError(f"data_layer_params.input_type {kind!r}: expected {', '.join(names)}")
    per_feature = layer.take("norm_per_feature", False)
    init_args: dict[str, Any] = {
        "num_features": layer.take("num_audio_features"),
        "normalise": "feature" if per_feature else "utterance",
    }
    for name, key, scale in (("window_ms", "window_size", 1000), ("hop_ms", "window_stride", 1000)):
        if (value := layer.take(key)) is not None:
            init_args[name] = round(value * scale, 6)
    for name, key in (("sample_rate_hz", "sample_freq"), ("dither", "dither"), ("pad_to", "pad_to")):
        if (value := layer.take(key)) is not None:
            init_args[name] = value
    if layer.take("backend", "psf") == "psf":
        plain = kind == "spectrogram"
        init_args["spectrum"] = {"centred": False} | (
            {"pre_emphasis": 0.0} if plain else {"window": "none", "n_fft": 512}
        )
        init_args |= {} if plain else {"mel": {"kind": "htk_bins"}}
    layer.skip("window", "precompute_mel_basis", "gain", "num_fft", "features_mean", "features_std_dev")
    return {"class_path": f"s2s_core.audio.features.{names[kind]}", "init_args": init_args}


def _augment(layer: Options) -> dict[str, Any] | None:
    given = layer.options("augmentation")
    wave: list[dict[str, Any]] = []
    features: list[dict[str, Any]] = []
    home = "s2s_core.audio.augment"
    ratio = given.take("speed_perturbation_ratio", given.take("time_stretch_ratio"))
    if ratio is not None:
        init_args = {"factors": ratio} if isinstance(ratio, list) else {"max_change": ratio}
        wave.append({"class_path": f"{home}.SpeedPerturb", "init_args": init_args})
    if (least := given.take("noise_level_min")) is not None:
        levels = {"min_db": float(least), "max_db": float(given.take("noise_level_max"))}
        wave.append({"class_path": f"{home}.WhiteNoise", "init_args": levels})
    masks = {"freq_masks": "n_freq_mask", "freq_width": "width_freq_mask", "time_masks": "n_time_mask",
             "time_width": "width_time_mask"}  # fmt: skip
    if init_args := {name: value for name, key in masks.items() if (value := given.take(key)) is not None}:
        features.append({"class_path": f"{home}.SpecAugment", "init_args": init_args})
    given.finish()
    parts = {key: value for key, value in (("wave", wave), ("features", features)) if value}
    return {"class_path": f"{home}.Augment", "init_args": parts} if parts else None


def _data(layer: Options, old: Old) -> dict[str, Any]:
    size = old.take("batch_size_per_gpu")
    longest = layer.take("max_duration")
    longest = None if longest in (None, -1, -1.0) else longest
    evaluation = dict(old.evaluation.get("data_layer_params") or {})
    data: dict[str, Any] = {
        "train": [_manifest(name) for name in layer.take("dataset_files") or []],
        "validation": [_manifest(name) for name in evaluation.get("dataset_files") or []],
        "batch_size": size,
        "batch_seconds": float(round(size * (longest or 20.0))),
    }
    if longest is not None:
        data["max_duration_s"] = longest
    layer.skip("vocab_file", "shuffle", "min_duration", "bpe", "autoregressive", "syn_enable", "syn_subdirs")
    layer.finish()
    old.notes.append("data: 'lightning run asr prepare csv' makes the .jsonl.gz manifests from the old .csv files")
    return data


def _decoder_options(old: Old) -> None:
    options = old.options("decoder_params")
    if options.take("use_language_model", False):
        old.notes.append("decoder_params: a language model is given to transcribe, see its --help")
    options.skip("initializer", "initializer_params", "infer_logits_to_pickle", "decoder_library_path")
    options.skip("beam_width", "alpha", "beta", "lm_path", "trie_path", "alphabet_config_path")
    options.finish()
    old.take("loss_params")


def _manifest(name: Any) -> str:
    return str(name).removesuffix(".csv") + ".jsonl.gz"


def _one(value: Any) -> Any:
    return value[0] if isinstance(value, list) else value
