"""Every command and code block of README and docs: the command is there, takes these options, names these configs.

Each is parsed and resolved as the command itself would, up to where it would start. With little training they run in
`tests/test_tutorials.py` and `tests/test_published_commands.py`, which lists the few that other tests stand for; the
quickstarts run untouched in `tests/system` and each package's tests.
"""

import ast
import contextlib
import itertools
import re
from functools import cache
from importlib import import_module

import pytest
import tomllib
import yaml

from pages import PAGES, REPOSITORY, blocks_of, commands_on, label, plain, words_of
from s2s_core.cli.configs import find_config, find_sweep, packaged_configs
from s2s_core.cli.main import SHARED_COMMANDS, main
from s2s_core.cli.tasks import installed_tasks
from s2s_core.errors import UserError
from s2s_core.trust import is_trusted, take_allowed

KEYED = ("fit", "validate", "test", "predict")
OWN_OPTIONS = {"predict": ["--output"], "test": ["--lm", "--alpha", "--beta", "--search", "--recogniser"]}
"""What a verb takes beside the config's keys."""
STARTS = re.compile(r"(\w+=\S+ )*(lightning run|s2s-\w+|make|pip|python|torchrun|srun) ?")


def blocks(*languages):
    found = []
    for page in PAGES:
        for number, (language, block) in enumerate(blocks_of(page), 1):
            if language in languages:
                found.append(pytest.param(block, id=f"{label(page)}:{number}"))
    return found


def commands():
    """Each command of the pages' plain blocks that starts a program of ours, once."""
    found = {}
    for page in PAGES:
        for command in commands_on(page):
            if STARTS.match(command):
                found.setdefault(command, label(page))
    return [pytest.param(command, id=f"{page}: {command[:60]}") for command, page in found.items()]


@cache
def parser_of(task, trains):
    from s2s_core.cli.runs import key_parser

    return key_parser(installed_tasks()[task], trains=trains)


def help_of(capsys, *arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "200")
        with contextlib.suppress(SystemExit):
            main(["run", *arguments, "--help"])
    return capsys.readouterr().out


@pytest.mark.parametrize("command", commands())
def test_a_command_would_start(command, capsys, tmp_path):
    words = words_of(command)
    if words[0] == "make":
        check_make(words[1:])
    elif words[0] == "pip":
        check_pip(words[1:])
    elif plain(command)[:2] == ["lightning", "run"]:
        task, *rest = plain(command)[2:] or ["TASK"]
        check_lightning(task, rest, capsys)
    elif "lightning" in words:  # behind torchrun or srun
        place = words.index("lightning")
        check_lightning(words[place + 2], words[place + 3 :], capsys)
    else:
        scripts = [word for word in words if word.endswith(".py")]
        assert all((REPOSITORY / script).is_file() for script in scripts), scripts


def check_make(words):
    makefile = (REPOSITORY / "Makefile").read_text()
    for word in words:
        name, _, value = word.partition("=")
        if value:
            assert re.search(rf"^{name} \?= ", makefile, re.MULTILINE), word
        else:
            assert re.search(rf"^{name}:", makefile, re.MULTILINE), word


def check_pip(words):
    for word in words:
        if match := re.fullmatch(r"(?:s2s-|packages/)(\w+)(?:\[([\w,]+)\])?", word):
            project = tomllib.loads((REPOSITORY / "packages" / match[1] / "pyproject.toml").read_text())["project"]
            assert set((match[2] or "").split(",")) - {""} <= set(project.get("optional-dependencies", {})), word


def check_lightning(task_name, words, capsys):
    if task_name == "TASK" or not words or words[0].isupper() or words[0] == "...":
        return  # the form of a command, not a command
    task = installed_tasks()[task_name]
    verb, arguments = words[0], words[1:]
    assert verb in SHARED_COMMANDS or verb in task.commands, f"{task_name} has no {verb}"
    if "--help" in arguments:
        return
    if verb in KEYED:
        check_keys(task, verb, take_allowed(arguments))
        return
    shown = help_of(capsys, task_name, verb)
    for word in arguments:
        option = word.partition("=")[0]
        keyed = re.match(r"--(model|data|trainer|seed_everything)\b", option)
        if re.match(r"-+[a-z]", option) and not keyed:  # and no negative number
            assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", shown), f"{verb} has no {option}"
    for name in values_of(arguments, "--config"):
        if verb == "sweep":
            assert name.endswith(".yaml") or find_sweep(name, task.config_home)
        else:
            find_config(name, task.config_home)


def values_of(arguments, option):
    followers = [after for before, after in itertools.pairwise(arguments) if before == option]
    return followers + [word.partition("=")[2] for word in arguments if word.startswith(f"{option}=")]


def check_keys(task, verb, arguments):
    """Parse as the verb does, the configs that a reader writes left out."""
    kept, takes = [], False
    for word in arguments:
        name = word.partition("=")[2] if word.startswith("--config=") else word
        if takes or word.startswith("--config="):
            takes = False
            try:
                kept.append(f"--config={find_config(name, task.config_home)}")
            except UserError:
                assert name.endswith(".yaml"), f"no packaged config {name}"
        elif word in ("--config", "-c"):
            takes = True
        elif word not in ("...", "…"):
            kept.append(word)
    for option in OWN_OPTIONS.get(verb, []):
        place = next((p for p, word in enumerate(kept) if word.partition("=")[0] == option), None)
        if place is not None:
            del kept[place : place + (1 if "=" in kept[place] else 2)]
    named = any(word.startswith("--config=") for word in kept)
    packaged = packaged_configs(task.config_home)
    recipes = [name for name in ("quickstart", *packaged) if name in packaged and not name.startswith("overlays/")]
    base = [] if named else [f"--config={packaged[recipes[0]]}"]
    parser_of(task.name, verb == "fit").parse_args([*base, *kept])


@pytest.mark.parametrize("text", blocks("python"))
def test_python_imports_what_is_there(text):
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0].startswith("s2s_"):
            module = import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name), f"{node.module} has no {alias.name}"


@pytest.mark.parametrize("text", blocks("yaml"))
def test_yaml_names_classes_that_are_there(text):
    def check(value):
        if isinstance(value, dict):
            if isinstance(path := value.get("class_path"), str) and is_trusted(path):
                module, _, name = path.rpartition(".")
                assert hasattr(import_module(module), name), path
            for item in value.values():
                check(item)
        elif isinstance(value, list):
            for item in value:
                check(item)

    check(yaml.safe_load(text))


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{label(page)}: {target}"


def test_every_page_is_in_the_menu():
    menu = (REPOSITORY / "docs" / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [page.relative_to(REPOSITORY / "docs").as_posix() for page in REPOSITORY.glob("docs/**/*.md")]
    assert len(pages) > 20
    assert not [page for page in pages if f": {page}" not in menu]


def test_every_class_that_a_config_may_name_is_in_the_reference():
    from lightning.pytorch import LightningDataModule

    from s2s_core.part import Part
    from s2s_core.task import Task
    from s2s_core.testing import find_parts

    pages = "\n".join(page.read_text(encoding="utf-8") for page in REPOSITORY.glob("docs/api/*.md"))
    shown = dict(re.findall(r"^::: (\S+)\n(?: +options: \{members: \[(.*)\]\})?", pages, re.MULTILINE))
    classes = [cls for base in (Part, Task, LightningDataModule) for cls in find_parts(base)]
    assert len(classes) > 90
    hidden = [cls for cls in classes if shown.get(cls.__module__) is None]
    hidden += [cls for cls in classes if (names := shown.get(cls.__module__)) and cls.__name__ not in names.split(", ")]
    assert not hidden


OLD_SETTINGS = """
END_SYMBOL EOS_ID GO_SYMBOL PAD_SYMBOL activation_fn alpha alphabet_config_path att_layer_num attention_bias
attention_cnn_dropout_prob attention_dropout attention_heads attention_layer_size attention_layers attention_params
attention_type attn_decoder attn_decoder_params audio_length augment_data augmentation autoregressive
average_across_timestep awd_initializer back_step_size backend bahdanau_normalize base_model batch_in_tokens
batch_size batch_size_per_gpu beam_search_params beam_size beam_width bench_start beta binary block_sizes
block_strides blocks bn_epsilon bn_momentum bottleneck bpe bptt cache_data cache_features cache_format
cache_regenerate cnn_dropout_prob cnn_layers conv_activation conv_layers conv_nchannels_kwidth convnet_layers
core_cell core_cell_params ctc_decoder ctc_decoder_params ctc_loss_params cudnn_rnn_type data_dir data_format
data_layer data_layer_params data_min data_root dataset dataset_files dataset_location decoder decoder_cell_type
decoder_cell_units decoder_dp_input_keep_prob decoder_dp_output_keep_prob decoder_layers decoder_library_path
decoder_params decoder_use_skip_connections delimiter dither do_mask drop_block_index drop_block_prob
dropout_keep_prob dropout_prob dropout_seed dtype duration_max duration_min emb_size embedding_dropout_keep_prob
embedding_size enable_postnet enable_prenet encoder encoder_cell_type encoder_cell_units encoder_dp_input_keep_prob
encoder_dp_output_keep_prob encoder_emb_keep_prob encoder_last_input_keep_prob encoder_last_output_keep_prob
encoder_layers encoder_params encoder_use_skip_connections end_token eval_batch_size_per_gpu eval_params eval_steps
exp_mag extra_decode_length fc_dim fc_layers fc_use_bias feature_normalize feature_normalize_mean
feature_normalize_std features_mean features_std_dev file_pattern filter_size filters final_size finetune
first_conv_stride first_kernel_size first_num_filters first_pool_size first_pool_stride fmax force_layers
freeze_variables_regex gain get_stats gpu_ids hid_dim hidden_dim hidden_dropout_keep_prob hidden_size hooks image_size
infer_logits_to_pickle infer_params init_var initializer initializer_params input_type input_weight_keep_prob
interactive interactive_infer_params iter_size kernel_size l1_norm label_smoothing lambda_value language_model_params
larc_params layer_postprocess_dropout layer_type layers_per_block length_penalty lm_path lm_vocab_file load_model
logdir logits_to_outputs_func loss loss_params loss_scaling loss_scaling_params lr_policy lr_policy_params luong_scale
mag_conv_layers mag_power mag_weight map_parallel_calls mask_decoder_sequence mask_nan max_duration max_grad_norm
max_input_length max_length max_normalization max_steps mel_type mel_weight min_duration mode model_format n_fft
n_hidden n_samples_eval n_samples_train norm_params norm_per_feature norm_type normalization normalization_type
num_audio_features num_checkpoints num_classes num_cpu_cores num_epochs num_fft num_gpus num_groups num_heads
num_hidden_layers num_labels num_layers num_parallel_calls num_rnn_layers num_sampled num_tokens_gen
offset_target_by_one optimizer optimizer_params out_dropout_keep_prob out_emb_size output_dim output_size output_type
pad_EOS pad_data_to_eight pad_embeddings_2_eight pad_lengths_to_eight pad_to pad_value pad_vocab_to_eight padding
parallel_iterations pos_embed pos_embedding postnet_bn_epsilon postnet_bn_momentum postnet_conv_layers
postnet_data_format postnet_keep_dropout_prob precompute_mel_basis prefetch_buffer_size prenet_activation
prenet_activation_fn prenet_dropout prenet_hidden_size prenet_layers prenet_units prenet_use_inference_dropout
print_bench_info_steps print_loss_steps print_samples_steps processed_data_folder proj_size quantization_channels
rand_start random_seed recurrent_keep_prob recurrent_layers recurrent_weight_keep_prob reduction_factor regularize_bn
regularizer regularizer_params relu_dropout remove_padding repeat resnet_size restore_best_checkpoint rnn_cell_dim
rnn_dropout_prob rnn_type rnn_unidirectional row_conv row_conv_width sample_freq sampling_prob save_checkpoint_steps
save_summaries_steps save_to_tensorboard scale scaling_factor schedule_learning seed_tokens self_attention_conv_params
seq_loss_params shared_embed shuffle shuffle_buffer shuffle_buffer_size small source_file
special_tokens_already_in_vocab src_emb_size src_vocab_file src_vocab_size stop_token_weight strides
style_embedding_enable style_embedding_params style_input summaries syn_enable syn_subdirs target_file tgt_emb_size
tgt_vocab_file tgt_vocab_size time_major train_params trie_path trie_weight trim trt_is_dynamic_op
trt_max_workspace_size_bytes trt_maximum_cached_engines trt_minimum_segment_size trt_precision_mode use_cache
use_cell_state use_conv_mask use_cudnn_rnn use_horovod use_language_model use_mask use_start_token use_swap_memory
use_targets use_trt use_xla_jit variational_recurrent version vocab_file vocab_size weight_tied weight_variational
window window_size window_stride zoneout_prob
"""
"""Every parameter that some component of OpenSeq2Seq accepted, and the sections of a config."""
OLD_VALUES = """
speed_perturbation_ratio time_stretch_ratio noise_level_min noise_level_max n_freq_mask width_freq_mask n_time_mask
width_time_mask fixed_lr piecewise_constant exp_decay poly_decay cosine_decay transformer_policy inv_poly_decay
larc_eta larc_mode Backoff LogMax Ftrl Adagrad RMSProp AdamW
"""
OLD_OPTIONS = """
train eval train_eval infer interactive_infer config_file infer_output_file continue_learning no_dir_check benchmark
bench_steps bench_start debug_port enable_logs use_xla_jit
"""
OLD_CLASSES = """
BasicSampledSequenceLoss BasicSequenceLoss BeamSearchRNNDecoderWithAttention BidirectionalRNNEncoderWithEmbedding
CNNEncoder CTCLoss CentaurDecoder CentaurEncoder CifarDataLayer ConvS2SDecoder ConvS2SEncoder CrossEntropyLoss
CrossEntropyWithSmoothing DataLayer Decoder DeepSpeech2Encoder Encoder EncoderDecoderModel FakeDecoder
FullyConnectedCTCDecoder FullyConnectedDecoder FullyConnectedSCDecoder FullyConnectedTimeDecoder
GNMTLikeEncoderWithEmbedding GNMTLikeEncoderWithEmbedding_cuDNN IMDBDataLayer Image2Label ImagenetDataLayer
JointCTCAttentionDecoder LMEncoder LSTMLM LazyAdamOptimizer ListenAttendSpellDecoder ListenAttendSpellEncoder Loss
Model MultiTaskCTCEntropyLoss NovoGrad PaddedCrossEntropyLossWithSmoothing ParallelTextDataLayer
RNNDecoderWithAttention ResNetEncoder SSTDataLayer Speech2Text Speech2TextDataLayer SpeechCommandsDataLayer
TDNNEncoder Tacotron2Decoder Tacotron2Encoder Text2Speech Text2SpeechCentaur Text2SpeechDataLayer Text2SpeechLoss
Text2SpeechTacotron Text2SpeechWavenet Text2Text TextClassificationDataLayer TransformerDataLayer TransformerDecoder
TransformerEncoder UnidirectionalRNNEncoderWithEmbedding WKTDataLayer WavenetDataLayer WavenetEncoder WavenetLoss
"""


def test_everything_of_openseq2seq_is_mapped():
    text = (REPOSITORY / "docs" / "from-openseq2seq.md").read_text(encoding="utf-8")
    names = (OLD_SETTINGS + OLD_VALUES + OLD_OPTIONS + OLD_CLASSES).split()
    assert len(names) > 400
    missing = [name for name in names if not re.search(rf"\b{name}\b", text)]
    assert not missing
    for path in re.findall(r"`(s2s_\w+(?:\.\w+)+)", text):
        module, _, name = path.rpartition(".")
        assert hasattr(import_module(module), name) or import_module(path), path
