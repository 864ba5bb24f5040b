"""OpenSeq2Seq's WaveNet as a vocoder of this package."""

from __future__ import annotations

from typing import Any

from s2s_core.errors import UserError
from s2s_core.openseq2seq.optimisation import rules_of_training
from s2s_core.openseq2seq.settings import Old, Options, configured


def convert(old: Old) -> dict[str, Any]:
    """The model and data sections of an old config.

    Raises:
        UserError: if it is not of a WaveNet.
    """
    names = [old.part(key) for key in ("encoder", "decoder", "loss", "data_layer")]
    usual = ["WavenetEncoder", "FakeDecoder", "WavenetLoss", "WavenetDataLayer"]
    if names != usual:
        raise UserError(f"{', '.join(names)}: expected {', '.join(usual)}")
    old.taken |= {"decoder_params", "loss_params"}
    layer = old.options("data_layer_params")
    folder = str(layer.take("dataset_location", "data")).rstrip("/")
    vocoder = configured(
        "s2s_tts.vocoders.wavenet.WaveNet",
        features=configured("s2s_tts.spectrogram.MelSpectrogram", num_features=layer.take("num_audio_features", 80)),
        shape=_shape(old.options("encoder_params")),
        upsampling=configured("s2s_tts.vocoders.upsampling.Repetition"),
    )
    layer.take("dataset_files")
    layer.skip("shuffle")
    layer.finish()
    old.notes.append(f"data: 'lightning run vocoder prepare' makes the manifests of {folder}")
    model = configured("s2s_tts.vocoder_task.VocoderTraining", vocoder=vocoder, **rules_of_training(old))
    data = {split: f"{folder}/{split}.jsonl.gz" for split in ("train", "validation", "test")}
    size = old.take("batch_size_per_gpu")
    return {"model": model, "data": configured("s2s_tts.vocoder_data.VocoderData", **data, batch_size=size)}


def _shape(options: Options) -> dict[str, Any]:
    filters = options.take("filters")
    shape = {
        "blocks": options.take("blocks"),
        "layers_per_block": options.take("layers_per_block"),
        "kernel": options.take("kernel_size"),
        "residual_channels": filters,
        "skip_channels": filters,
        "levels": options.take("quantization_channels"),
    }
    options.expect("strides", 1, "no strides here")
    options.skip("layer_type", "padding", "data_format", "bn_momentum", "bn_epsilon", "initializer")
    options.finish()
    return shape
