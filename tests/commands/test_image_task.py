"""The image task: wiring, blending, crops, and a run that resumes to the same weights."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from s2s_commands.cli import IMAGES
from s2s_commands.cutmix import CutMix
from s2s_commands.decoders.linear import LinearHead
from s2s_commands.encoders.resnet import ResNetEncoder
from s2s_commands.image_task import ImageClassification
from s2s_commands.image_view import ImageView
from s2s_commands.interfaces import ImageBatch
from s2s_commands.losses.cross_entropy import CrossEntropy
from s2s_commands.mixup import Mixup
from s2s_core.checkpoint import read_checkpoint
from s2s_core.cli.main import run_task
from s2s_core.errors import UserError


def built(**arguments):
    torch.manual_seed(0)
    parts = {
        "encoder": ResNetEncoder(depth=18, small_images=True, width=4, blocks=[1], zero_init_residual=False),
        "decoder": LinearHead(4, 3),
        "loss": CrossEntropy(),
        "optimizer": torch.optim.SGD,
        "view": ImageView(8, 10),
    }
    return ImageClassification(**{**parts, **arguments})


def batch_of(count=6, size=8):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(count, 3, size, size, generator=generator)
    return ImageBatch(images, torch.arange(count) % 3, [str(i) for i in range(count)])


def test_crops_average_probabilities():
    task = built(view=ImageView(8, 10, crops=10)).eval()
    batch = batch_of(size=10)
    expected = sum(task.logits(view).softmax(1) for view in task.view.views(batch.images)) / 10
    torch.testing.assert_close(task.batch_logits(batch).softmax(1), expected)
    single = built().eval()
    assert torch.equal(single.batch_logits(batch_of()), single.logits(batch_of().images))


@pytest.mark.parametrize("both", [True, False])
def test_training_batches_are_blended(both, monkeypatch):
    task = built(mixup=Mixup(1.0) if both else None, cutmix=CutMix()).eval()
    seen = []
    monkeypatch.setattr(task, "logits", lambda images: seen.append(images) or images.mean((2, 3)))
    kinds = set()
    for number in range(12):
        monkeypatch.setattr(task, "step_generator", lambda index: torch.Generator().manual_seed(index))
        batch = batch_of()
        _, targets = task.training_logits(batch, task.targets_of(batch.labels), number)
        kept = (seen[-1] == batch.images).float().mean()
        kinds.add("mixup" if kept < 0.01 else "cutmix")
        torch.testing.assert_close(targets.sum(1), torch.ones(6))
    assert kinds == ({"mixup", "cutmix"} if both else {"cutmix"})


def test_sizes_must_fit():
    with pytest.raises(ValueError, match=r"encoder\.in_channels is 3, the view has 1"):
        built(view=ImageView(8, None, [0.5], [0.5]))
    with pytest.raises(ValueError, match=r"decoder\.in_features is 5, the encoder gives 4"):
        built(decoder=LinearHead(5, 3))


def test_a_bench_batch_is_what_a_step_takes():
    task = built()
    batch = task.bench_batch(1.0, 5)
    assert batch.images.shape == (5, 3, 8, 8)
    assert task.units_of(batch) == {"images": 5}
    assert torch.isfinite(task.loss_of(batch))


CONFIG = """
seed_everything: 1
model:
  class_path: s2s_commands.image_task.ImageClassification
  init_args:
    encoder:
      class_path: s2s_commands.encoders.resnet.ResNetEncoder
      init_args: {depth: 18, small_images: true, width: 4, blocks: [1]}
    decoder: {class_path: s2s_commands.decoders.linear.LinearHead, init_args: {in_features: 4, num_classes: 3}}
    loss: {class_path: s2s_commands.losses.cross_entropy.CrossEntropy}
    view: {class_path: s2s_commands.image_view.ImageView, init_args: {size: 8, resize: null}}
    augment: {class_path: s2s_commands.image_augment.ImageAugment, init_args: {crop: padded, rand_augment: 3}}
    cutmix: {class_path: s2s_commands.cutmix.CutMix}
    optimizer: {class_path: torch.optim.SGD, init_args: {lr: 0.05, momentum: 0.9}}
data:
  class_path: s2s_commands.image_data.ImageData
  init_args: {train: in, validation: in, test: in, predict: in, batch_size: 5}
trainer: {accelerator: cpu, devices: 1, max_epochs: 2, log_every_n_steps: 2}
"""


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for number in range(18):
        path = tmp_path / "in" / ("cat", "dog", "eel")[number % 3] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    return tmp_path


def run(*arguments):
    return run_task(IMAGES, list(arguments), "test")


@pytest.mark.slow
def test_from_training_to_labels(workplace, capsys):
    whole, part = workplace / "whole", workplace / "part"
    assert run("fit", "--config", "tiny.yaml", "--output", str(whole)) == 0
    assert run("fit", "--config", "tiny.yaml", "--output", str(part), "--trainer.max_steps", "3") == 0
    assert run("fit", "--ckpt_path", "last", "--output", str(part), "--trainer.max_steps", "-1") == 0
    weights = [read_checkpoint(folder / "checkpoints" / "last.ckpt")["state_dict"] for folder in (whole, part)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())

    best = str(whole / "checkpoints" / "best.ckpt")
    capsys.readouterr()
    assert run("test", "--ckpt_path", best) == 0
    scores = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {"test/accuracy", "test/loss"} <= scores.keys()
    assert run("classify", "--checkpoint", best, "in", "--format", "json", "--batch-size", "4") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 18
    right = [row["path"].split("/")[1] == row["label"] for row in rows]
    assert abs(np.mean(right) - scores["test/accuracy"]) < 1e-6
    assert run("predict", "--ckpt_path", best) == 0
    predicted = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["label"] for row in predicted] == [row["label"] for row in rows]

    (workplace / "in" / "cat" / "bad.jpg").write_bytes(b"no picture")
    assert run("classify", "--checkpoint", best, "in/cat/*", "in/dog/01.png", "--top", "2") == 1
    printed = capsys.readouterr()
    assert "in/cat/bad.jpg: not a picture" in printed.err
    assert len(printed.out.splitlines()) == 7
    assert len(printed.out.splitlines()[0].split("\t")) == 5
    for wrong in (["none.png"], ["in/eel/*.gif"]):
        with pytest.raises(UserError, match=wrong[0].replace("*", r"\*")):
            run("classify", "--checkpoint", best, *wrong)
