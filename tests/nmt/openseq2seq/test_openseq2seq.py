"""Old translation configs of every encoder and decoder, in their documented form, give the packaged recipes."""

import pytest
import yaml

from s2s_core.cli.configs import find_packaged
from s2s_core.errors import UserError
from s2s_core.testing.conversion import converted

SYMBOLS = """"GO_SYMBOL": SpecialTextTokens.S_ID.value, "END_SYMBOL": SpecialTextTokens.EOS_ID.value,
    "PAD_SYMBOL": SpecialTextTokens.PAD_ID.value"""
WMT = "[REPLACE THIS TO THE PATH WITH YOUR WMT DATA]"
OPTIMISED = {
    "adam": '"optimizer": "Adam", "optimizer_params": {}, "lr_policy": fixed_lr, '
    '"lr_policy_params": {"learning_rate": 0.001}, ',
    "toy": '"optimizer": "Adam", "optimizer_params": {"epsilon": %s}, "lr_policy": fixed_lr, '
    '"lr_policy_params": {"learning_rate": 0.001}, "max_grad_norm": 3.0, ',
}


def config(base, encoder, decoder, loss, data, beam):
    """The text of an old config; the beam of RNNs stands in ``infer_params``."""
    return f"""
import tensorflow as tf
from open_seq2seq.models import Text2Text
from open_seq2seq.data.text2text.text2text import SpecialTextTokens

base_model = Text2Text
data_root = "{WMT}"
base_params = {{ {base}
  "encoder": {encoder[0]}, "encoder_params": {{ {encoder[1]} }},
  "decoder": {decoder[0]}, "decoder_params": {{ {decoder[1]}, {SYMBOLS} }},
  "loss": BasicSequenceLoss,
  "loss_params": {{"offset_target_by_one": True, "average_across_timestep": {loss}, "do_mask": True}},
}}
train_params = {{"data_layer": ParallelTextDataLayer, "data_layer_params": {{ {data} }}}}
infer_params = {{"batch_size_per_gpu": 1, "decoder": BeamSearchRNNDecoderWithAttention,
  "decoder_params": {{ {beam} }}}}
"""


def texts(length, vocabularies=("m_common.vocab", "m_common.vocab")):
    return f""""pad_vocab_to_eight": True, "src_vocab_file": data_root + "{vocabularies[0]}",
  "tgt_vocab_file": data_root + "{vocabularies[1]}", "source_file": data_root + "train.en",
  "target_file": data_root + "train.de", "delimiter": " ", "shuffle": True, "shuffle_buffer_size": 25000,
  "repeat": True, "map_parallel_calls": 16, "prefetch_buffer_size": 2, "max_length": {length}"""


TOY = """"src_vocab_file": "toy_text_data/vocab/source.txt", "tgt_vocab_file": "toy_text_data/vocab/target.txt",
  "source_file": "toy_text_data/train/source.txt", "target_file": "toy_text_data/train/target.txt", "shuffle": True,
  "repeat": True, "max_length": 56, "delimiter": " ", "special_tokens_already_in_vocab": False"""
LSTM = '"core_cell": tf.nn.rnn_cell.LSTMCell, "core_cell_params": {"num_units": %d, "forget_bias": 1.0}'


def rnn(side, size, layers, skip=False, embedding=None):
    prefix = {"encoder": "src", "decoder": "tgt"}[side]
    return (
        LSTM
        % size
        + f', "{side}_layers": {layers}, "{side}_dp_input_keep_prob": 0.8, "{side}_dp_output_keep_prob": 1.0, '
        f'"{side}_use_skip_connections": {skip}, "{prefix}_emb_size": {embedding or size}'
    )


SMALL = config(
    '"use_horovod": False, "num_gpus": 1, "max_steps": 160082, "batch_size_per_gpu": 128, "dtype": tf.float32, '
    + OPTIMISED["adam"]
    + '"larc_params": {"larc_eta": 0.001},',
    ("BidirectionalRNNEncoderWithEmbedding", rnn("encoder", 512, 2) + ', "initializer": tf.glorot_uniform_initializer'),
    (
        "RNNDecoderWithAttention",
        rnn("decoder", 512, 2) + ', "initializer": tf.glorot_uniform_initializer, "attention_type": "gnmt_v2", '
        '"attention_layer_size": 512, "use_swap_memory": True',
    ),
    False,
    texts(50),
    '"beam_width": 10, "length_penalty": 1.0',
)
UNIFORM = ', "initializer": tf.random_uniform_initializer, "initializer_params": {"minval": -0.1, "maxval": 0.1}'
GNMT = config(
    '"use_horovod": False, "num_gpus": 4, "max_steps": 340000, "batch_size_per_gpu": 32, "dtype": tf.float32, '
    '"optimizer": "Adam", "optimizer_params": {}, "lr_policy": exp_decay, "lr_policy_params": '
    '{"learning_rate": 0.0008, "begin_decay_at": 170000, "decay_steps": 17000, "decay_rate": 0.5, '
    '"use_staircase_decay": True, "min_lr": 0.0000005}, "max_grad_norm": 32768.0,',
    ("GNMTLikeEncoderWithEmbedding", rnn("encoder", 1024, 7, True) + UNIFORM),
    (
        "RNNDecoderWithAttention",
        rnn("decoder", 1024, 8, True) + UNIFORM + ', "attention_type": "gnmt_v2", "attention_layer_size": 1024',
    ),
    True,
    texts(50),
    '"beam_width": 10, "length_penalty": 1.0',
)
KEPT = '"embedding_dropout_keep_prob": {0}, "hidden_dropout_keep_prob": {0}'.format
STACK = "[(512, 3)] * 9 + [(1024, 3)] * 4 + [(2048, 1)] * 2"
GATED = (
    '"conv_activation": gated_linear_units, "normalization_type": "weight_norm", "scaling_factor": 0.7071067811865476'
)
CONVS2S = config(
    '"use_horovod": True, "num_gpus": 1, "max_steps": 310000, "batch_size_per_gpu": 64, "dtype": tf.float32, '
    '"optimizer": "Adam", "optimizer_params": {}, "lr_policy": transformer_policy, "lr_policy_params": '
    '{"learning_rate": 9, "max_lr": 1e-3, "warmup_steps": 4000, "d_model": 512}, "max_grad_norm": 0.1,',
    (
        "ConvS2SEncoder",
        f'"src_emb_size": 512, "pad_embeddings_2_eight": True, "att_layer_num": 15, "conv_nchannels_kwidth": {STACK}, '
        f'{KEPT(0.8)}, "max_input_length": 64, "PAD_SYMBOL": SpecialTextTokens.PAD_ID.value, {GATED}',
    ),
    (
        "ConvS2SDecoder",
        f'"shared_embed": True, "tgt_emb_size": 512, "pad_embeddings_2_eight": True, "out_emb_size": 512, '
        f'"pos_embed": False, "conv_nchannels_kwidth": {STACK}, {KEPT(0.8)}, "out_dropout_keep_prob": 0.8, '
        f'"max_input_length": 64, "extra_decode_length": 56, "beam_size": 5, "alpha": 0.6, "EOS_ID": EOS_ID, {GATED}',
    ),
    True,
    texts(64),
    "",
)
TOY_BASE = '"use_horovod": False, "num_gpus": 1, "batch_size_per_gpu": 64, "max_steps": %d, "dtype": tf.float32, '
TOY_RNN = {
    "encoder": ("BidirectionalRNNEncoderWithEmbedding", rnn("encoder", 128, 1)),
    "decoder": (
        "RNNDecoderWithAttention",
        rnn("decoder", 128, 1) + ', "attention_type": "luong", "luong_scale": False, "attention_layer_size": 128',
    ),
}
TOY_CONV = {
    "encoder": (
        "ConvS2SEncoder",
        f'"src_emb_size": 128, "att_layer_num": 2, "pad_embeddings_2_eight": False, {KEPT(0.9)}, '
        '"conv_nchannels_kwidth": [(128, 3)] * 2, "max_input_length": 100',
    ),
    "decoder": (
        "ConvS2SDecoder",
        f'"shared_embed": True, "tgt_emb_size": 128, "pad_embeddings_2_eight": False, {KEPT(0.9)}, '
        '"out_dropout_keep_prob": 0.9, "conv_nchannels_kwidth": [(128, 3)] * 2, "max_input_length": 120, '
        '"extra_decode_length": 10, "beam_size": 5, "alpha": 0.6, "EOS_ID": EOS_ID',
    ),
}


def toy(encoder, decoder, steps, epsilon, average, beam='"beam_width": 10, "length_penalty": 1.0'):
    base = TOY_BASE % steps + OPTIMISED["toy"] % epsilon
    return config(base, encoder["encoder"], decoder["decoder"], average, TOY, beam)


RR = toy(TOY_RNN, TOY_RNN, 800, "1e-4", False)
CC = toy(TOY_CONV, TOY_CONV, 1000, "1e-9", True, "")
DEFAULTS = {"embedding_dropout": 0.1, "hidden_dropout": 0.1, "output_dropout": 0.1, "positions": True}
DEFAULTS |= {"max_length": 1024, "reduction": "token", "max_length_ratio": 1.0, "max_length_extra": 50}


def spelt_out(value):
    """Without what merely repeats a default."""
    if not isinstance(value, dict):
        return value
    return {key: spelt_out(item) for key, item in value.items() if key not in DEFAULTS or DEFAULTS[key] != item}


@pytest.mark.parametrize(
    ("text", "recipe"),
    [(SMALL, "rnn-small"), (GNMT, "gnmt"), (CONVS2S, "convs2s"), (RR, "toy/rr"), (CC, "toy/cc")],
    ids=["rnn-small", "gnmt", "convs2s", "toy-rr", "toy-cc"],
)
def test_an_old_config_gives_the_packaged_recipe(tmp_path, text, recipe):
    found = converted("nmt", text, tmp_path)
    packaged = yaml.safe_load(find_packaged(recipe, "s2s_nmt", "absent").read_text())
    ours, theirs = found.content["model"]["init_args"], packaged["model"]["init_args"]
    if recipe == "convs2s":
        theirs["decoder"]["init_args"]["layers"]["max_length"] = 64  # without positions it is not read
    if recipe == "toy/rr":  # a recurrent search's limit, where the recipe has the default
        ours["search"]["init_args"] |= {"max_length_ratio": 1.0, "max_length_extra": 50}
    for part in ("encoder", "decoder", "loss", "search", "share_embeddings", "schedule", "larc"):
        assert spelt_out(ours.get(part)) == _without_empty(spelt_out(theirs.get(part))), part
    optimizer = theirs["optimizer"]["init_args"]
    assert ours["optimizer"]["init_args"].items() >= {k: v for k, v in optimizer.items() if k != "fused"}.items()
    for key in ("batch_size", "max_length"):
        assert found.content["data"]["init_args"][key] == packaged["data"]["init_args"][key]
    for key in ("max_steps", "gradient_clip_val"):
        assert found.content["trainer"].get(key) == packaged["trainer"].get(key)
    assert [note for note in found.notes if "not converted" in note] == []


def _without_empty(part):
    return {key: item for key, item in part.items() if item != {}} if isinstance(part, dict) else part


@pytest.mark.parametrize(
    ("encoder", "decoder", "width"),
    [(TOY_RNN, TOY_CONV, 256), (TOY_CONV, TOY_RNN, 128)],
    ids=["RC", "CR"],
)
def test_any_encoder_goes_with_any_decoder(tmp_path, encoder, decoder, width):
    found = converted("nmt", toy(encoder, decoder, 1000, "1e-9", True), tmp_path)
    assert found.part("decoder")["init_args"]["in_features"] == width
    assert found.part("source_tokenizer")["init_args"]["words"] == list("αβγδεζηθικ")
    assert found.content["data"]["init_args"]["train"] == "data/reversal/train.arrow"
    assert "share_embeddings" not in found.content["model"]["init_args"]


def test_ties_and_two_vocabularies(tmp_path):
    tied = GNMT.replace('"attention_layer_size": 1024', '"attention_layer_size": 1024, "weight_tied": True')
    tied = tied.replace('"tgt_vocab_file": data_root + "m_common.vocab"', '"tgt_vocab_file": data_root + "de.vocab"')
    found = converted("nmt", tied, tmp_path)
    assert found.part("decoder")["init_args"]["tie_output"] is True
    assert found.part("target_tokenizer")["init_args"]["model_file"] == "data/target.model"


@pytest.mark.parametrize(
    ("was", "now", "message"),
    [
        ('"attention_type": "gnmt_v2"', '"attention_type": "monotonic"', "attention_type 'monotonic': expected"),
        ("tf.nn.rnn_cell.LSTMCell", "GLSTMCell", "encoder_params.core_cell GLSTMCell: has no counterpart"),
        ('"encoder": Bidirectional', '"encoder": Other', "encoder OtherRNNEncoderWithEmbedding: has no counterpart"),
        ('"loss": BasicSequenceLoss', '"loss": CTCLoss', "loss CTCLoss: has no counterpart"),
    ],
)
def test_what_has_no_counterpart_is_one_line(tmp_path, was, now, message):
    with pytest.raises(UserError, match=message):
        converted("nmt", SMALL.replace(was, now), tmp_path)
