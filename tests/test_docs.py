"""Every command and code block of README and docs: the command is there, takes these options, names these configs.

What is long (training, preparing a corpus) is parsed and resolved as the command itself would, up to where it would
start; the quickstarts themselves run in `tests/system`.
"""

import ast
import contextlib
import itertools
import re
import shlex
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
import tomllib
import yaml

from s2s_core.cli.configs import find_config, find_sweep, packaged_configs
from s2s_core.cli.main import SHARED_COMMANDS, main
from s2s_core.cli.tasks import installed_tasks
from s2s_core.errors import UserError
from s2s_core.trust import is_trusted, take_allowed

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md")]
PAGES += sorted([*REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("packages/*/README.md")])
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
KEYED = ("fit", "validate", "test", "predict")
OWN_OPTIONS = {"predict": ["--output"], "test": ["--lm", "--alpha", "--beta", "--search"]}
"""What a verb takes beside the config's keys."""
PROGRAMS = {"s2s-asr": "asr", "s2s-tts": "tts", "s2s-nmt": "nmt", "s2s-lm": "lm", "s2s-sentiment": "sentiment"}
PROGRAMS |= {"s2s-commands": "commands", "s2s-images": "images"}


def label(path):
    return path.relative_to(REPOSITORY).as_posix()


def blocks(language):
    found = []
    for page in PAGES:
        for number, match in enumerate(FENCE.finditer(page.read_text(encoding="utf-8")), 1):
            if match[2] in language:
                found.append(pytest.param(match[3], id=f"{label(page)}:{number}"))
    return found


def commands():
    """Each command line of the pages' plain blocks, once."""
    found = {}
    for page in PAGES:
        for match in FENCE.finditer(page.read_text(encoding="utf-8")):
            if match[2] in ("", "sh", "bash", "console"):
                for line in match[3].replace("\\\n", " ").splitlines():
                    for command in re.split(r" && | \| ", line.strip().removeprefix("$ ")):
                        if re.match(r"(\w+=\S+ )*(lightning run|s2s-\w+|make|pip|python|torchrun) ?", command):
                            found.setdefault(command, label(page))
    return [pytest.param(command, id=f"{page}: {command[:60]}") for command, page in found.items()]


@cache
def parser_of(task, trains):
    from s2s_core.cli.runs import key_parser

    return key_parser(installed_tasks()[task], trains=trains)


def words_of(command):
    words = shlex.split(command, comments=True)
    while words and "=" in words[0]:
        words = words[1:]
    redirected = next((place for place, word in enumerate(words) if word in ("<", ">", ">>")), len(words))
    return words[:redirected]


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
    elif words[0] in PROGRAMS or words[:2] == ["lightning", "run"]:
        task, *rest = [PROGRAMS[words[0]], *words[1:]] if words[0] in PROGRAMS else words[2:] or ["TASK"]
        check_lightning(task, rest, capsys)
    elif "lightning" in words:  # behind torchrun
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


@pytest.mark.parametrize("text", blocks({"python"}))
def test_python_imports_what_is_there(text):
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0].startswith("s2s_"):
            module = import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name), f"{node.module} has no {alias.name}"


@pytest.mark.parametrize("text", blocks({"yaml"}))
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
    assert not [page.name for page in REPOSITORY.glob("docs/*.md") if f": {page.name}" not in menu]


OLD_SETTINGS = """
use_horovod num_gpus gpu_ids batch_size_per_gpu eval_batch_size_per_gpu num_epochs max_steps logdir load_model
restore_best_checkpoint save_summaries_steps print_loss_steps print_samples_steps print_bench_info_steps
save_checkpoint_steps num_checkpoints eval_steps finetune hooks random_seed data_layer optimizer
freeze_variables_regex initializer regularizer dtype lr_policy max_grad_norm larc_params loss_scaling summaries
iter_size lm_vocab_file processed_data_folder use_xla_jit use_trt bench_start train_params eval_params infer_params
interactive_infer_params continue_learning enable_logs infer_output_file no_dir_check debug_port benchmark
"""
OLD_CLASSES = """
CifarDataLayer ImagenetDataLayer TextClassificationDataLayer WKTDataLayer Speech2TextDataLayer
SpeechCommandsDataLayer Text2SpeechDataLayer WavenetDataLayer ParallelTextDataLayer TransformerDataLayer
CentaurDecoder ConvS2SDecoder FullyConnectedCTCDecoder FullyConnectedDecoder FullyConnectedSCDecoder
FullyConnectedTimeDecoder JointCTCAttentionDecoder ListenAttendSpellDecoder BeamSearchRNNDecoderWithAttention
RNNDecoderWithAttention Tacotron2Decoder TransformerDecoder CentaurEncoder CNNEncoder ConvS2SEncoder
DeepSpeech2Encoder ListenAttendSpellEncoder LMEncoder ResNetEncoder BidirectionalRNNEncoderWithEmbedding
GNMTLikeEncoderWithEmbedding UnidirectionalRNNEncoderWithEmbedding Tacotron2Encoder TDNNEncoder TransformerEncoder
WavenetEncoder CTCLoss MultiTaskCTCEntropyLoss BasicSampledSequenceLoss BasicSequenceLoss CrossEntropyWithSmoothing
PaddedCrossEntropyLossWithSmoothing Text2SpeechLoss WavenetLoss
"""


def test_everything_of_openseq2seq_is_mapped():
    text = (REPOSITORY / "docs" / "from-openseq2seq.md").read_text(encoding="utf-8")
    missing = [name for name in (OLD_SETTINGS + OLD_CLASSES).split() if not re.search(rf"\b{name}\b", text)]
    assert not missing
    for path in re.findall(r"`(s2s_\w+(?:\.\w+)+)", text):
        module, _, name = path.rpartition(".")
        assert hasattr(import_module(module), name) or import_module(path), path
