"""OpenSeq2Seq's classifiers of pictures as configs of this package."""

from __future__ import annotations

from typing import Any

from s2s_commands.openseq2seq import cnn, resnet
from s2s_core.errors import UserError
from s2s_core.openseq2seq.optimisation import rules_of_training
from s2s_core.openseq2seq.settings import Old, configured

LAYERS = {"ImagenetDataLayer": ("data/imagenet", 224, 1000), "CifarDataLayer": ("data/cifar10", 28, 10)}
"""Folder, size of a picture and number of classes of each data layer."""


def convert(old: Old) -> dict[str, Any]:
    """The model and data sections of an old config.

    Raises:
        UserError: if it is no classifier of pictures, or a part has no counterpart.
    """
    if (name := old.part("data_layer")) not in LAYERS:
        raise UserError(f"data_layer {name}: expected {' or '.join(LAYERS)}; 'run commands' converts speech commands")
    folder, usual_size, classes = LAYERS[name]
    layer = old.options("data_layer_params")
    size = layer.take("image_size", usual_size)
    classes = layer.take("num_classes", classes)
    layer.skip("data_dir", "num_parallel_calls", "shuffle_buffer", "shuffle", "repeat")
    layer.finish()
    encoder, width = _encoder(old, size)
    head = old.options("decoder_params")
    classes = head.take("output_dim", classes)
    head.finish()
    if (pair := (old.part("decoder"), old.part("loss"))) != ("FullyConnectedDecoder", "CrossEntropyLoss"):
        raise UserError(f"decoder {pair[0]} with {pair[1]}: expected FullyConnectedDecoder with CrossEntropyLoss")
    old.taken.add("loss_params")
    small = name == "CifarDataLayer"
    model = configured(
        "s2s_commands.image_task.ImageClassification",
        encoder=encoder,
        decoder=configured("s2s_commands.decoders.linear.LinearHead", in_features=width, num_classes=classes),
        loss=configured("s2s_commands.losses.cross_entropy.CrossEntropy"),
        view=_view(size, small),
        augment=_augment(small),
        **_rules(old),
    )
    data: dict[str, Any] = {split: f"{folder}/{split}.jsonl.gz" for split in ("train", "validation", "test")}
    data |= {"batch_size": old.take("batch_size_per_gpu")}
    if not small:
        data |= {"test": f"{folder}/validation.jsonl.gz", "num_workers": 8}
    old.notes.append(f"data: 'lightning run images prepare' writes the manifests of {folder}")
    return {"model": model, "data": configured("s2s_commands.image_data.ImageData", **data)}


def _encoder(old: Old, size: int) -> tuple[dict[str, Any], int]:
    name, options = old.part("encoder"), old.options("encoder_params")
    if name == "CNNEncoder":
        return cnn.encoder(options, size, old)
    if name != "ResNetEncoder":
        raise UserError(f"encoder {name}: expected ResNetEncoder or CNNEncoder")
    part, width, _ = resnet.encoder(options, 3)
    return part, width


def _rules(old: Old) -> dict[str, Any]:
    rules = rules_of_training(old)
    if "regularizer" in rules and (old.params.get("encoder_params") or {}).get("regularize_bn") is False:
        rules["regularizer"]["init_args"]["exclude"] = resnet.NORMS
    return rules


def _view(size: int, small: bool) -> dict[str, Any]:
    path = "s2s_commands.image_view.ImageView"
    if small:  # CIFAR-10's own mean and deviation, where OpenSeq2Seq took each picture's
        return {
            "class_path": path,
            "init_args": {"size": size, "resize": None, "mean": [0.491, 0.482, 0.447], "std": [0.247, 0.243, 0.262]},
        }
    return configured(path, size=size, resize=256, mean=[0.485, 0.458, 0.408], std=[0.5, 0.5, 0.5])


def _augment(small: bool) -> dict[str, Any]:
    settings = {"crop": "padded", "padding": 0} if small else {"crop": "resized", "min_area": 0.05}
    return configured("s2s_commands.image_augment.ImageAugment", **settings)
