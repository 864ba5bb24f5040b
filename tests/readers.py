"""What a reader of each page has before its first command: recordings, texts, corpora as they unpack, prepared data."""

import gzip
import shutil
from pathlib import Path

import yaml

import stand_ins
from pages import REPOSITORY, settings_on
from s2s_core.cli.configs import find_config
from s2s_core.cli.tasks import installed_tasks
from stand_ins import run, write_lines

MY_ENCODERS = """from s2s_asr.encoders.tdnn import TdnnEncoder


class MyEncoder(TdnnEncoder):
    \"\"\"A reader's own.\"\"\"
"""
OLD_CONFIG = """
from open_seq2seq.models import Speech2Text
from open_seq2seq.encoders import TDNNEncoder
from open_seq2seq.decoders import FullyConnectedCTCDecoder
from open_seq2seq.data import Speech2TextDataLayer
from open_seq2seq.losses import CTCLoss
from open_seq2seq.optimizers.lr_policies import poly_decay

base_model = Speech2Text
base_params = {
  "num_epochs": 5, "batch_size_per_gpu": 4, "optimizer": "Momentum", "optimizer_params": {"momentum": 0.90},
  "lr_policy": poly_decay, "lr_policy_params": {"learning_rate": 0.001, "power": 2},
  "encoder": TDNNEncoder,
  "encoder_params": {"convnet_layers": [
    {"type": "conv1d", "repeat": 2, "kernel_size": [11], "stride": [2], "num_channels": 32, "padding": "SAME",
      "dilation": [1]}],
    "dropout_keep_prob": 0.9, "normalization": "batch_norm", "data_format": "channels_last"},
  "decoder": FullyConnectedCTCDecoder, "decoder_params": {"use_language_model": False},
  "loss": CTCLoss, "loss_params": {},
  "data_layer": Speech2TextDataLayer,
  "data_layer_params": {"num_audio_features": 64, "input_type": "logfbank", "vocab_file": "vocab.txt"},
}
train_params = {"data_layer_params": {"dataset_files": ["DATA/train.csv"], "shuffle": True}}
eval_params = {"data_layer_params": {"dataset_files": ["DATA/validation.csv"], "shuffle": False}}
"""


def nothing():
    pass


def manifests(folder):
    """Prepared recordings of a few words, as `folder`'s train, validation and test."""
    stand_ins.spoken(Path("clips-and-tables"))
    run("asr", "prepare", "csv", "--input=clips-and-tables", f"--output={folder}")


def speech():
    stand_ins.spoken(Path("speech"))
    run("asr", "prepare", "csv", "--input=speech", "--output=speech/manifests")


def librispeech():
    stand_ins.librispeech("LibriSpeech")
    run("asr", "prepare", "librispeech", "--input=LibriSpeech", "--output=data/librispeech")


def an4():
    stand_ins.an4("an4")
    run("asr", "prepare", "an4", "--input=an4", "--output=data/an4", "--holdout=0.25")


def stories():
    stand_ins.stories("stories", "runs/lm-quickstart/data")


def train(task, output):
    """Train the quickstart a little."""
    short = ["--trainer.accelerator=cpu", "--trainer.limit_train_batches=2", "--trainer.max_epochs=1"]
    run(task, "fit", "--config", "quickstart", f"--output={output}", *short)


def recognition():
    manifests("speech")
    manifests("runs/quickstart/data")
    for name in ("real", "synthetic", "validation"):
        shutil.copy("speech/train.jsonl.gz", f"{name}.jsonl.gz")
    stand_ins.librispeech("LibriSpeech")
    Path("faster.yaml").write_text(settings_on(REPOSITORY / "docs" / "asr.md"))
    stories()
    train("lm", "language-model")
    for name in ("lm.ckpt", "transformer-xl.ckpt"):
        shutil.copy("language-model/checkpoints/best.ckpt", name)
    write_lines("sentences.txt", ["it rained", "it rained on me"] * 20)
    for order, name in ((3, "an4.arpa"), (6, "6-gram.arpa")):
        run("lm", "ngram", "sentences.txt", f"--order={order}", f"--output={name}")
    Path("6-gram.arpa.gz").write_bytes(gzip.compress(Path("6-gram.arpa").read_bytes()))


def translation():
    stand_ins.nmt_files()
    train("nmt", "runs/mine")


def sounds():
    stand_ins.fsdd("fsdd")
    run("commands", "prepare", "fsdd", "--input=fsdd", "--output=data/fsdd")
    google()
    run(
        "commands", "prepare", "speech-commands-12", "--input=speech_commands_v0.01",
        "--output=data/speech-commands-v1-12",
    )  # fmt: skip


def google():
    stand_ins.speech_commands("speech_commands_v0.01", [*stand_ins.COMMANDS, *stand_ins.OTHER_WORDS.split()])


def texts():
    for split in ("train", "validation"):
        stand_ins.pairs(f"texts/{split}.tsv")


def sweeps():
    stories()
    Path("sweep.yaml").write_text(settings_on(REPOSITORY / "docs" / "experiments.md"))


def old_config():
    manifests("data")
    Path("old_config.py").write_text(OLD_CONFIG.replace("DATA", "data"))


def pictures():
    labels = [f"class{number}" for number in range(7)]
    stand_ins.pictures("pictures", ("train", "val", "test"), labels, (40, 40, 3), 1)


def language():
    stand_ins.wikitext("wikitext-2")
    stand_ins.sst2("SST2")
    for name in ("train", "valid", "test"):
        write_lines(f"DIR/{name}.txt", ["anna found a map ."] * 20)
    for name in ("input", "valid", "test"):
        write_lines(f"{name}.txt", ["anna found a map ."] * 20)


def parallel():
    stand_ins.parallel(["train"])
    Path("train.de.gz").write_bytes(gzip.compress(Path("train.de").read_bytes()))
    stand_ins.pairs("pairs.tsv")
    stand_ins.parallel(["train.clean", "newstest2013", "newstest2014"], "wmt")
    stand_ins.parallel(["train", "val", "test_2016_flickr"], "multi30k", ".gz")


def corpora():
    librispeech()
    an4()


def own_encoder():
    manifests("runs/quickstart/data")
    Path("mypackage").mkdir()
    Path("mypackage/encoders.py").write_text(MY_ENCODERS)
    recipe = yaml.safe_load(find_config("quickstart", installed_tasks()["asr"].config_home).read_text())
    recipe["model"]["init_args"]["encoder"]["class_path"] = "mypackage.encoders.MyEncoder"
    Path("mine.yaml").write_text(yaml.safe_dump(recipe))


def voices():
    stand_ins.ljspeech("LJSpeech-1.1")
    an4()
    stand_ins.spoken(Path("voice"))
    run("tts", "prepare", "csv", "--input=voice", "--output=data/ljspeech")


READERS = {
    "README.md": speech,
    "docs/asr.md": recognition,
    "docs/checkpoints.md": translation,
    "docs/commands.md": sounds,
    "docs/data.md": texts,
    "docs/experiments.md": sweeps,
    "docs/from-openseq2seq.md": old_config,
    "docs/images.md": pictures,
    "docs/lm.md": language,
    "docs/nmt.md": parallel,
    "docs/precision.md": librispeech,
    "docs/scaling.md": corpora,
    "docs/security.md": own_encoder,
    "docs/serving.md": nothing,
    "docs/tts.md": lambda: stand_ins.ljspeech("LJSpeech-1.1"),
    "docs/vocoders.md": voices,
    "packages/asr/README.md": lambda: stand_ins.spoken(Path("DIR")),
    "packages/commands/README.md": google,
    "packages/core/README.md": nothing,
    "packages/lm/README.md": language,
    "packages/nmt/README.md": lambda: stand_ins.parallel(["train"]),
    "packages/tts/README.md": lambda: stand_ins.ljspeech("LJSpeech-1.1"),
}
"""By page."""
