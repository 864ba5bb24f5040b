"""Old synthesis configs, in their documented form, give the packaged recipes: Tacotron 2, styles, Centaur, WaveNet."""

import pytest
import yaml

from s2s_core.cli.configs import find_packaged
from s2s_core.errors import UserError
from s2s_core.testing.conversion import converted

HEADER = """
import os
import tensorflow as tf
from open_seq2seq.models import {model}
from open_seq2seq.data import {data}
from open_seq2seq.losses import {loss}
from open_seq2seq.optimizers.lr_policies import exp_decay, poly_decay
from open_seq2seq.optimizers.novograd import NovoGrad

base_model = {model}
output_type = "both"
"""
TRAINED = """
  "optimizer": "Adam", "optimizer_params": {}, "lr_policy": exp_decay,
  "lr_policy_params": {"learning_rate": 1e-3, "decay_steps": %d, "decay_rate": 0.1, "use_staircase_decay": False,
    "begin_decay_at": %d, "min_lr": 1e-5},
  "dtype": tf.float32,
  "regularizer": tf.contrib.layers.l2_regularizer, "regularizer_params": {"scale": 1e-6},
  "initializer": tf.contrib.layers.xavier_initializer, "summaries": ["learning_rate"],
"""
CONV = '{"kernel_size": [5], "stride": [1], "num_channels": 512, "padding": "SAME"},'
POST = CONV.replace("}", ', "activation_fn": tf.nn.tanh}') * 4
POST += CONV.replace("512", "-1").replace("}", ', "activation_fn": None}')
TACOTRON = (
    HEADER.format(model="Text2SpeechTacotron", data="Text2SpeechDataLayer", loss="Text2SpeechLoss")
    + """
num_audio_features = {"mel": 80, "magnitude": 513}
base_params = {
  "random_seed": 0, "use_horovod": False, "max_steps": 100000, "num_gpus": 1, "batch_size_per_gpu": 48,
  "save_summaries_steps": 50, "print_loss_steps": 50, "print_samples_steps": 500, "eval_steps": 500,
  "save_checkpoint_steps": 2500, "save_to_tensorboard": True, "logdir": "result/tacotron-LJ-float",
  "max_grad_norm": 1.,
"""
    + TRAINED % (20000, 45000)
    + """
  "encoder": Tacotron2Encoder,
  "encoder_params": {
    "cnn_dropout_prob": 0.5, "rnn_dropout_prob": 0., "src_emb_size": 512, "conv_layers": ["""
    + CONV * 3
    + """],
    "activation_fn": tf.nn.relu, "num_rnn_layers": 1, "rnn_cell_dim": 256, "rnn_unidirectional": False,
    "use_cudnn_rnn": True, "rnn_type": tf.contrib.cudnn_rnn.CudnnLSTM, "zoneout_prob": 0.,
    "data_format": "channels_last",
  },
  "decoder": Tacotron2Decoder,
  "decoder_params": {
    "zoneout_prob": 0., "dropout_prob": 0.1, "attention_type": 'location', "attention_layer_size": 128,
    "attention_bias": True, "decoder_cell_units": 1024, "decoder_cell_type": tf.nn.rnn_cell.LSTMCell,
    "decoder_layers": 2, "enable_prenet": True, "prenet_layers": 2, "prenet_units": 256,
    "enable_postnet": True, "postnet_keep_dropout_prob": 0.5, "postnet_data_format": "channels_last",
    "postnet_conv_layers": ["""
    + POST
    + """],
    "mask_decoder_sequence": True, "parallel_iterations": 32,
  },
  "loss": Text2SpeechLoss, "loss_params": {"use_mask": True},
  "data_layer": Text2SpeechDataLayer,
  "data_layer_params": {
    "dataset": "LJ", "num_audio_features": num_audio_features, "output_type": output_type,
    "vocab_file": "open_seq2seq/test_utils/vocab_tts.txt", 'dataset_location': "data/ljspeech", "mag_power": 1,
    "pad_EOS": True, "feature_normalize": False, "feature_normalize_mean": 0., "feature_normalize_std": 1.,
    "data_min": {"mel": 1e-2, "magnitude": 1e-5}, "mel_type": 'htk', "trim": False, "duration_max": 1024,
    "duration_min": 24, "exp_mag": True
  },
}
train_params = {"data_layer_params": {"dataset_files": [os.path.join("data/ljspeech", "train.csv")], "shuffle": True}}
eval_params = {"data_layer_params": {"dataset_files": ["val.csv"], "duration_max": 10000, "duration_min": 0,
  "shuffle": False}}
"""
)
STYLE_CONV = "".join(
    f'{{"kernel_size": [3, 3], "stride": [2, 2], "num_channels": {channels}, "padding": "SAME"}},'
    for channels in (32, 32, 64, 64, 128, 128)
)
STYLES = (
    TACOTRON.replace(
        '"data_format": "channels_last",\n  },',
        '"data_format": "channels_last", "style_embedding_enable": True, "style_embedding_params": {"conv_layers": ['
        + STYLE_CONV
        + '], "num_rnn_layers": 1, "rnn_cell_dim": 128, "rnn_unidirectional": True, "rnn_type": tf.nn.rnn_cell.GRUCell,'
        '"emb_size": 512, "attention_layer_size": 512, "num_tokens": 32, "num_heads": 8},\n  },',
        1,
    )
    .replace('"dataset": "LJ"', '"dataset": "MAILABS", "style_input": "wav"')
    .replace('"magnitude": 513', '"magnitude": 401')
    .replace(
        '"max_steps": 100000, "num_gpus": 1, "batch_size_per_gpu": 48',
        '"num_epochs": 25, "num_gpus": 2, "batch_size_per_gpu": 32',
    )
    .replace('"decay_steps": 20000', '"decay_steps": 10000')
    .replace('"begin_decay_at": 45000', '"begin_decay_at": 20000')
    .replace('"trim": False', '"trim": True')
    .replace("data/ljspeech", "data/mailabs")
)
CAUSAL = """{"kernel_size": [5], "stride": [1], "num_channels": 512, "padding": "VALID", "is_causal": True,
  "activation_fn": tf.nn.relu}"""
CENTAUR = (
    HEADER.format(model="Text2SpeechCentaur", data="Text2SpeechDataLayer", loss="Text2SpeechLoss")
    + """
base_params = {
  "random_seed": 0, "use_horovod": True, "max_steps": 1000000, "bench_start": 0, "num_gpus": 8,
  "batch_size_per_gpu": 32, "save_to_tensorboard": True, "max_grad_norm": 1.,
  "optimizer": NovoGrad,
  "optimizer_params": {"beta1": 0.95, "beta2": 0.98, "epsilon": 1e-08, "weight_decay": 0.001},
  "lr_policy": poly_decay, "lr_policy_params": {"learning_rate": 0.02, "power": 2.0}, "dtype": tf.float32,
  "initializer": tf.contrib.layers.xavier_initializer,
  "encoder": CentaurEncoder,
  "encoder_params": {"src_vocab_size": 94, "embedding_size": 256, "output_size": 256, "pad_embeddings_2_eight": True,
    "cnn_dropout_prob": 0.1, "conv_layers": ["""
    + '{"kernel_size": [3], "stride": [1], "num_channels": 256, "padding": "SAME", "activation_fn": tf.nn.relu},' * 4
    + """]},
  "decoder": CentaurDecoder,
  "decoder_params": {
    "attention_layers": 4, "self_attention_conv_params": """
    + CAUSAL
    + """, "window_size": 4, "back_step_size": 0, "force_layers": [1, 3], "hidden_size": 512, "reduction_factor": 2,
    "prenet_layers": 2, "prenet_hidden_size": 512, "prenet_use_inference_dropout": False, "cnn_dropout_prob": 0.1,
    "prenet_dropout": 0.5, "conv_layers": ["""
    + f"{CAUSAL}, " * 4
    + """], "mag_conv_layers": ["""
    + f"{CAUSAL}, " * 4
    + """], "attention_dropout": 0.1, "layer_postprocess_dropout": 0.1},
  "loss": Text2SpeechLoss, "loss_params": {"use_mask": True, "l1_norm": True},
"""
    + TACOTRON[TACOTRON.index('  "data_layer": ') :].replace(
        "num_audio_features,", '{"mel": 80, "magnitude": 513}, "use_cache": True,'
    )
)
WAVENET = (
    HEADER.format(model="Text2SpeechWavenet", data="WavenetDataLayer", loss="WavenetLoss")
    + """
base_params = {
  "random_seed": 0, "use_horovod": False, "max_steps": 1000000, "num_gpus": 1, "batch_size_per_gpu": 2,
"""
    + TRAINED % (20000, 45000)
    + """
  "encoder": WavenetEncoder,
  "encoder_params": {"layer_type": "conv1d", "kernel_size": 3, "strides": 1, "padding": "VALID", "blocks": 3,
    "layers_per_block": 10, "filters": 64, "quantization_channels": 256},
  "decoder": FakeDecoder, "loss": WavenetLoss, "data_layer": WavenetDataLayer,
  "data_layer_params": {"num_audio_features": 80, "dataset_location": "data/ljspeech/"}
}
train_params = {"data_layer_params": {"dataset_files": ["train.csv"], "shuffle": True}}
"""
)


def packaged(name, home="s2s_tts/tts"):
    return yaml.safe_load(find_packaged(name, home, "absent").read_text())


@pytest.mark.parametrize(
    ("text", "recipe"),
    [(TACOTRON, "tacotron2/lj-speech"), (STYLES, "tacotron2/gst"), (CENTAUR, "centaur")],
    ids=["tacotron2", "styles", "centaur"],
)
def test_an_old_config_builds_the_packaged_recipes_model(tmp_path, text, recipe):
    import torch

    from s2s_core.checkpoint import build_task

    found, theirs = converted("tts", text, tmp_path), packaged(recipe)
    with torch.device("meta"):
        model = build_task(theirs["model"], recipe)
    assert {name: weight.shape for name, weight in found.model.named_parameters()} == {
        name: weight.shape for name, weight in model.named_parameters()
    }
    for part in ("loss", "regularizer"):
        assert found.content["model"]["init_args"].get(part) == theirs["model"]["init_args"].get(part)
    for part in ("optimizer", "schedule"):
        ours, given = found.part(part)["init_args"], theirs["model"]["init_args"][part]["init_args"]
        assert ours.items() >= given.items(), part
    for key in ("train", "batch_size", "batch_frames", "max_frames"):
        assert found.content["data"]["init_args"][key] == theirs["data"]["init_args"][key], key
    for key in ("max_steps", "max_epochs", "gradient_clip_val"):
        assert found.content["trainer"].get(key) == theirs["trainer"].get(key), key
    assert [note for note in found.notes if "not converted" in note] == []


def test_tacotron_sizes_are_those_of_the_old_config(tmp_path):
    found = converted("tts", TACOTRON, tmp_path)
    assert found.part("encoder")["init_args"] == {
        "vocab_size": 39, "embedding_size": 512, "channels": 512, "conv_layers": 3, "kernel": 5, "rnn_size": 256,
        "rnn_layers": 1, "dropout": 0.5,
    }  # fmt: skip
    assert found.part("decoder")["init_args"]["sizes"] == {
        "prenet": 256, "prenet_layers": 2, "rnn": 1024, "rnn_dropout": 0.1, "attention": 128, "postnet": 512,
        "postnet_layers": 5, "postnet_kernel": 5, "postnet_dropout": 0.5,
    }  # fmt: skip
    features = found.part("features")["init_args"]
    assert (features["sample_rate_hz"], features["n_fft"]) == (22050, 1024)
    assert (features["mel_floor"], features["magnitude_floor"]) == (0.01, 1e-5)


def test_centaur_sizes_are_those_of_the_old_config(tmp_path):
    sizes = converted("tts", CENTAUR, tmp_path).part("decoder")["init_args"]["sizes"]
    assert sizes == {
        "hidden": 512, "attention_layers": 4, "conv_layers": 4, "magnitude_layers": 4, "kernel": 5,
        "prenet_layers": 2, "prenet_dropout": 0.5, "dropout": 0.1, "window": 4, "back": 0, "forced": [1, 3],
    }  # fmt: skip


def test_wavenet_gives_the_packaged_vocoder(tmp_path):
    found, theirs = converted("vocoder", WAVENET, tmp_path), packaged("wavenet", "s2s_tts/vocoder")
    ours, given = found.part("vocoder")["init_args"], theirs["model"]["init_args"]["vocoder"]["init_args"]
    assert ours["shape"] == given["shape"]
    assert ours["upsampling"] == given["upsampling"]
    for part in ("schedule", "regularizer"):
        assert found.part(part)["init_args"].items() >= theirs["model"]["init_args"][part]["init_args"].items()
    assert found.content["data"]["init_args"].items() <= theirs["data"]["init_args"].items()
    assert found.content["trainer"]["max_steps"] == 1000000


def test_trimming_is_told(tmp_path):
    found = converted("tts", STYLES, tmp_path)
    assert "data_layer_params.trim = True: trim recordings before preparing them" in found.notes


@pytest.mark.parametrize(
    ("task", "text", "message"),
    [
        ("tts", TACOTRON.replace("'location'", "'bahdanau'"), "attention_type 'bahdanau': expected 'location'"),
        ("tts", WAVENET, "a Text2SpeechWavenet: convert it with 'lightning run vocoder convert'"),
        ("tts", TACOTRON.replace('"num_channels": 512', '"num_channels": 8', 1), "expected convolutions of one size"),
    ],
)
def test_what_has_no_counterpart_is_one_line(tmp_path, task, text, message):
    with pytest.raises(UserError, match=message):
        converted(task, text, tmp_path)
