"""Every command and Python block of the tutorials is run, in order, in one folder, on small files such as a user has.

Only training is cut short. Afterwards the other pages' Python blocks are run there too, and those of their commands
that use a trained model, each with a checkpoint of its task, recordings or texts under the names that it has for them.
"""

import ast
import gzip
import io
import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from s2s_core.cli.main import main

REPOSITORY = Path(__file__).resolve().parents[1]
TUTORIALS = REPOSITORY / "docs" / "tutorials"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHORT = ["--trainer.accelerator=cpu", "--trainer.limit_train_batches=2", "--trainer.limit_val_batches=2"]
SHORT += ["--trainer.check_val_every_n_epoch=1"]
OTHERS = [
    REPOSITORY / "README.md",
    *sorted(REPOSITORY.glob("docs/*.md")),
    *sorted(REPOSITORY.glob("packages/*/README.md")),
]
NEEDED = ("safetensors", "onnx", "onnxscript", "sklearn", "espeakng_loader")
RATE_HZ = 16000
PLAIN = ["anna", "found", "a", "map", "."]


def noise(path, seconds=1.0, seed=0):
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    form = {"format": "OGG", "subtype": "OPUS"} if path.suffix == ".opus" else {}
    samples = 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * RATE_HZ))
    soundfile.write(path, samples, RATE_HZ, **form)


def table(folder, columns, rows):
    """The same rows as tables of all three splits."""
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "validation", "test"):
        text = "\n".join([columns, *rows])
        (folder / f"{split}.csv").write_text(f"{text}\n", encoding="utf-8")


def spoken(folder, text="it rained"):
    names = [f"clips/{number:04}.{'flac' if number == 2 else 'wav'}" for number in range(1, 5)]
    for number, name in enumerate(names):
        noise(folder / name, seed=number)
    table(folder, "wav_filename,wav_filesize,transcript", [f"{name},,{text}" for name in names])


def run(*words):
    assert main(["run", *words]) == 0


def asr_files():
    spoken(Path("speech"))
    Path("sentences.txt").write_text("it rained\nit rained on me\n" * 20)
    run("asr", "prepare", "csv", "--input=speech", "--output=runs/quickstart/data")


def nmt_files():
    draw = np.random.default_rng(0)
    syllables = [first + vowel + last for first in "bdfgklmnprst" for vowel in "aeiou" for last in "nrst"]
    lines = ["".join(draw.choice(syllables, 2)) + " " + " ".join(draw.choice(syllables, 5)) for _ in range(400)]
    Path("parallel").mkdir()
    Path("parallel/train.en").write_text("".join(f"{line}\n" for line in lines))
    Path("parallel/train.de").write_text("".join(f"{' '.join(reversed(line.split()))}\n" for line in lines))
    Path("new.en").write_text("".join(f"{line}\n" for line in lines[:2]))
    for name, rows in (("train", lines), ("validation", lines[:8]), ("test", lines[:8])):
        for side in "en", "de":
            Path(f"small-{name}.{side}").write_text("".join(f"{line}\n" for line in rows))
    pairs = ["--source-language=en", "--target-language=de", "--vocabulary-size=200"]
    splits = [f"--split={name}=small-{name}" for name in ("train", "validation", "test")]
    run("nmt", "prepare", "parallel", "--input=.", *pairs, *splits, "--output=runs/quickstart-nmt/data")


def words_of_a_thousand():
    """A text whose vocabulary has 1000 entries, with the ends of lines and what is unknown."""
    return [*PLAIN, *(f"word{number}" for number in range(1000 - 2 - len(PLAIN)))]


def lm_files():
    words = words_of_a_thousand()
    text = "".join(" ".join(words[place : place + 5]) + "\n" for place in range(0, len(words), 5)) * 2
    Path("novels").mkdir()
    for name in ("train", "valid", "test"):
        Path(f"novels/{name}.txt").write_text(text if name == "train" else "anna found a map .\n" * 20)


def sentiment_files():
    words = words_of_a_thousand()
    rows = [
        f"{' '.join(words[place : place + 25])},{('complaint', 'question')[place % 2]}" for place in range(0, 998, 25)
    ]
    table(Path("tickets"), "text,label", rows)
    Path("new.txt").write_text("anna found a map .\n")


def commands_files():
    for split in ("train", "validation", "test"):
        for number, word in enumerate(("lamp", "door")):
            for take in range(2):
                noise(Path(f"words/{split}/{word}/{take}.wav"), seed=2 * number + take)
        for number in range(10):
            noise(Path(f"runs/commands-quickstart/data/audio/{split}/word{number}/0.wav"), seed=number)
    noise(Path("long.wav"), 3.0)
    home = "runs/commands-quickstart/data"
    run("commands", "prepare", "folders", f"--input={home}/audio", f"--output={home}", "--overwrite")


def images_files():
    from PIL import Image

    draw = np.random.default_rng(0)
    for split in ("train", "validation", "test"):
        for name in ("cup", "plate"):
            folder = Path("shop") / split / name
            folder.mkdir(parents=True)
            for number in range(3):
                Image.fromarray(draw.integers(0, 255, (8, 8), dtype=np.uint8)).save(folder / f"{number}.png")


def tts_files():
    spoken(Path("voice"), "it rained.")
    run("tts", "prepare", "csv", "--input=voice", "--output=runs/tts-quickstart/data")


FILES = {
    "asr": asr_files,
    "nmt": nmt_files,
    "lm": lm_files,
    "sentiment": sentiment_files,
    "commands": commands_files,
    "images": images_files,
    "tts": tts_files,
}
BEST = {"asr": "mine", "nmt": "mine", "lm": "novels", "sentiment": "tickets", "commands": "words", "images": "shop"}
BEST |= {"tts": "voice"}
"""The run of each tutorial whose best checkpoint the other pages' blocks are given."""


def commands_of(block):
    lines = block.replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


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
    assert {path.stem for path in TUTORIALS.glob("*.md")} == set(FILES)


@pytest.mark.slow
@pytest.mark.parametrize("task", FILES)
def test_a_tutorial_runs_from_its_first_command_to_its_last(task, tmp_path, monkeypatch):
    for module in NEEDED:
        pytest.importorskip(module, reason=f"the tutorials need {module}")
    monkeypatch.chdir(tmp_path)
    FILES[task]()
    text = (TUTORIALS / f"{task}.md").read_text(encoding="utf-8")
    for language, block in FENCE.findall(text):
        if language == "":
            for words in commands_of(block):
                execute(words)
        elif language == "python":
            exec(compile(block, f"{task}.md", "exec"), {})
        else:
            assert language == "text", language
    assert Path("exported/model.safetensors").is_file()
    assert list(Path("runs").glob("*/run1/report.html"))
    for name, block in blocks_elsewhere(task):
        run_elsewhere(task, name, block)
    for name, line in commands_elsewhere(task):
        run_command_elsewhere(task, name, line, monkeypatch)


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
        for language, block in FENCE.findall(page.read_text(encoding="utf-8")):
            if language == "python" and task_of(block) == task:
                found.append((page.relative_to(REPOSITORY).as_posix(), block))
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
    if suffix == ".ckpt":
        shutil.copy(f"runs/{BEST[task]}/checkpoints/best.ckpt", path)
    elif suffix in {".wav", ".flac", ".mp3", ".opus"}:
        noise(path)
    elif suffix == ".jpg":
        from PIL import Image

        Image.new("L", (8, 8)).save(path)
    elif word.endswith(".jsonl.gz"):
        path.write_bytes(gzip.compress(gzip.decompress(Path("speech/manifests/test.jsonl.gz").read_bytes())))
    elif suffix in {".txt", ".en"}:
        path.write_text(Path("novels/train.txt").read_text() if task == "lm" else "it rained .\n")
    elif suffix in {".arpa", ".lm"}:
        shutil.copy("novels.arpa" if task == "lm" else "trigram.arpa", path)
    elif word == "sweep.yaml":
        blocks = FENCE.findall((REPOSITORY / "docs" / "experiments.md").read_text(encoding="utf-8"))
        path.write_text(next(block for language, block in blocks if language == "yaml"))
    elif word.endswith("/"):
        noise(path / "one.wav")


USING = {"test", "predict", "transcribe", "tune-lm", "stream", "align", "translate", "generate", "score", "ngram"}
USING |= {"classify", "synthesize", "export", "report"}
"""The verbs that use a trained model, or train none: they take moments."""
ELSEWHERE = ("--rescore", "rescored.json", "--manifest", "6-gram", "pictures/", "--ckpt_path FILE")
"""What needs more than a file of the reader's: a second model, a corpus, all cores."""
PROGRAM = re.compile(r"(?:lightning run |s2s-)(\w+) ([\w-]+)")


def commands_elsewhere(task):
    """Each such command of the other pages, once."""
    found = {}
    for page in OTHERS:
        for language, block in FENCE.findall(page.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines() if language == "" else ():
                for command in re.split(r" && | \| ", line.strip()):
                    match = PROGRAM.match(command)
                    runs = match and match[1] == task and (match[2] in USING or "--dry-run" in command)
                    if runs and not any(x in command for x in ELSEWHERE):
                        found.setdefault(PROGRAM.sub(r"lightning run \1 \2", command), page.name)
    return [(name, command) for command, name in found.items()]


def run_command_elsewhere(task, name, line, monkeypatch):
    words = shlex.split(line.replace(" FILE", " best.ckpt"), comments=True)
    place = next((place for place, word in enumerate(words) if word in ("<", ">")), len(words))
    words = words[:place]
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
        raise AssertionError(f"a command of {name}: {line}: {error}") from error


def test_every_python_block_is_run_by_some_tutorial():
    pages = [page.read_text(encoding="utf-8") for page in OTHERS]
    blocks = sum(text.count("```python\n") for text in pages)
    assert sum(len(blocks_elsewhere(task)) for task in FILES) == blocks > 12
    assert sum(len(commands_elsewhere(task)) for task in FILES) > 30
