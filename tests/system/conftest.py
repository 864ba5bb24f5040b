"""A tiny spoken corpus and a config that trains on it in seconds, as files that a user would have."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from s2s_core.cli.main import main

CONFIG = {
    "model": {
        "class_path": "s2s_asr.task.SpeechToText",
        "init_args": {
            "tokenizer": {"class_path": "s2s_core.text.tokenizers.CharTokenizer"},
            "features": {
                "class_path": "s2s_core.audio.features.LogMel",
                "init_args": {"num_features": 16, "hop_ms": 20.0, "dither": 1e-5},
            },
            "encoder": {
                "class_path": "s2s_asr.encoders.tdnn.TdnnEncoder",
                "init_args": {
                    "in_features": 16,
                    "blocks": [
                        {"channels": 16, "kernel": 5, "dropout": 0.1},
                        {"channels": 16, "kernel": 5, "repeat": 2, "residual": True, "dropout": 0.1},
                    ],
                },
            },
            "decoder": {
                "class_path": "s2s_asr.decoders.ctc.CtcDecoder",
                "init_args": {"in_features": 16, "vocab_size": 28},
            },
            "loss": {"class_path": "s2s_asr.losses.ctc.CtcLoss"},
            "augment": {
                "class_path": "s2s_core.audio.augment.Augment",
                "init_args": {
                    "wave": [
                        {
                            "class_path": "s2s_core.audio.augment.SpeedPerturb",
                            "init_args": {"factors": [0.9, 1.0, 1.1]},
                        },
                        {
                            "class_path": "s2s_core.audio.augment.WhiteNoise",
                            "init_args": {"min_db": -60, "max_db": -40},
                        },
                    ],
                    "features": [{"class_path": "s2s_core.audio.augment.SpecAugment"}],
                },
            },
            "optimizer": {"class_path": "s2s_core.optim.novograd.NovoGrad", "init_args": {"lr": 0.01}},
            "schedule": {"class_path": "s2s_core.optim.schedules.Cosine", "init_args": {"warmup_steps": 5}},
        },
    },
    "data": {
        "class_path": "s2s_asr.data.SpeechData",
        "init_args": {"batch_seconds": 12.0, "num_workers": 2},
    },
    "trainer": {
        "accelerator": "cpu",
        "max_steps": 40,
        "val_check_interval": 0.5,
        "gradient_clip_val": 1.0,
        "callbacks": [{"class_path": "s2s_core.averaging.WarmEma"}],
    },
    "last": {"every_n_train_steps": 4},
}


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    """Manifests of 40 training, 4 validation and 4 test utterances."""
    from s2s_core.data.synthetic import write_spoken_corpus

    folder = tmp_path_factory.mktemp("corpus")
    write_spoken_corpus(folder / "speech", train=40, validation=4, test=4)
    assert (
        main(["run", "asr", "prepare", "csv", f"--input={folder / 'speech'}", f"--output={folder / 'manifests'}"]) == 0
    )
    return folder / "manifests"


@pytest.fixture(scope="session")
def tiny_config(corpus, tmp_path_factory) -> Path:
    """A config that trains on the tiny corpus with workers, buckets, dropout and augmentation."""
    config = json.loads(json.dumps(CONFIG))
    for split in ("train", "validation", "test"):
        config["data"]["init_args"][split] = str(corpus / f"{split}.jsonl.gz")
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="session")
def lightning():
    """A function that starts ``lightning run asr`` as a process of its own."""
    # the console script itself: Lightning starts further processes of a run by its name
    command = [sys.executable, str(Path(sys.executable).with_name("lightning")), "run", "asr"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}

    def start(*arguments, cwd, **kwargs):
        words = [*command, *map(str, arguments)]
        return subprocess.Popen(words, cwd=cwd, env=environment, stderr=subprocess.PIPE, text=True, **kwargs)

    return start


@pytest.fixture(scope="session")
def trained(lightning, tiny_config, tmp_path_factory) -> Path:
    """The run folder of an uninterrupted run of the tiny config."""
    folder = tmp_path_factory.mktemp("trained")
    process = lightning("fit", "--config", tiny_config, "--output", "run", cwd=folder)
    _, errors = process.communicate(timeout=500)
    assert process.returncode == 0, errors
    return folder / "run"
