"""The data layer of OpenSeq2Seq's recognition configs: features, augmentation and files."""

from __future__ import annotations

from typing import Any

from s2s_core.errors import UserError
from s2s_core.openseq2seq.settings import Old, Options


def features(layer: Options) -> dict[str, Any]:
    """What the network hears: ``input_type`` and its settings."""
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
        init_args |= {"lifter": 2 * init_args["num_features"]} if kind == "mfcc" else {}
    layer.skip("window", "precompute_mel_basis", "gain", "num_fft", "features_mean", "features_std_dev")
    return {"class_path": f"s2s_core.audio.features.{names[kind]}", "init_args": init_args}


def augmentation(layer: Options) -> dict[str, Any] | None:
    """``augmentation`` as a part, if there is any."""
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


def data(layer: Options, old: Old) -> dict[str, Any]:
    """The arguments of `s2s_asr.data.SpeechData`."""
    size = old.take("batch_size_per_gpu")
    longest = layer.take("max_duration")
    longest = None if longest in (None, -1, -1.0) else longest
    layer.take("dataset_files")
    found: dict[str, Any] = {
        "train": [_manifest(name) for name in old.files()],
        "validation": [_manifest(name) for name in old.files("eval")],
        "test": [_manifest(name) for name in old.files("infer")] or None,
        "batch_size": size,
        "batch_seconds": float(round(size * (longest or 20.0))),
    }
    if longest is not None:
        found["max_duration_s"] = longest
    layer.expect("bpe", False, "put a SentencePieceTokenizer for the CharTokenizer, and its size for vocab_size")
    layer.expect("syn_enable", False, "list the manifests of synthetic speech under data.train")
    layer.skip("vocab_file", "shuffle", "autoregressive", "syn_subdirs")
    layer.skip("cache_features", "cache_format", "cache_regenerate")  # features are computed as they are needed
    if (shortest := layer.take("min_duration", -1.0)) > 0:
        layer.tell("min_duration", shortest, "short utterances stay in")
    layer.finish()
    old.notes.append("data: 'lightning run asr prepare csv' makes the .jsonl.gz manifests from the old .csv files")
    return found


def _manifest(name: Any) -> str:
    return str(name).removesuffix(".csv") + ".jsonl.gz"
