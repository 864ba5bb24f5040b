"""Old classifiers of speech commands, in their documented form, give the packaged recipes."""

import pytest
import yaml

from s2s_core.cli.configs import find_packaged
from s2s_core.errors import UserError
from s2s_core.testing.conversion import converted

HEADER = """
import tensorflow as tf
from open_seq2seq.models import Image2Label
from open_seq2seq.encoders import {0}
from open_seq2seq.decoders import {1}
from open_seq2seq.losses import CrossEntropyLoss
from open_seq2seq.data import SpeechCommandsDataLayer
from open_seq2seq.optimizers.lr_policies import poly_decay

base_model = Image2Label
dataset_version = "v1-12"
"""
TAIL = """
  "loss": CrossEntropyLoss, "data_layer": SpeechCommandsDataLayer,
  "data_layer_params": {"dataset_location": "/data/speech-commands/v1", "num_audio_features": %d, "audio_length": %d,
    "num_labels": 12, "cache_data": True, "augment_data": True, "model_format": "%s"},
}
train_params = {"data_layer_params": {"dataset_files": [dataset_version + "-train.txt"], "shuffle": True,
  "repeat": True}}
eval_params = {"batch_size_per_gpu": 16, "data_layer_params": {"dataset_files": [dataset_version + "-val.txt"],
  "shuffle": False, "repeat": False}}
"""
RESNET = (
    HEADER.format("ResNetEncoder", "FullyConnectedDecoder")
    + """
base_params = {
  "random_seed": 0, "use_horovod": True, "num_gpus": 8, "num_epochs": 100, "batch_size_per_gpu": 32,
  "dtype": "mixed", "loss_scaling": 512.0, "optimizer": "Momentum", "optimizer_params": {"momentum": 0.95},
  "lr_policy": poly_decay, "lr_policy_params": {"learning_rate": 0.2, "power": 2},
  "initializer": tf.variance_scaling_initializer,
  "regularizer": tf.contrib.layers.l2_regularizer, "regularizer_params": {"scale": 0.0001},
  "encoder": ResNetEncoder, "encoder_params": {"resnet_size": 50, "regularize_bn": False},
  "decoder": FullyConnectedDecoder, "decoder_params": {"output_dim": 12},
"""
    + TAIL % (120, 120, "resnet")
)
BLOCK = """{{"type": "conv2d", "repeat": {repeat}, "kernel_size": [{kernel}, 1], "stride": [{stride}, 1],
  "num_channels": {channels}, "padding": "SAME", "dilation": [{dilation}, 1],
  "dropout_keep_prob": {keep}{residual}}},"""
ROWS = [(256, 11, 0.8, 2), (384, 13, 0.8, 2), (512, 17, 0.8, 2), (640, 21, 0.7, 0), (768, 25, 0.7, 0)]


def jasper_blocks():
    rows = []
    for channels, kernel, keep, stride in ROWS:
        if stride:
            rows.append((channels, kernel, 1, stride, 1, keep, ""))
        rows += [(channels, kernel, 3, 1, 1, keep, ', "residual": True')] * 2
    rows += [(896, 29, 1, 1, 2, 0.6, ""), (1024, 1, 1, 1, 1, 0.6, "")]
    names = ("channels", "kernel", "repeat", "stride", "dilation", "keep", "residual")
    return "".join(BLOCK.format(**dict(zip(names, row, strict=True))) for row in rows)


JASPER = (
    HEADER.format("TDNNEncoder", "FullyConnectedSCDecoder")
    + """
base_params = {
  "random_seed": 0, "use_horovod": True, "num_epochs": 200, "num_gpus": 8, "batch_size_per_gpu": 64, "iter_size": 1,
  "optimizer": "Momentum", "optimizer_params": {"momentum": 0.95},
  "lr_policy": poly_decay, "lr_policy_params": {"learning_rate": 0.05, "min_lr": 1e-5, "power": 2.0},
  "larc_params": {"larc_eta": 0.001},
  "regularizer": tf.contrib.layers.l2_regularizer, "regularizer_params": {"scale": 0.001},
  "dtype": "mixed", "loss_scaling": "Backoff",
  "encoder": TDNNEncoder, "encoder_params": {"convnet_layers": ["""
    + jasper_blocks()
    + """], "dropout_keep_prob": 0.7, "initializer": tf.contrib.layers.xavier_initializer,
    "initializer_params": {"uniform": False}, "normalization": "batch_norm", "activation_fn": tf.nn.relu,
    "data_format": "channels_last"},
  "decoder": FullyConnectedSCDecoder, "decoder_params": {"output_dim": 12},
"""
    + TAIL % (128, 128, "jasper")
)


@pytest.mark.parametrize(("text", "recipe"), [(RESNET, "resnet50/v1-12"), (JASPER, "jasper10x3/v1-12")])
def test_an_old_config_gives_the_packaged_recipe(tmp_path, text, recipe):
    found = converted("commands", text, tmp_path)
    packaged = yaml.safe_load(find_packaged(recipe, "s2s_commands/commands", "absent").read_text())
    theirs = packaged["model"]["init_args"]
    for part in ("decoder", "loss", "augment", "optimizer", "larc"):
        assert found.content["model"]["init_args"].get(part) == theirs.get(part), part
    for part, usual in (("features", {"hop_ms": 8.0}), ("schedule", {}), ("regularizer", {"exclude": ["*bn*"]})):
        ours = {**found.part(part)["init_args"], **{key: theirs[part]["init_args"].get(key) for key in usual}}
        assert ours.items() >= theirs[part]["init_args"].items(), part
    assert found.content["data"]["init_args"].items() <= packaged["data"]["init_args"].items()
    assert found.content["trainer"]["max_epochs"] == packaged["trainer"]["max_epochs"]
    assert [note for note in found.notes if "not converted" in note] == []
    encoder = theirs["encoder"]
    if "image_encoder" in encoder["init_args"]:
        encoder["init_args"]["image_encoder"]["init_args"]["zero_init_residual"] = False
    assert found.part("encoder") == encoder


def test_a_constant_loss_scale_is_kept(tmp_path):
    (plugin,) = converted("commands", RESNET, tmp_path).content["trainer"]["plugins"]
    scale = plugin["init_args"]["loss_scale"]
    assert scale == {"class_path": "s2s_core.precision.loss_scale.StaticScale", "init_args": {"scale": 512.0}}


def test_a_second_fits_into_the_picture(tmp_path):
    for text, frames in ((RESNET, 120), (JASPER, 128)):
        hop_ms = converted("commands", text, tmp_path).part("features")["init_args"]["hop_ms"]
        assert frames - 3 <= 1 + 1000 // hop_ms <= frames


def test_wide_kernels_have_no_counterpart(tmp_path):
    with pytest.raises(UserError, match="expected a kernel of one column"):
        converted("commands", JASPER.replace('"kernel_size": [11, 1]', '"kernel_size": [11, 3]'), tmp_path)
