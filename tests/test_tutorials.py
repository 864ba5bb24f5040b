"""Every command and Python block of the tutorials is run, in order, in one folder, on small files such as a user has.

Only training is cut short. Afterwards the other pages' Python blocks are run there too, and those of their commands
that use a trained model, each with a checkpoint of its task, recordings or texts under the names that it has for them.
Servers are started and asked in the same way. What remains, `tests/test_published_commands.py` runs.
"""

import ast
import gzip
import io
import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from page_servers import ask_server, curl_can_ask, questions_to, servers_of
from pages import OTHERS, REPOSITORY, TUTORIALS, blocks_of, commands_in, label, plain, settings_on, using_commands
from s2s_core.cli.main import main
from stand_ins import FILES, RATE_HZ, noise
from untrained import write_recogniser

SHORT = ["--trainer.accelerator=cpu", "--trainer.limit_train_batches=2", "--trainer.limit_val_batches=2"]
SHORT += ["--trainer.check_val_every_n_epoch=1"]
NEEDED = ("safetensors", "onnx", "onnxscript", "sklearn", "espeakng_loader")
BEST = {"asr": "mine", "nmt": "mine", "lm": "novels", "sentiment": "tickets", "commands": "words", "images": "shop"}
BEST |= {"tts": "voice"}
"""The run of each tutorial whose best checkpoint the other pages' blocks are given."""


def shortened(words):
    """What is run of a command: the same with less training."""
    verb = words[3]
    if verb not in ("fit", "quickstart"):
        return words[2:]
    return [*words[2:], *SHORT, f"--trainer.max_epochs={2 if '--ckpt_path' in words else 1}"]


def execute(words):
    assert words[:2] == ["lightning", "run"], words
    status = main(["run", *shortened(words)])
    untrained_speech = words[3] == "synthesize" and "--checkpoint" in words  # comes to no end, and says so
    assert status in ((0, 1) if untrained_speech else (0,)), words


def test_there_is_a_tutorial_for_each_task():
    assert {page.stem for page in TUTORIALS} == set(FILES)


@pytest.mark.slow
@pytest.mark.parametrize("task", FILES)
def test_a_tutorial_runs_from_its_first_command_to_its_last(task, tmp_path, monkeypatch):
    for module in NEEDED:
        pytest.importorskip(module, reason=f"the tutorials need {module}")
    monkeypatch.chdir(tmp_path)
    FILES[task]()
    (page,) = (page for page in TUTORIALS if page.stem == task)
    for language, block in blocks_of(page):
        if language == "":
            for command in commands_in(block):
                execute(plain(command))
        elif language == "python":
            exec(compile(block, f"{task}.md", "exec"), {})
        else:
            assert language == "text", language
    assert Path("exported/model.safetensors").is_file()
    assert list(Path("runs").glob("*/run1/report.html"))
    for name, block in blocks_elsewhere(task):
        run_elsewhere(task, name, block)
    for name, words in using_commands(task):
        run_command_elsewhere(task, name, words, monkeypatch)
    questions = questions_to(task) if curl_can_ask() else []
    for number, words in enumerate(servers_of(task)):
        serve_elsewhere(task, words, [] if number else questions)
    if len(questions) < len(questions_to(task)):
        pytest.skip("no curl of 7.82 or later: all was run but the pages' questions to servers")


def task_of(block):
    """Whose checkpoint a block loads, by the classes that it imports; the core's own blocks go with translation."""
    names = {"s2s_asr": "asr", "s2s_tts": "tts", "s2s_nmt": "nmt", "s2s_commands": "commands", "s2s_lm": "lm"}
    special = {"SentimentClassifier": "sentiment", "ImageClassifier": "images", "load_scorer": "lm"}
    imports = [node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.ImportFrom)]
    for word, task in special.items():
        if any(alias.name == word for node in imports for alias in node.names):
            return task
    return next((names[package] for node in imports if (package := (node.module or "").split(".")[0]) in names), "nmt")


def blocks_elsewhere(task):
    found = []
    for page in OTHERS:
        for language, block in blocks_of(page):
            if language == "python" and task_of(block) == task:
                found.append((label(page), block))
    return found


def run_elsewhere(task, name, block):
    """Run a block of another page, with what it takes from the reader's own program or folder."""
    import torch

    for word in re.findall(r'"([\w./-]+)"', block):
        provide(task, word)
    samples = torch.from_numpy(np.random.default_rng(1).standard_normal(RATE_HZ).astype(np.float32))
    reader = {
        "microphone": [samples[:8000], samples[8000:]],
        "samples": samples,
        "array_of_uint8": np.zeros((8, 8), dtype=np.uint8),
        "audio": samples[None],
        "audio_lengths": torch.tensor([len(samples)]),
    }
    if not torch.cuda.is_available():
        block = block.replace('device="cuda"', 'device="cpu"')
    try:
        exec(compile(block, name, "exec"), reader)
    except Exception as error:
        if task == "tts" and "came to no end" in str(error):  # nor can an untrained model
            return
        raise AssertionError(f"a block of {name}: {error}") from error


def provide(task, word):
    """A file such as a command or block names, if there is none yet."""
    path = Path(word.replace("*", "one"))
    if path.exists() or word.startswith("-"):
        return
    suffix = path.suffix
    if suffix in {".ckpt", ".wav", ".flac", ".mp3", ".opus", ".jpg", ".gz", ".txt", ".en", ".arpa", ".lm"}:
        path.parent.mkdir(parents=True, exist_ok=True)
    if word == "recogniser.ckpt":
        write_recogniser(path)
    elif suffix == ".ckpt":
        shutil.copy(f"runs/{BEST[task]}/checkpoints/best.ckpt", path)
    elif suffix in {".wav", ".flac", ".mp3", ".opus"}:
        noise(path)
    elif suffix == ".jpg":
        from PIL import Image

        Image.new("L", (8, 8)).save(path)
    elif word.endswith(".jsonl.gz") and task == "lm":
        lines = Path("novels/train.txt").read_text().splitlines()
        path.write_bytes(gzip.compress("\n".join(json.dumps({"text": line}) for line in lines).encode()))
    elif word.endswith(".jsonl.gz"):
        path.write_bytes(gzip.compress(gzip.decompress(Path("speech/manifests/test.jsonl.gz").read_bytes())))
    elif suffix in {".txt", ".en"}:
        path.write_text(Path("novels/train.txt").read_text() if task == "lm" else "it rained .\n")
    elif suffix in {".arpa", ".lm"}:
        shutil.copy("novels.arpa" if task == "lm" else "trigram.arpa", path)
    elif word == "sweep.yaml":
        path.write_text(settings_on(REPOSITORY / "docs" / "experiments.md"))
    elif word.endswith("/"):
        noise(path / "one.wav")


def run_command_elsewhere(task, name, words, monkeypatch):
    words = ["best.ckpt" if word == "FILE" else word for word in words]
    for word in words[4:]:
        provide(task, word)
    sound = Path("stdin.wav")
    noise(sound)
    heard = sound.read_bytes() if task in ("asr", "commands") else b"anna found a map .\n"
    shutil.rmtree("exported", ignore_errors=True)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(heard)))
    try:
        execute(words)
    except Exception as error:
        raise AssertionError(f"a command of {name}: {shlex.join(words)}: {error}") from error


def serve_elsewhere(task, words, questions):
    for word in [*words[4:], *(word.partition("@")[2] for question in questions for word in question)]:
        provide(task, word)
    for question, (status, body) in zip(questions, ask_server(words, questions), strict=True):
        untrained_speech = task == "tts" and status == 422 and b"came to no end" in body
        assert status == 200 or untrained_speech, (question, body)
        assert body


def test_every_python_block_is_run_by_some_tutorial():
    pages = [page.read_text(encoding="utf-8") for page in OTHERS]
    blocks = sum(text.count("```python\n") for text in pages)
    assert sum(len(blocks_elsewhere(task)) for task in FILES) == blocks > 12
    assert sum(len(using_commands(task)) for task in FILES) > 30
