"""Every packaged image recipe trains a step on its corpus' official layout, made small."""

import numpy as np
import pytest
from PIL import Image

from s2s_commands.cli import IMAGES
from s2s_core.cli.configs import packaged_configs
from s2s_core.cli.main import run_task

RECIPES = sorted(name for name in packaged_configs(IMAGES.config_home) if not name.startswith("overlays/"))
SMALLER = {"alexnet": [], "cifar10": [], "cifar10-small": [], "quickstart": []}
"""Options that shrink what a step costs; ResNet-50 sees small pictures."""
RESNET = ["--model.init_args.view.init_args.size=64", "--model.init_args.view.init_args.resize=72"]


def imagenet(root):
    rng = np.random.default_rng(0)
    for number in range(4):
        synset = ("n01440764", "n01443537")[number % 2]
        for path in (root / "train" / synset / f"{synset}_{number}.JPEG", root / "val" / f"ILSVRC_val_{number}.JPEG"):
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (80, 100, 3), dtype=np.uint8)).save(path)
    labels = "n01440764\nn01443537\n" * 2
    (root / "imagenet_2012_validation_synset_labels.txt").write_text(labels)


def cifar10(root):
    rng = np.random.default_rng(0)
    folder = root / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        records = [bytes([label]) + rng.integers(0, 256, 3072, dtype=np.uint8).tobytes() for label in range(10)]
        (folder / f"{name}.bin").write_bytes(b"".join(records))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    root = tmp_path_factory.mktemp("recipes")
    imagenet(root / "in" / "imagenet")
    cifar10(root / "in" / "cifar10")
    for corpus in ("imagenet", "cifar10"):
        arguments = ["prepare", corpus, "--input", str(root / "in" / corpus), "--output", str(root / corpus)]
        assert run_task(IMAGES, [*arguments, "--holdout", "0.2"], "test") == 0
    assert run_task(IMAGES, ["prepare", "digits", "--output", str(root / "digits")], "test") == 0
    return root


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_trains_a_step(recipe, prepared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    corpus = "digits" if recipe == "quickstart" else "cifar10" if recipe.startswith("cifar10") else "imagenet"
    splits = {"train": "train", "validation": "validation"}
    options = [f"--data.init_args.{key}={prepared / corpus / split}.jsonl.gz" for key, split in splits.items()]
    if corpus == "imagenet":
        options.append("--model.init_args.decoder.init_args.num_classes=2")
    options += SMALLER.get(recipe, RESNET)
    options += ["--data.init_args.batch_size=2", "--data.init_args.num_workers=0"]
    options += ["--trainer.fast_dev_run=true", "--trainer.accelerator=cpu", "--trainer.devices=1"]
    assert run_task(IMAGES, ["fit", "--config", recipe, "--output", str(tmp_path / "run"), *options], "test") == 0
