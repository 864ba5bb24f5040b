"""The published recipes, dry, on the official layouts: prepare, a step of training, validation."""

import json

import numpy as np
import pytest
import soundfile

from s2s_core.cli.main import main
from s2s_core.testing import shared_data

V2_WORDS = ["backward", "follow", "forward", "learn", "visual"]
NARROW = '[{"channels": 8, "kernel": 11, "stride": 2}, {"channels": 8, "kernel": 13, "stride": 2}, '
NARROW += '{"channels": 8, "kernel": 13, "repeat": 3, "residual": true}, {"channels": 8, "kernel": 17, "stride": 2}]'
JASPER = [
    f"--model.init_args.encoder.init_args.blocks={NARROW}",
    "--model.init_args.decoder.init_args.in_features=128",
]
"""The recipe's own 200 M parameters take longer than a test may."""
RESNET = ["--model.init_args.encoder.init_args.image_encoder.init_args.width=8"]
RESNET += ["--model.init_args.decoder.init_args.in_features=256"]


@pytest.fixture(scope="module")
def layouts(tmp_path_factory):
    """V1's subset with the noise recordings that it lacks, and V2: the same with its five new words."""
    root = tmp_path_factory.mktemp("speech-commands")
    official = shared_data("speech_commands_v0.01")
    rng = np.random.default_rng(0)
    for version in ("v1", "v2"):
        (root / version / "_background_noise_").mkdir(parents=True)
        for path in official.iterdir():
            (root / version / path.name).symlink_to(path)
        for name in ("white_noise", "running_tap"):
            path = root / version / "_background_noise_" / f"{name}.wav"
            soundfile.write(path, rng.normal(0, 0.1, 12 * 16000), 16000)
    for word in V2_WORDS:
        (root / "v2" / word).mkdir()
        for speaker in range(3):
            path = root / "v2" / word / f"{speaker:08x}_nohash_0.wav"
            soundfile.write(path, rng.normal(0, 0.1, 16000), 16000)
    return root


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "corpus", "version", "overrides"),
    [
        ("matchbox/v1-12", "speech-commands-12", "v1", []),
        ("matchbox/v2-35", "speech-commands", "v2", []),
        ("resnet50/v1-30", "speech-commands", "v1", RESNET),
        ("jasper10x3/v1-30", "speech-commands", "v1", JASPER),
    ],
)
def test_dry_run(recipe, corpus, version, overrides, layouts, tmp_path, capsys):
    data = tmp_path / "data"
    assert main(["run", "commands", "prepare", corpus, f"--input={layouts / version}", f"--output={data}"]) == 0
    classes = {"v1-12": 12, "v1-30": 30, "v2-35": 35}[recipe.split("/")[1]]
    summary = json.loads((data / "summary.json").read_text())
    assert len(summary["splits"]["train"]) == classes
    assert any("files are absent" in note for note in summary["notes"])
    arguments = [f"--data.{split}={data / f'{split}.jsonl.gz'}" for split in ("train", "validation")]
    arguments += ["--data.batch_size=4", "--data.clips_per_class=1", "--data.num_workers=0", "--trainer.max_epochs=1"]
    arguments += ["--trainer.limit_train_batches=2", "--trainer.limit_val_batches=1", "--trainer.devices=1"]
    arguments += ["--trainer.accelerator=cpu", f"--output={tmp_path / 'run'}", *overrides]
    assert main(["run", "commands", "fit", "--config", recipe, *arguments]) == 0
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()
