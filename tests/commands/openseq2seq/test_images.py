"""Old classifiers of pictures, in their documented form, give the packaged recipes."""

import pytest
import yaml

from s2s_core.cli.configs import find_packaged
from s2s_core.errors import UserError
from s2s_core.testing.conversion import converted

HEADER = """
import tensorflow as tf
from open_seq2seq.models import Image2Label
from open_seq2seq.encoders import {encoder}
from open_seq2seq.decoders import FullyConnectedDecoder
from open_seq2seq.losses import CrossEntropyLoss
from open_seq2seq.data import {data}
from open_seq2seq.optimizers.lr_policies import poly_decay
from open_seq2seq.optimizers.novograd import NovoGrad

base_model = Image2Label
"""
TAIL = """
  "decoder": FullyConnectedDecoder, "decoder_params": {"output_dim": %d},
  "loss": CrossEntropyLoss, "data_layer": %s, "data_layer_params": %s,
}
train_params = {"data_layer_params": {"shuffle": True, "repeat": True}}
eval_params = {"data_layer_params": {"shuffle": False, "repeat": False}}
"""
RESNET = (
    HEADER.format(encoder="ResNetEncoder", data="ImagenetDataLayer")
    + """
base_params = {
  "random_seed": 0, "use_horovod": True, "num_epochs": 100, "num_gpus": 1, "batch_size_per_gpu": 128,
  "save_summaries_steps": 2000, "dtype": "mixed", "loss_scaling": "Backoff",
  "optimizer": "Momentum", "optimizer_params": {"momentum": 0.90},
  "lr_policy": poly_decay, "lr_policy_params": {"learning_rate": 0.4, "power": 2},
  "initializer": tf.variance_scaling_initializer,
  "regularizer": tf.contrib.layers.l2_regularizer, "regularizer_params": {"scale": 0.0001},
  "encoder": ResNetEncoder, "encoder_params": {"resnet_size": 50, "regularize_bn": False},
"""
    + TAIL % (1000, "ImagenetDataLayer", '{"data_dir": "data", "image_size": 224, "num_classes": 1000}')
)
ALEXNET = (
    HEADER.format(encoder="CNNEncoder", data="ImagenetDataLayer")
    + """
base_params = {
  "random_seed": 0, "use_horovod": False, "num_epochs": 120, "num_gpus": 4, "batch_size_per_gpu": 256,
  "dtype": tf.float32, "optimizer": "Momentum", "optimizer_params": {"momentum": 0.90},
  "lr_policy": poly_decay, "lr_policy_params": {"learning_rate": 0.04, "power": 1.0},
  "initializer": tf.variance_scaling_initializer,
  "regularizer": tf.contrib.layers.l2_regularizer, "regularizer_params": {"scale": 0.0005},
  "encoder": CNNEncoder, "encoder_params": {
    "data_format": "channels_first",
    "cnn_layers": [
      (tf.layers.conv2d, {"filters": 64, "kernel_size": (11, 11), "strides": (4, 4), "padding": "VALID",
                          "activation": tf.nn.relu}),
      (tf.layers.max_pooling2d, {"pool_size": (3, 3), "strides": (2, 2)}),
      (tf.layers.conv2d, {"filters": 192, "kernel_size": (5, 5), "strides": (1, 1), "padding": "SAME",
                          "activation": tf.nn.relu}),
      (tf.layers.max_pooling2d, {"pool_size": (3, 3), "strides": (2, 2)}),
      (tf.layers.conv2d, {"filters": 384, "kernel_size": (3, 3), "strides": (1, 1), "padding": "SAME",
                          "activation": tf.nn.relu}),
      (tf.layers.conv2d, {"filters": 256, "kernel_size": (3, 3), "strides": (1, 1), "padding": "SAME",
                          "activation": tf.nn.relu}),
      (tf.layers.conv2d, {"filters": 256, "kernel_size": (3, 3), "strides": (1, 1), "padding": "SAME",
                          "activation": tf.nn.relu}),
      (tf.layers.max_pooling2d, {"pool_size": (3, 3), "strides": (2, 2)}),
    ],
    "fc_layers": [
      (tf.layers.dense, {"units": 4096, "activation": tf.nn.relu}), (tf.layers.dropout, {"rate": 0.5}),
      (tf.layers.dense, {"units": 4096, "activation": tf.nn.relu}), (tf.layers.dropout, {"rate": 0.5}),
    ],
  },
"""
    + TAIL % (1000, "ImagenetDataLayer", '{"data_dir": "data/tf-imagenet", "image_size": 227, "num_classes": 1000}')
)
CONV = '(tf.layers.conv2d, {{"filters": {0}, "kernel_size": ({1}, {1}), "strides": (1, 1), "padding": "SAME", {2}}}),'
STAGE = """
      {plain}
      {plain}
      {bare}
      (tf.layers.batch_normalization, {{"momentum": 0.9, "epsilon": 0.0001}}),
      (tf.nn.relu, {{}}),
      (tf.layers.max_pooling2d, {{"pool_size": 3, "strides": 2, "padding": "SAME"}}),
"""
RELU, BARE = '"activation": tf.nn.relu', '"activation": None, "use_bias": False'
CIFAR = (
    HEADER.format(encoder="CNNEncoder", data="CifarDataLayer")
    + """
base_params = {
  "random_seed": 0, "use_horovod": False, "num_epochs": 200, "num_gpus": 1, "batch_size_per_gpu": 32,
  "dtype": tf.float32, "optimizer": "Momentum", "optimizer_params": {"momentum": 0.90},
  "lr_policy": poly_decay, "lr_policy_params": {"learning_rate": 0.001, "power": 1.0},
  "initializer": tf.variance_scaling_initializer,
  "regularizer": tf.contrib.layers.l2_regularizer, "regularizer_params": {"scale": 0.0002},
  "encoder": CNNEncoder, "encoder_params": {"data_format": "channels_first", "cnn_layers": ["""
    + "".join(STAGE.format(plain=CONV.format(width, 3, RELU), bare=CONV.format(width, 3, BARE)) for width in (128, 256))
    + CONV.format(320, 3, RELU)
    + CONV.format(320, 1, RELU)
    + "]},"
    + TAIL % (10, "CifarDataLayer", '{"data_dir": "data/cifar-10-batches-bin"}')
)


def packaged(name):
    return yaml.safe_load(find_packaged(name, "s2s_commands/images", "absent").read_text())


@pytest.mark.parametrize(("text", "recipe"), [(RESNET, "resnet50-v2"), (CIFAR, "cifar10"), (ALEXNET, "alexnet")])
def test_an_old_config_gives_the_packaged_recipe(tmp_path, text, recipe):
    found, theirs = converted("images", text, tmp_path), packaged(recipe)
    listed = recipe == "alexnet"  # its layers are listed one by one, where the recipe has a class of its own
    for part in ("decoder", "loss", "view", "augment", "schedule", "regularizer", *(() if listed else ("encoder",))):
        given = theirs["model"]["init_args"][part]
        assert found.part(part)["class_path"] == given["class_path"], part
        assert found.part(part).get("init_args", {}).items() >= given.get("init_args", {}).items(), part
    optimizer = theirs["model"]["init_args"]["optimizer"]
    assert found.part("optimizer") == optimizer
    assert found.content["data"]["init_args"]["batch_size"] == theirs["data"]["init_args"]["batch_size"]
    assert found.content["trainer"]["max_epochs"] == theirs["trainer"]["max_epochs"]
    assert [note for note in found.notes if "not converted" in note] == []


def test_alexnets_layers_hold_as_many_weights_as_alexnet(tmp_path):
    from s2s_commands.encoders.alexnet import AlexNetEncoder

    alexnet = sum(parameter.numel() for parameter in AlexNetEncoder().parameters())
    assert converted("images", ALEXNET, tmp_path).parameters == alexnet + 4096 * 1000 + 1000


def test_boundaries_in_epochs_are_told(tmp_path):
    piecewise = RESNET.replace("poly_decay", "piecewise_constant").replace(
        '"learning_rate": 0.4, "power": 2', '"learning_rate": 0.1, "boundaries": [30, 60], "decay_rates": [0.1, 0.01]'
    )
    found = converted("images", piecewise, tmp_path)
    assert found.part("schedule")["init_args"] == {"boundaries": [30, 60], "decay_rates": [0.1, 0.01]}
    assert any("were epochs" in note for note in found.notes)


@pytest.mark.parametrize(
    ("was", "now", "message"),
    [
        ('"resnet_size": 50', '"resnet_size": 51', "resnet_size 51: expected 18, 34"),
        ("ImagenetDataLayer", "SpeechCommandsDataLayer", "'run commands' converts speech commands"),
        ('"encoder": ResNetEncoder', '"encoder": TDNNEncoder', "expected ResNetEncoder or CNNEncoder"),
    ],
)
def test_what_has_no_counterpart_is_one_line(tmp_path, was, now, message):
    with pytest.raises(UserError, match=message):
        converted("images", RESNET.replace(was, now), tmp_path)


def test_a_layer_without_a_counterpart_is_named(tmp_path):
    odd = ALEXNET.replace("tf.layers.dense, ", "tf.layers.flatten, ", 1)
    with pytest.raises(UserError, match=r"fc_layers\[0\] tf.layers.flatten: has no counterpart"):
        converted("images", odd, tmp_path)
