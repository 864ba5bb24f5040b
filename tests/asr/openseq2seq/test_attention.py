"""Old listen-attend-spell and joint configs, and Wav2Letter+'s clipped activation, in their documented form."""

import pytest
import yaml

from s2s_core.cli.configs import find_packaged
from s2s_core.errors import UserError
from s2s_core.testing.conversion import converted

BLOCK = """{{"type": "conv1d", "repeat": {2}, "kernel_size": [{1}], "stride": [{3}], "num_channels": {0},
  "padding": "SAME", "dilation": [{5}], "dropout_keep_prob": {4}}},"""
JOINT_ROWS = [(256, 11, 1, 2, 0.8, 1), (256, 11, 7, 1, 0.8, 1), (384, 11, 1, 2, 0.8, 1), (512, 11, 3, 1, 0.8, 1)]
JOINT_ROWS += [(768, 11, 4, 1, 0.7, 1)]
PLUS_ROWS = [(256, 11, 1, 2, 0.8, 1), (256, 11, 3, 1, 0.8, 1), (384, 13, 3, 1, 0.8, 1), (512, 17, 3, 1, 0.8, 1)]
PLUS_ROWS += [(640, 21, 3, 1, 0.7, 1), (768, 25, 3, 1, 0.7, 1), (896, 29, 1, 1, 0.6, 2), (1024, 1, 1, 1, 0.6, 1)]
DATA = """"num_audio_features": 64, "input_type": "logfbank", "vocab_file": "vocab.txt", "max_duration": 16.7,
  "dataset_files": ["data/librispeech/librivox-train-clean-100.csv"], "shuffle": True"""


def config(base, encoder, rows, more, decoder, loss, data):
    return f"""
import tensorflow as tf
from open_seq2seq.models import Speech2Text

base_model = Speech2Text
base_params = {{ {base}
  "encoder": {encoder},
  "encoder_params": {{ "convnet_layers": [{"".join(BLOCK.format(*row) for row in rows)}], {more}
    "initializer": tf.contrib.layers.xavier_initializer, "initializer_params": {{'uniform': False}},
    "normalization": "batch_norm", "activation_fn": lambda x: tf.minimum(tf.nn.relu(x), 20.0),
    "data_format": "channels_last" }},
  "decoder": {decoder[0]}, "decoder_params": {decoder[1]},
  "loss": {loss[0]}, "loss_params": {loss[1]},
}}
train_params = {{"data_layer": Speech2TextDataLayer, "data_layer_params": {{ {DATA} {data} }}}}
eval_params = {{"data_layer": Speech2TextDataLayer, "data_layer_params": {{
  "num_audio_features": 64, "input_type": "logfbank", "dataset_files": ["dev.csv"], "shuffle": False }}}}
infer_params = {{"data_layer_params": {{"dataset_files": ["test.csv"], "shuffle": False }}}}
"""


ATTENTION = """{"tgt_emb_size": 256, "pos_embedding": True, "attention_params": {"attention_dim": 256,
  "attention_type": "chorowski", "use_coverage": True, "num_heads": 1, "plot_attention": True}, "rnn_type": "lstm",
  "hidden_dim": 512, "num_layers": 1, "dropout_keep_prob": 0.8}"""
JOINT = config(
    '"random_seed": 0, "use_horovod": True, "num_epochs": 50, "num_gpus": 8, "batch_size_per_gpu": 64, "iter_size": 1,'
    '"optimizer": "Adam", "optimizer_params": {}, "lr_policy": poly_decay, "max_grad_norm": 1.0,'
    '"lr_policy_params": {"learning_rate": 1e-3, "power": 2.0, "min_lr": 1e-5}, "dtype": tf.float32,'
    '"regularizer": tf.contrib.layers.l2_regularizer, "regularizer_params": {"scale": 0.0001},',
    "ListenAttendSpellEncoder",
    JOINT_ROWS,
    '"recurrent_layers": [], "dropout_keep_prob": 0.8,',
    (
        "JointCTCAttentionDecoder",
        '{"attn_decoder": ListenAttendSpellDecoder, "attn_decoder_params": '
        + ATTENTION
        + ', "ctc_decoder": FullyConnectedCTCDecoder, "ctc_decoder_params": {"use_language_model": False},'
        '"beam_search_params": {"beam_width": 4}, "language_model_params": {"use_language_model": False}}',
    ),
    (
        "MultiTaskCTCEntropyLoss",
        '{"seq_loss_params": {"offset_target_by_one": False, "average_across_timestep": True, "do_mask": True},'
        '"ctc_loss_params": {}, "lambda_value": 0.25}',
    ),
    ', "autoregressive": True',
)
PLUS = config(
    '"random_seed": 0, "use_horovod": True, "num_epochs": 200, "num_gpus": 8, "batch_size_per_gpu": 32, "iter_size": 1,'
    '"optimizer": "Momentum", "optimizer_params": {"momentum": 0.90}, "lr_policy": poly_decay,'
    '"lr_policy_params": {"learning_rate": 0.05, "power": 2.0}, "larc_params": {"larc_eta": 0.001},'
    '"regularizer": tf.contrib.layers.l2_regularizer, "regularizer_params": {"scale": 0.001}, "dtype": tf.float32,',
    "TDNNEncoder",
    PLUS_ROWS,
    '"dropout_keep_prob": 0.7,',
    ("FullyConnectedCTCDecoder", '{"infer_logits_to_pickle": False}'),
    ("CTCLoss", "{}"),
    "",
)


@pytest.mark.parametrize(("text", "recipe"), [(JOINT, "jca"), (PLUS, "wav2letter-plus")], ids=["joint", "w2l-plus"])
def test_an_old_config_gives_the_packaged_recipe(tmp_path, text, recipe):
    found = converted("asr", text, tmp_path)
    packaged = yaml.safe_load(find_packaged(recipe, "s2s_asr", "absent").read_text())
    theirs = packaged["model"]["init_args"]
    for part in ("features", "encoder", "decoder", "loss", "larc", "regularizer"):
        assert found.content["model"]["init_args"].get(part) == theirs.get(part), part
    for part in ("optimizer", "schedule"):
        assert found.part(part)["init_args"].items() >= theirs[part]["init_args"].items(), part
    for key in ("batch_size", "max_duration_s"):
        assert found.content["data"]["init_args"][key] == packaged["data"]["init_args"][key], key
    for key in ("max_epochs", "gradient_clip_val"):
        assert found.content["trainer"].get(key) == packaged["trainer"].get(key), key
    assert found.content["data"]["init_args"]["test"] == ["test.jsonl.gz"]
    assert [note for note in found.notes if "not converted" in note] == []


def test_recurrent_layers_stand_behind_the_convolutions(tmp_path):
    rows = '"recurrent_layers": [{"type": "gru", "num_layers": 2, "hidden_dim": 32, "dropout_keep_prob": 0.9}]'
    found = converted("asr", JOINT.replace('"recurrent_layers": []', rows), tmp_path)
    convolutions, recurrent = found.part("encoder")["init_args"]["encoders"]
    assert convolutions["class_path"].endswith("TdnnEncoder")
    expected = {"in_features": 768, "size": 32, "layers": 2, "rnn_type": "gru", "dropout": 0.1}
    assert recurrent["init_args"] == expected
    assert found.part("decoder")["init_args"]["attention"]["init_args"]["in_features"] == 64


def test_attention_alone(tmp_path):
    decoder = f"{ATTENTION[:-1]}, 'beam_width': 8}}"
    text = config(
        '"num_epochs": 50, "batch_size_per_gpu": 8, "optimizer": "Adam", "lr_policy": fixed_lr,',
        "ListenAttendSpellEncoder",
        JOINT_ROWS[:1],
        "",
        ("ListenAttendSpellDecoder", decoder),
        ("BasicSequenceLoss", '{"offset_target_by_one": False, "do_mask": True}'),
        "",
    )
    found = converted("asr", text, tmp_path)
    assert found.part("decoder")["init_args"]["search"]["init_args"] == {"beam_width": 8}
    assert found.part("decoder")["init_args"]["dropout"] == 0.2
    assert found.part("loss") == {"class_path": "s2s_asr.losses.cross_entropy.CrossEntropyLoss"}


def test_a_decoder_goes_with_its_own_loss(tmp_path):
    with pytest.raises(UserError, match="decoder JointCTCAttentionDecoder with CTCLoss: expected"):
        converted("asr", JOINT.replace("MultiTaskCTCEntropyLoss", "CTCLoss"), tmp_path)
