"""Old language-model configs, in their documented form, give what their tables say."""

import pytest
import yaml

from s2s_core.cli.configs import find_packaged
from s2s_core.errors import UserError
from s2s_core.testing.conversion import converted

WIKITEXT_2 = """
import tensorflow as tf
from open_seq2seq.models import LSTMLM
from open_seq2seq.encoders import LMEncoder
from open_seq2seq.decoders import FakeDecoder
from open_seq2seq.data import WKTDataLayer
from open_seq2seq.parts.rnns.weight_drop import WeightDropLayerNormBasicLSTMCell
from open_seq2seq.losses import BasicSequenceLoss
from open_seq2seq.optimizers.lr_policies import fixed_lr

data_root = "[REPLACE THIS TO THE PATH WITH YOUR WikiText-2-raw DATA]"
processed_data_folder = 'wkt2-processed-data'
base_model = LSTMLM
bptt = 96
steps = 40
base_params = {
  "restore_best_checkpoint": True, "use_horovod": True, "num_gpus": 2, "batch_size_per_gpu": 160, "num_epochs": 1500,
  "save_summaries_steps": steps, "print_loss_steps": steps, "save_checkpoint_steps": steps,
  "processed_data_folder": processed_data_folder, "logdir": "WKT2-CPT", "eval_steps": steps * 2,
  "optimizer": "Adam", "optimizer_params": {},
  "lr_policy": fixed_lr, "lr_policy_params": {"learning_rate": 4e-4},
  "summaries": ['learning_rate', 'variables'], "dtype": tf.float32,
  "encoder": LMEncoder,
  "encoder_params": {
    "initializer": tf.random_uniform_initializer, "initializer_params": {"minval": -0.1, "maxval": 0.1},
    "use_cudnn_rnn": False, "cudnn_rnn_type": None,
    "core_cell": WeightDropLayerNormBasicLSTMCell, "core_cell_params": {"num_units": 896, "forget_bias": 1.0},
    "encoder_layers": 3, "encoder_dp_input_keep_prob": 1.0, "encoder_dp_output_keep_prob": 0.6,
    "encoder_last_input_keep_prob": 1.0, "encoder_last_output_keep_prob": 0.6, "recurrent_keep_prob": 0.7,
    "encoder_emb_keep_prob": 0.37, "encoder_use_skip_connections": False, "emb_size": 256, "num_tokens_gen": 10,
    "sampling_prob": 0.0, "fc_use_bias": True, "weight_tied": True, "awd_initializer": False,
  },
  "decoder": FakeDecoder,
  "regularizer": tf.contrib.layers.l2_regularizer, "regularizer_params": {'scale': 2e-6},
  "loss": BasicSequenceLoss,
  "loss_params": {"offset_target_by_one": False, "average_across_timestep": True, "do_mask": False}
}
train_params = {"data_layer": WKTDataLayer, "data_layer_params": {
  "data_root": data_root, "pad_vocab_to_eight": False, "rand_start": True, "shuffle": True,
  "shuffle_buffer_size": 25000, "repeat": True, "map_parallel_calls": 16, "prefetch_buffer_size": 8, "bptt": bptt}}
eval_params = {"data_layer": WKTDataLayer, "data_layer_params": {
  "pad_vocab_to_eight": False, "shuffle": False, "repeat": False, "map_parallel_calls": 16,
  "prefetch_buffer_size": 1, "bptt": bptt}}
infer_params = {"data_layer": WKTDataLayer, "data_layer_params": {
  "pad_vocab_to_eight": False, "shuffle": False, "repeat": False, "rand_start": False, "map_parallel_calls": 16,
  "prefetch_buffer_size": 8, "bptt": bptt, "seed_tokens": "something The only game"}}
"""
CUDNN = (
    WIKITEXT_2.replace('"use_cudnn_rnn": False', '"use_cudnn_rnn": True')
    .replace('"cudnn_rnn_type": None', '"cudnn_rnn_type": tf.contrib.cudnn_rnn.CudnnLSTM')
    .replace('"core_cell": WeightDropLayerNormBasicLSTMCell', '"core_cell": None')
    .replace("896", "128")
    .replace('"emb_size": 256', '"emb_size": 64')
)
SAMPLED = WIKITEXT_2.replace('"loss": BasicSequenceLoss', '"loss": BasicSampledSequenceLoss').replace(
    '"awd_initializer": False', '"awd_initializer": False, "num_sampled": 8192'
)


def test_wikitext_2_gives_the_packaged_recipe(tmp_path):
    found = converted("lm", WIKITEXT_2, tmp_path)
    packaged = yaml.safe_load(find_packaged("wikitext-2", "s2s_lm/lm", "absent").read_text())
    for part in ("encoder", "decoder", "loss", "regularizer"):
        assert found.part(part) == packaged["model"]["init_args"][part], part
    assert found.part("optimizer")["init_args"]["lr"] == 0.0004
    data = found.content["data"]["init_args"]
    assert (data["batch_size"], data["segment_length"], data["segmenting"]) == (160, 96, {"random_start": True})
    assert (found.content["trainer"]["max_epochs"], found.content["trainer"]["devices"]) == (1500, "auto")
    assert [note for note in found.notes if "not converted" in note] == []
    assert "data_layer_params.shuffle = True: a text is read in its order" in found.notes


def test_cudnn_layers_are_an_awd_lstm_without_penalties(tmp_path):
    found = converted("lm", CUDNN, tmp_path)
    encoder = found.part("encoder")
    assert encoder["class_path"].endswith("AwdLstmEncoder")
    assert encoder["init_args"]["dropout"] == {
        "word": 0.0,
        "inputs": 0.63,
        "hidden": 0.4,
        "outputs": 0.4,
        "weights": 0.0,
    }
    assert (encoder["init_args"]["hidden_size"], encoder["init_args"]["embedding_size"]) == (128, 64)
    assert encoder["init_args"]["activation_penalty"] == encoder["init_args"]["temporal_penalty"] == 0.0
    assert "encoder_params.recurrent_keep_prob = 0.7: cuDNN's cells dropped nothing within, nor do these" in found.notes


def test_the_sampled_softmax_keeps_its_samples(tmp_path):
    found = converted("lm", SAMPLED.replace("wkt2", "wkt103"), tmp_path)
    assert found.part("encoder")["init_args"]["vocab_size"] == 267735
    assert found.content["data"]["init_args"]["train"] == "data/wikitext-103/train.arrow"
    assert found.part("loss") == {"class_path": "s2s_lm.losses.sampled.SampledSoftmax", "init_args": {"samples": 8192}}


@pytest.mark.parametrize(
    ("was", "now", "message"),
    [
        ('"core_cell": WeightDrop', '"core_cell": Other', "core_cell OtherLayerNormBasicLSTMCell: expected Weight"),
        ("base_model = LSTMLM", "base_model = Text2Text", "a Text2Text: convert it with 'lightning run nmt convert'"),
        ('"data_layer": WKTDataLayer', '"data_layer": IMDBDataLayer', "classifiers are converted by 'run sentiment'"),
    ],
)
def test_what_has_no_counterpart_is_one_line(tmp_path, was, now, message):
    with pytest.raises(UserError, match=message):
        converted("lm", WIKITEXT_2.replace(was, now), tmp_path)
