"""Old configs of recognition, in their documented form, give the packaged recipes; and they parse and build."""

import pytest
import yaml

from s2s_core.cli.configs import find_packaged
from s2s_core.cli.main import main

HEADER = """
from __future__ import absolute_import, division, print_function
import tensorflow as tf
from open_seq2seq.models import Speech2Text
from open_seq2seq.encoders import {encoder}
from open_seq2seq.decoders import FullyConnectedCTCDecoder
from open_seq2seq.data import Speech2TextDataLayer
from open_seq2seq.losses import CTCLoss
from open_seq2seq.optimizers.lr_policies import poly_decay
from open_seq2seq.optimizers.novograd import NovoGrad

base_model = Speech2Text
"""
BLOCK = """{{"type": "conv1d", "repeat": {repeat}, "kernel_size": [{kernel}], "stride": [{stride}],
  "num_channels": {channels}, "padding": "SAME", "dilation": [{dilation}], "dropout_keep_prob": {keep}{residual}}},"""
ROWS = [(256, 11, 1, 2, 1, 0.8)] + [
    (channels, kernel, 5, 1, 1, keep)
    for channels, kernel, keep in ((256, 11, 0.8), (384, 13, 0.8), (512, 17, 0.8), (640, 21, 0.7), (768, 25, 0.7))
    for _ in range(2)
]
ROWS += [(896, 29, 1, 1, 2, 0.6), (1024, 1, 1, 1, 1, 0.6)]
JASPER = (
    HEADER.format(encoder="TDNNEncoder")
    + "residual_dense = True\nbase_params = {\n"
    + """
    "random_seed": 0, "use_horovod": True, "num_epochs": 400, "num_gpus": 8, "batch_size_per_gpu": 32, "iter_size": 1,
    "save_summaries_steps": 100, "print_loss_steps": 10, "print_samples_steps": 2200, "eval_steps": 2200,
    "save_checkpoint_steps": 1100, "logdir": "jasper_log_folder", "num_checkpoints": 2,
    "optimizer": NovoGrad,
    "optimizer_params": {"beta1": 0.95, "beta2": 0.98, "epsilon": 1e-08, "weight_decay": 0.001,
      "grad_averaging": False},
    "lr_policy": poly_decay, "lr_policy_params": {"learning_rate": 0.02, "min_lr": 1e-5, "power": 2.0},
    "larc_params": {"larc_eta": 0.001}, "dtype": "mixed", "loss_scaling": "Backoff",
    "summaries": ["learning_rate", "variables"],
    "encoder": TDNNEncoder, "encoder_params": {"convnet_layers": ["""
    + "".join(
        BLOCK.format(
            channels=channels, kernel=kernel, repeat=repeat, stride=stride, dilation=dilation, keep=keep,
            residual=', "residual": True, "residual_dense": residual_dense' if repeat == 5 else "",
        )
        for channels, kernel, repeat, stride, dilation, keep in ROWS
    )
    + """], "dropout_keep_prob": 0.7, "initializer": tf.contrib.layers.xavier_initializer,
      "initializer_params": {"uniform": False}, "normalization": "batch_norm", "activation_fn": tf.nn.relu,
      "data_format": "channels_last", "use_conv_mask": True},
    "decoder": FullyConnectedCTCDecoder,
    "decoder_params": {"initializer": tf.contrib.layers.xavier_initializer, "use_language_model": False,
      "infer_logits_to_pickle": False},
    "loss": CTCLoss, "loss_params": {},
    "data_layer": Speech2TextDataLayer,
    "data_layer_params": {"num_audio_features": 64, "input_type": "logfbank", "vocab_file": "vocab.txt",
      "norm_per_feature": True, "window": "hanning", "precompute_mel_basis": True, "sample_freq": 16000, "pad_to": 16,
      "dither": 1e-5, "backend": "librosa"},
}
train_params = {"data_layer": Speech2TextDataLayer, "data_layer_params": {
  "augmentation": {"n_freq_mask": 2, "n_time_mask": 2, "width_freq_mask": 6, "width_time_mask": 6},
  "dataset_files": ["/data/train-a.csv", "/data/train-b.csv"], "max_duration": 16.7, "shuffle": True}}
eval_params = {"data_layer": Speech2TextDataLayer,
  "data_layer_params": {"dataset_files": ["/data/dev-clean.csv"], "shuffle": False}}
"""
)  # fmt: skip
DEEPSPEECH2 = (
    HEADER.format(encoder="DeepSpeech2Encoder")
    + """
base_params = {
    "random_seed": 0, "use_horovod": False, "num_gpus": 8, "batch_size_per_gpu": 16, "num_epochs": 50,
    "optimizer": "Momentum", "optimizer_params": {"momentum": 0.90},
    "lr_policy": poly_decay, "lr_policy_params": {"learning_rate": 0.001, "power": 0.5},
    "larc_params": {"larc_eta": 0.001}, "dtype": tf.float32,
    "regularizer": tf.contrib.layers.l2_regularizer, "regularizer_params": {"scale": 0.0005},
    "initializer": tf.contrib.layers.xavier_initializer,
    "encoder": DeepSpeech2Encoder, "encoder_params": {
      "conv_layers": [{"kernel_size": [11, 41], "stride": [2, 2], "num_channels": 32, "padding": "SAME"},
                      {"kernel_size": [11, 21], "stride": [1, 2], "num_channels": 32, "padding": "SAME"}],
      "num_rnn_layers": 5, "rnn_cell_dim": 800, "use_cudnn_rnn": True, "rnn_type": "cudnn_gru",
      "rnn_unidirectional": False, "row_conv": False, "n_hidden": 1600, "dropout_keep_prob": 0.5,
      "activation_fn": tf.nn.relu, "data_format": "channels_first"},
    "decoder": FullyConnectedCTCDecoder,
    "decoder_params": {"use_language_model": False, "beam_width": 512, "alpha": 2.0, "beta": 1.0,
      "decoder_library_path": "x.so", "lm_path": "lm", "trie_path": "trie", "alphabet_config_path": "vocab.txt"},
    "loss": CTCLoss, "loss_params": {},
}
train_params = {"data_layer": Speech2TextDataLayer, "data_layer_params": {"num_audio_features": 160,
  "input_type": "spectrogram", "augmentation": {"time_stretch_ratio": 0.05, "noise_level_min": -90,
  "noise_level_max": -60}, "vocab_file": "vocab.txt", "dataset_files": ["train.csv"], "max_duration": 16.7,
  "shuffle": True}}
eval_params = {"data_layer": Speech2TextDataLayer, "data_layer_params": {"num_audio_features": 160,
  "input_type": "spectrogram", "vocab_file": "vocab.txt", "dataset_files": ["dev.csv"], "shuffle": False}}
"""
)


@pytest.fixture
def convert(tmp_path, capsys):
    def run(text, *options):
        (tmp_path / "old.py").write_text(text)
        status = main(["run", "asr", "convert", str(tmp_path / "old.py"), *options])
        found = capsys.readouterr()
        return status, found.out, found.err

    return run


@pytest.mark.parametrize(("text", "recipe"), [(JASPER, "jasper/10x5-dr"), (DEEPSPEECH2, "deepspeech2/large")])
def test_an_old_config_gives_the_packaged_recipe(convert, text, recipe):
    status, out, err = convert(text)
    assert status == 0, err
    found = yaml.safe_load(out)
    packaged = yaml.safe_load(find_packaged(recipe, "s2s_asr", "absent").read_text())
    ours, theirs = found["model"]["init_args"], packaged["model"]["init_args"]
    for part in ("encoder", "decoder", "loss", "larc", "regularizer", "augment"):
        assert ours.get(part) == theirs.get(part), part
    for part in ("features", "optimizer", "schedule"):
        assert ours[part]["class_path"] == theirs[part]["class_path"]
        assert ours[part]["init_args"].items() >= theirs[part]["init_args"].items(), part
    assert found["data"]["init_args"]["max_duration_s"] == 16.7
    assert found["trainer"]["max_epochs"] == packaged["trainer"]["max_epochs"]
    assert [line for line in err.splitlines() if "not converted" in line] == []


@pytest.mark.parametrize("text", [JASPER, DEEPSPEECH2])
def test_what_comes_out_is_a_config(convert, tmp_path, text):
    import torch

    from s2s_core.checkpoint import build_task
    from s2s_core.cli.runs import key_parser
    from s2s_core.cli.tasks import find_task

    assert convert(text, "--output", str(tmp_path / "new.yaml"))[0] == 0
    parsed = key_parser(find_task("asr"), trains=True).parse_args(["--config", str(tmp_path / "new.yaml")])
    with torch.device("meta"):
        model = build_task(parsed["model"].as_dict(), "new.yaml")
    assert sum(parameter.numel() for parameter in model.parameters()) > 10e6
    assert (tmp_path / "new.yaml").read_text().startswith("# Converted from OpenSeq2Seq's old.py\n")


def test_what_has_no_counterpart_is_told(convert):
    status, out, err = convert(JASPER.replace('"use_conv_mask": True', '"use_conv_mask": True, "magic": 7'))
    assert status == 0
    assert "note: encoder_params.magic = 7: not converted" in err
    assert "# encoder_params.magic = 7: not converted" in out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (JASPER.replace('"encoder": TDNNEncoder', '"encoder": LasEncoder'), "encoder LasEncoder: is not converted"),
        (JASPER.replace('"convnet_layers": [', '"convnet_layers": 7 and ['), "only running"),
        (DEEPSPEECH2.replace('"conv_layers": [{', '"conv_layers": [1, {'), "not the form of a Speech2Text config"),
        ("x = 1\n", "expected an OpenSeq2Seq config"),
    ],
)
def test_a_config_that_cannot_be_converted_is_one_line(convert, text, message):
    status, out, err = convert(text)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
