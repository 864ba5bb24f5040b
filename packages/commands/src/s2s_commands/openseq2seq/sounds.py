"""OpenSeq2Seq's classifiers of speech commands as configs of this package: ResNet and Jasper over spectrograms."""

from __future__ import annotations

from typing import Any

from s2s_commands.openseq2seq import resnet
from s2s_core.errors import UserError
from s2s_core.openseq2seq.convolutions import tdnn_blocks, tdnn_settings
from s2s_core.openseq2seq.optimisation import rules_of_training
from s2s_core.openseq2seq.settings import Old, Options, configured

SAMPLE_RATE_HZ = 16000
HEADS = {"ResNetEncoder": "FullyConnectedDecoder", "TDNNEncoder": "FullyConnectedSCDecoder"}


def convert(old: Old) -> dict[str, Any]:
    """The model and data sections of an old config.

    Raises:
        UserError: if it is no classifier of speech commands, or a part has no counterpart.
    """
    if (name := old.part("data_layer")) != "SpeechCommandsDataLayer":
        raise UserError(f"data_layer {name}: expected SpeechCommandsDataLayer; 'run images' converts pictures")
    encoder, decoder, loss = (old.part(key) for key in ("encoder", "decoder", "loss"))
    if HEADS.get(encoder) != decoder or loss != "CrossEntropyLoss":
        known = ", ".join(" with ".join(pair) for pair in HEADS.items())
        raise UserError(f"{encoder} with {decoder} and {loss}: expected {known}, and CrossEntropyLoss")
    layer = old.options("data_layer_params")
    mels, frames = layer.take("num_audio_features"), layer.take("audio_length")
    to_encoder = _resnet if encoder == "ResNetEncoder" else _jasper
    encoder_part, width, rules = to_encoder(old, mels, frames)
    head = old.options("decoder_params")
    classes = head.take("output_dim", layer.take("num_labels"))
    head.finish()
    model = configured(
        "s2s_commands.sound_task.SoundClassifier",
        features=_features(mels, frames),
        encoder=encoder_part,
        decoder=configured("s2s_commands.decoders.linear.LinearHead", in_features=width, num_classes=classes),
        loss=configured("s2s_commands.losses.cross_entropy.CrossEntropy"),
        augment=_augment() if layer.take("augment_data", False) else None,
        **rules,
    )
    old.taken.add("loss_params")
    return {"model": model, "data": configured("s2s_commands.sound_data.SoundData", **_data(layer, old))}


def _resnet(old: Old, mels: int, frames: int) -> tuple[dict[str, Any], int, dict[str, Any]]:
    part, width, norms = resnet.encoder(old.options("encoder_params"), 1)
    path = "s2s_commands.encoders.spectrogram.SpectrogramEncoder"
    rules = rules_of_training(old)
    if not norms and "regularizer" in rules:
        rules["regularizer"]["init_args"]["exclude"] = resnet.NORMS
    return configured(path, in_features=mels, frames=frames, image_encoder=part), width, rules


def _jasper(old: Old, mels: int, frames: int) -> tuple[dict[str, Any], int, dict[str, Any]]:
    options = old.options("encoder_params")
    blocks = tdnn_blocks(options, old)
    settings = tdnn_settings(options)
    options.skip("use_conv_mask", "bn_momentum", "drop_block_prob", "drop_block_index")
    options.finish()
    left = frames
    for block in blocks:
        for _ in range(block.get("repeat", 1)):
            left = -(-left // block.get("stride", 1))
    part = configured(
        "s2s_commands.encoders.jasper.JasperEncoder",
        in_features=mels,
        frames=frames,
        pooling="flatten",
        blocks=blocks,
        **settings,
    )
    return part, left * blocks[-1]["channels"], rules_of_training(old)


def _features(mels: int, frames: int) -> dict[str, Any]:
    hop = -(-SAMPLE_RATE_HZ // frames)
    while 1 + SAMPLE_RATE_HZ // hop > frames:  # a second is not to be longer than the picture
        hop += 1
    hop_ms = hop * 1000 / SAMPLE_RATE_HZ
    path = "s2s_core.audio.features.LogMel"
    return configured(path, num_features=mels, window_ms=32.0, hop_ms=hop_ms, normalise="utterance")


def _augment() -> dict[str, Any]:
    home = "s2s_core.audio.augment"
    wave = [
        configured(f"{home}.Pitch", max_semitones=2.0),
        configured(f"{home}.Stretch", max_change=0.2),
        configured(f"{home}.WhiteNoise", min_db=-90, max_db=-46),
    ]
    return configured(f"{home}.Augment", wave=wave)


def _data(layer: Options, old: Old) -> dict[str, Any]:
    names = old.files()
    version = names[0].removesuffix("-train.txt") if names else "v1-12"
    folder = f"data/speech-commands-{version}"
    data: dict[str, Any] = {split: f"{folder}/{split}.jsonl.gz" for split in ("train", "validation", "test")}
    layer.take("dataset_files")
    layer.skip("dataset_location", "shuffle", "repeat", "cache_data", "model_format", "num_labels")
    layer.finish()
    old.notes.append(f"data: 'lightning run commands prepare' writes the manifests of {folder}")
    return {**data, "batch_size": old.take("batch_size_per_gpu"), "clips_per_class": 5000}
