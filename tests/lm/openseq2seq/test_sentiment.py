"""Old classifiers of texts, in their documented form, give what their tables say."""

import pytest
import yaml

from s2s_core.cli.configs import find_packaged
from s2s_core.errors import UserError
from s2s_core.testing.conversion import converted

IMDB = """
import tensorflow as tf
from open_seq2seq.models import LSTMLM
from open_seq2seq.encoders import LMEncoder
from open_seq2seq.decoders import FakeDecoder
from open_seq2seq.data import IMDBDataLayer
from open_seq2seq.parts.rnns.weight_drop import WeightDropLayerNormBasicLSTMCell
from open_seq2seq.losses import CrossEntropyLoss
from open_seq2seq.optimizers.lr_policies import fixed_lr

lm_vocab_file = 'wkt103-processed-data/vocab.txt'
base_model = LSTMLM
base_params = {
  "restore_best_checkpoint": True, "use_horovod": False, "num_gpus": 1, "batch_size_per_gpu": 16,
  "eval_batch_size_per_gpu": 64, "num_epochs": 100, "load_model": "WKT103-CPT", "lm_vocab_file": lm_vocab_file,
  "processed_data_folder": "imdb-processed-data-wkt103", "optimizer": "Adam", "optimizer_params": {},
  "lr_policy": fixed_lr, "lr_policy_params": {"learning_rate": 1e-4}, "dtype": tf.float32,
  "encoder": LMEncoder,
  "encoder_params": {
    "initializer": tf.random_uniform_initializer, "initializer_params": {"minval": -0.1, "maxval": 0.1},
    "use_cudnn_rnn": False, "cudnn_rnn_type": None,
    "core_cell": WeightDropLayerNormBasicLSTMCell, "core_cell_params": {"num_units": 1024, "forget_bias": 1.0},
    "encoder_layers": 3, "encoder_dp_input_keep_prob": 1.0, "encoder_dp_output_keep_prob": 0.8,
    "encoder_last_input_keep_prob": 1.0, "encoder_last_output_keep_prob": 0.8, "recurrent_keep_prob": 1.0,
    "encoder_emb_keep_prob": 0.6, "encoder_use_skip_connections": False, "emb_size": 256, "num_tokens_gen": 10,
    "sampling_prob": 0.0, "fc_use_bias": True, "weight_tied": True, "awd_initializer": False,
  },
  "decoder": FakeDecoder,
  "regularizer": tf.contrib.layers.l2_regularizer, "regularizer_params": {'scale': 2e-6},
  "loss": CrossEntropyLoss,
}
train_params = {"data_layer": IMDBDataLayer, "data_layer_params": {
  "data_root": "imdb", "pad_vocab_to_eight": False, "shuffle": True, "shuffle_buffer_size": 25000, "repeat": True,
  "map_parallel_calls": 16, "prefetch_buffer_size": 8, "binary": True, "max_length": 256, "get_stats": True}}
"""
SST = (
    IMDB.replace("IMDBDataLayer", "SSTDataLayer")
    .replace('"binary": True, "max_length": 256', '"max_length": 96')
    .replace('"awd_initializer": False', '"awd_initializer": False, "use_cell_state": True')
)


def test_imdb_gives_the_packaged_recipe_but_for_its_embeddings(tmp_path):
    found = converted("sentiment", IMDB, tmp_path)
    packaged = yaml.safe_load(find_packaged("imdb", "s2s_lm/sentiment", "absent").read_text())["model"]["init_args"]
    ours, theirs = (part["init_args"]["body"]["init_args"] for part in (found.part("encoder"), packaged["encoder"]))
    assert {**ours, "embedding_size": 400} == theirs  # the published model's, not this file's
    for part in ("labels", "regularizer"):
        assert found.part(part) == packaged[part]
    assert found.part("decoder")["init_args"] == {"in_features": 256, "num_classes": 2}
    assert found.part("pretrained") == "runs/WKT103-CPT/checkpoints/best.ckpt"
    assert found.content["data"]["init_args"]["max_length"] == 256
    assert [note for note in found.notes if "not converted" in note] == []
    assert any("old checkpoints are not read" in note for note in found.notes)


def test_sst_reads_the_cell_state_too(tmp_path):
    found = converted("sentiment", SST, tmp_path)
    assert found.part("encoder")["init_args"]["use_cell_state"] is True
    assert found.part("decoder")["init_args"]["final_features"] == 512
    assert found.content["data"]["init_args"]["train"] == "data/sst/train.arrow"
    assert found.content["data"]["init_args"]["max_length"] == 96


def test_ratings_are_ten_classes(tmp_path):
    found = converted("sentiment", IMDB.replace('"binary": True', '"binary": False'), tmp_path)
    assert found.part("labels") == [str(number) for number in range(1, 11)]
    assert found.part("decoder")["init_args"]["num_classes"] == 10


def test_a_language_model_is_sent_to_its_task(tmp_path):
    with pytest.raises(UserError, match="'run lm' converts WKTDataLayer"):
        converted("sentiment", IMDB.replace("IMDBDataLayer", "WKTDataLayer"), tmp_path)
