"""Small files in the layouts and under the names that the pages have for a reader's and for published corpora."""

import gzip
import random
from pathlib import Path

import numpy as np

from s2s_core.cli.main import main

RATE_HZ = 16000
PLAIN = ["anna", "found", "a", "map", "."]


def noise(path, seconds=1.0, seed=0, rate=RATE_HZ):
    import soundfile

    path.parent.mkdir(parents=True, exist_ok=True)
    form = {"format": "OGG", "subtype": "OPUS"} if path.suffix == ".opus" else {}
    samples = 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * rate))
    soundfile.write(path, samples, rate, **form)


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


def pictures(folder, splits, labels, shape, each):
    from PIL import Image

    draw = np.random.default_rng(0)
    for split in splits:
        for name in labels:
            home = Path(folder) / split / name
            home.mkdir(parents=True)
            for number in range(each):
                Image.fromarray(draw.integers(0, 255, shape, dtype=np.uint8)).save(home / f"{number}.png")


def images_files():
    pictures("shop", ("train", "validation", "test"), ("cup", "plate"), (8, 8), 3)


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
"""Writes what the tutorial of a task, and the other pages on it, suppose that there is."""

SYLLABLES = [first + vowel + last for first in "bcdfghjklmnprstvwz" for vowel in "aeiou" for last in "lnrst"]
LIBRISPEECH = ("train-clean-100", "train-clean-360", "train-other-500", "dev-clean", "test-clean")
COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
OTHER_WORDS = "bed bird cat dog eight five four happy house marvin nine one seven sheila six three tree two wow zero"
NEW_WORDS = "backward follow forward learn visual"


def made_up(number):
    """A word of three syllables; no two numbers below 200,000 have the same."""
    count = len(SYLLABLES)
    places = number % count, (7 * number + number // count) % count, (13 * number + number // 7) % count
    return "".join(SYLLABLES[place] for place in places)


def lines_of(first, last, width=8):
    """Lines of the made-up words from one number to another, each once."""
    made = [made_up(number) for number in range(first, last)]
    return [" ".join(made[place : place + width]) for place in range(0, len(made), width)]


def write_lines(path, lines):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def librispeech(folder, parts=LIBRISPEECH, utterances=2):
    for part in parts:
        chapter = Path(folder) / part / "84" / "121123"
        names = [f"84-121123-{number:04}" for number in range(utterances)]
        for name in names:
            noise(chapter / f"{name}.flac", seed=len(part))
        write_lines(chapter / "84-121123.trans.txt", [f"{name} GO ON" for name in names])


def an4(folder):
    """Four speakers to train on, one to test, whose recordings are in a folder each."""
    for split, speakers in (("train", "abcd"), ("test", "e")):
        names = [f"wav/{speaker}/{number}.wav" for speaker in speakers for number in range(2)]
        for name in names:
            noise(Path(folder) / name)
        write_lines(
            Path(folder) / f"{split}.csv",
            ["wav_filename,wav_filesize,transcript", *(f"{name},,go on" for name in names)],
        )


def ljspeech(folder):
    names = [f"LJ001-{number:04}" for number in range(1, 41)]
    for number, name in enumerate(names):
        noise(Path(folder) / "wavs" / f"{name}.wav", 0.5, seed=number, rate=22050)
    write_lines(Path(folder) / "metadata.csv", [f"{name}|In 2 words|In two words" for name in names])


def speech_commands(folder, words, speakers=8, seconds=0.1):
    """As it unpacks: a folder a word, lists of the last two speakers that name absent files too, and noise."""
    root = Path(folder)
    for word in words:
        for speaker in range(speakers):
            noise(root / word / f"{speaker:08x}_nohash_0.wav", seconds, speaker)
    for split, speaker in (("validation_list.txt", speakers - 2), ("testing_list.txt", speakers - 1)):
        names = [f"{word}/{speaker:08x}_nohash_0.wav" for word in words]
        write_lines(root / split, [*names, "bed/ffffffff_nohash_0.wav", "bed/ffffffff_nohash_1.wav"])
    for name in ("white_noise", "pink_noise"):
        noise(root / "_background_noise_" / f"{name}.wav", 15.0)
    write_lines(root / "_background_noise_" / "README.md", ["noise"])


def fsdd(folder, digits=range(10), speakers=("jackson", "theo"), takes=(0, 5, 6)):
    for digit in digits:
        for speaker in speakers:
            for take in takes:
                noise(Path(folder) / "recordings" / f"{digit}_{speaker}_{take}.wav", 0.3, digit, rate=8000)


def wikitext(folder):
    """With the 33,278 entries of WikiText-2's vocabulary; 9,062 words of its validation text are not in `sst2`'s."""
    write_lines(Path(folder) / "train.txt", ["", " = The = ", "", *lines_of(0, 33278 - 4)])
    write_lines(Path(folder) / "valid.txt", lines_of(13838, 22900))
    write_lines(Path(folder) / "test.txt", lines_of(13838, 14000))


def sst2(folder):
    """With as many words as SST-2's training sentences have."""
    lines = lines_of(0, 13838)
    for name in ("train", "dev", "test"):
        rows = lines if name == "train" else lines[:20]
        write_lines(Path(folder) / f"{name}.tsv", [f"{line}\t{number % 2}" for number, line in enumerate(rows)])


def stories(folder, output):
    """The data of the quickstart of language models, in small."""
    from s2s_lm.made_up import story

    draw = random.Random(1)
    for split, count in {"train": 400, "validation": 20, "test": 20}.items():
        write_lines(Path(folder) / f"{split}.txt", [story(draw) for _ in range(count)])
    run("lm", "prepare", "text", f"--input={folder}", f"--output={output}")


def pairs(path):
    """Enough for 32,768 subwords, in one file."""
    write_lines(path, [f"{line}\t{line}" for line in lines_of(0, 24000)])


def parallel(names, folder=".", ending=""):
    """Pairs enough for 32,768 subwords under the first of the names, some of them for evaluation under the others."""
    lines = lines_of(0, 24000)
    for name in names:
        rows = lines if name == names[0] else lines[:20]
        write_lines(Path(folder) / f"{name}.en{ending}", rows)
        write_lines(Path(folder) / f"{name}.de{ending}", [" ".join(reversed(line.split())) for line in rows])
