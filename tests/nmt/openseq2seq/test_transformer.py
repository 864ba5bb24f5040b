"""The old Transformer-base config, in its documented form, gives the packaged recipe."""

import yaml

from s2s_core.cli.configs import find_packaged
from s2s_core.cli.main import main

OLD = """
import tensorflow as tf
from open_seq2seq.models import Text2Text
from open_seq2seq.encoders import TransformerEncoder
from open_seq2seq.decoders import TransformerDecoder
from open_seq2seq.data.text2text.text2text import ParallelTextDataLayer, SpecialTextTokens
from open_seq2seq.losses import PaddedCrossEntropyLossWithSmoothing
from open_seq2seq.optimizers.lr_policies import transformer_policy

base_model = Text2Text
d_model = 512
num_layers = 6
data_root = "[REPLACE THIS TO THE PATH WITH YOUR WMT DATA]"
base_params = {
  "use_horovod": True, "num_gpus": 1, "batch_size_per_gpu": 256, "max_steps": 300000, "dtype": tf.float32,
  "optimizer": tf.contrib.opt.LazyAdamOptimizer,
  "optimizer_params": {"beta1": 0.9, "beta2": 0.997, "epsilon": 0.000000001},
  "lr_policy": transformer_policy,
  "lr_policy_params": {"learning_rate": 2.0, "warmup_steps": 8000, "d_model": d_model},
  "encoder": TransformerEncoder,
  "encoder_params": {"encoder_layers": num_layers, "hidden_size": d_model, "num_heads": 8, "attention_dropout": 0.1,
    "filter_size": 4 * d_model, "relu_dropout": 0.1, "layer_postprocess_dropout": 0.1, "pad_embeddings_2_eight": True,
    "remove_padding": True},
  "decoder": TransformerDecoder,
  "decoder_params": {"layer_postprocess_dropout": 0.1, "num_hidden_layers": num_layers, "hidden_size": d_model,
    "num_heads": 8, "attention_dropout": 0.1, "relu_dropout": 0.1, "filter_size": 4 * d_model, "beam_size": 4,
    "alpha": 0.6, "extra_decode_length": 50, "EOS_ID": SpecialTextTokens.EOS_ID.value,
    "GO_SYMBOL": SpecialTextTokens.S_ID.value, "END_SYMBOL": SpecialTextTokens.EOS_ID.value,
    "PAD_SYMBOL": SpecialTextTokens.PAD_ID.value},
  "loss": PaddedCrossEntropyLossWithSmoothing, "loss_params": {"label_smoothing": 0.1},
}
train_params = {"data_layer": ParallelTextDataLayer, "data_layer_params": {"pad_vocab_to_eight": True,
  "src_vocab_file": data_root + "m_common.vocab", "tgt_vocab_file": data_root + "m_common.vocab",
  "source_file": data_root + "train.en", "target_file": data_root + "train.de", "delimiter": " ", "shuffle": True,
  "shuffle_buffer_size": 25000, "repeat": True, "map_parallel_calls": 16, "max_length": 56}}
"""


def test_transformer_base(tmp_path, capsys):
    (tmp_path / "old.py").write_text(OLD)
    assert main(["run", "nmt", "convert", str(tmp_path / "old.py")]) == 0
    found = capsys.readouterr()
    ours = yaml.safe_load(found.out)
    packaged = yaml.safe_load(find_packaged("transformer-base", "s2s_nmt", "absent").read_text())
    for part in ("encoder", "decoder", "loss", "search", "schedule", "share_embeddings"):
        assert ours["model"]["init_args"][part] == packaged["model"]["init_args"][part], part
    optimizer, theirs = (config["model"]["init_args"]["optimizer"] for config in (ours, packaged))
    assert optimizer["init_args"] == {key: value for key, value in theirs["init_args"].items() if key != "fused"}
    for key in ("batch_size", "batch_tokens", "max_length"):
        assert ours["data"]["init_args"][key] == packaged["data"]["init_args"][key], key
    assert ours["trainer"]["max_steps"] == 300000
    assert "not converted" not in found.err


def test_batch_norm_is_kept(tmp_path, capsys):
    norm = '"norm_params": {"type": "batch_norm", "momentum": 0.95, "epsilon": 0.00001, "center_scale": True}'
    (tmp_path / "old.py").write_text(OLD.replace('"remove_padding": True', f'"remove_padding": True, {norm}'))
    assert main(["run", "nmt", "convert", str(tmp_path / "old.py")]) == 0
    found = capsys.readouterr()
    layer = yaml.safe_load(found.out)["model"]["init_args"]["encoder"]["init_args"]["layer"]
    assert (layer["norm"], layer["norm_momentum"], layer["norm_eps"]) == ("batch", 0.05, 1e-5)
    assert "norm_params" not in found.err


def test_a_norm_without_a_counterpart_is_told(tmp_path, capsys):
    norm = '"norm_params": {"type": "layernorm_L1"}'
    (tmp_path / "old.py").write_text(OLD.replace('"remove_padding": True', f'"remove_padding": True, {norm}'))
    assert main(["run", "nmt", "convert", str(tmp_path / "old.py")]) == 0
    assert "encoder_params.norm_params.type = layernorm_L1: layer norm here" in capsys.readouterr().err


def test_a_model_of_another_task_is_sent_there(tmp_path, capsys):
    (tmp_path / "old.py").write_text(OLD)
    assert main(["run", "asr", "convert", str(tmp_path / "old.py")]) == 2
    assert "a Text2Text: convert it with 'lightning run nmt convert'" in capsys.readouterr().err
