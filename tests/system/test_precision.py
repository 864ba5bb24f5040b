"""Half precision as a user stacks it on a recipe: it learns the same, is killed and resumed, and changed on the way."""

import functools
import os
import shutil
import signal
import time

import lightning.pytorch as pl
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from s2s_asr.encoders.tdnn import TdnnBlock, TdnnEncoder
from s2s_core.checkpoint import build_task
from s2s_core.cli.configs import resolve_config_arguments
from s2s_core.cli.runs import key_parser
from s2s_core.cli.tasks import installed_tasks
from s2s_core.optim.schedules import Cosine
from s2s_core.precision.master_weights import MasterWeightsPrecision
from s2s_core.precision.mixed import AutocastPrecision
from s2s_core.task import Task

pytestmark = pytest.mark.slow
SMALL = ("commands", "sentiment")


def last_checkpoint(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def fit(lightning, config, cwd, *more):
    process = lightning("fit", "--config", config, "--output", "run", *more, cwd=cwd)
    _, errors = process.communicate(timeout=500)
    assert process.returncode == 0, errors
    return errors


def test_a_killed_fp16_run_resumes_bit_for_bit_and_in_any_other_precision(lightning, tiny_config, tmp_path):
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    overlay = ("--config", "overlays/fp16-master")
    errors = fit(lightning, tiny_config, tmp_path / "whole", *overlay)
    assert "fp16-master" in errors
    assert "precision fp16-master: gradients measured at" in errors

    arguments = ("fit", "--config", tiny_config, *overlay, "--output", "run")
    process = lightning(*arguments, cwd=tmp_path / "killed", start_new_session=True)
    deadline = time.monotonic() + 300
    while not (tmp_path / "killed" / "run" / "checkpoints" / "last.ckpt").exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert last_checkpoint(tmp_path / "killed" / "run")["global_step"] < 40
    shutil.copytree(tmp_path / "killed", tmp_path / "changed")

    fit(lightning, tiny_config, tmp_path / "killed", *overlay, "--ckpt_path", "last")
    whole, again = (last_checkpoint(tmp_path / name / "run") for name in ("whole", "killed"))
    assert again["global_step"] == whole["global_step"] == 40
    assert again["MasterWeightsPrecision"] == whole["MasterWeightsPrecision"]
    for name, value in whole["state_dict"].items():
        assert value.dtype != torch.float16
        assert torch.equal(value, again["state_dict"][name]), name

    fit(lightning, tiny_config, tmp_path / "changed", "--ckpt_path", "last")
    changed = last_checkpoint(tmp_path / "changed" / "run")["state_dict"]
    weight = "decoder.linear.weight"
    assert (
        torch.nn.functional.cosine_similarity(changed[weight].flatten(), whole["state_dict"][weight].flatten(), 0) > 0.9
    )


class ToySpeech(Task):
    """A small Jasper with CTC on noisy prototypes of six labels."""

    name = "toy"
    monitor = "loss"

    def __init__(self, seed):
        super().__init__(functools.partial(torch.optim.AdamW, lr=0.01), Cosine(warmup_steps=20))
        torch.manual_seed(seed)
        blocks = [TdnnBlock(channels=24, kernel=5, stride=1), TdnnBlock(channels=24, kernel=5, residual=True)]
        self.encoder = TdnnEncoder(12, blocks)
        self.out = nn.Linear(24, 7)

    def training_step(self, batch, batch_idx):
        frames, labels = batch
        lengths = torch.full((len(frames),), frames.shape[1])
        encoded, lengths = self.encoder(frames, lengths)
        scores = self.out(encoded).float().log_softmax(-1).transpose(0, 1)
        return F.ctc_loss(scores, labels, lengths, torch.full((len(frames),), labels.shape[1]), blank=6)

    def validation_step(self, batch, batch_idx):
        self.log("loss", self.training_step(batch, batch_idx), batch_size=len(batch[0]))


def toy_batches(seed, count):
    prototypes = torch.randn(6, 12, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(seed)
    batches = []
    for _ in range(count):
        labels = torch.randint(0, 6, (8, 5), generator=generator)
        noise = 0.5 * torch.randn(8, 30, 12, generator=generator)
        batches.append((prototypes[labels].repeat_interleave(6, 1) + noise, labels))
    return DataLoader(batches, batch_size=None)


def final_loss(precision, seed, folder):
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, gradient_clip_val=1.0, default_root_dir=folder,
        plugins=[] if precision is None else [precision],
    )  # fmt: skip
    trainer.fit(ToySpeech(seed), toy_batches(seed, 150), toy_batches(99, 10))
    return float(trainer.callback_metrics["loss"])


def test_every_precision_converges_to_the_same_loss(tmp_path):
    seeds = (1, 2, 3)
    reference = [final_loss(None, seed, tmp_path) for seed in seeds]
    spread = max(reference) - min(reference)
    assert max(reference) < 0.5, "untrained it is above 10"
    for kind in (MasterWeightsPrecision, AutocastPrecision):
        for dtype in ("fp16", "bf16"):
            losses = [final_loss(kind(dtype), seed, tmp_path) for seed in seeds]
            # far closer than one seed is to the next
            assert losses == pytest.approx(reference, abs=spread / 10), (kind, dtype)


def memorised(task_name, seed, precision, folder):
    """The loss that a task's quickstart model reaches on one synthetic batch, and whence it came."""
    info = installed_tasks()[task_name]
    words = resolve_config_arguments(["--config", "quickstart"], info.config_home)
    torch.manual_seed(seed)
    task = build_task(key_parser(info, trains=False).parse_args(words)["model"].as_dict(), "quickstart")
    task._make_optimizer, task.schedule = functools.partial(torch.optim.AdamW, lr=2e-3), None
    task.training_step = lambda batch, batch_idx: task.loss_of(batch)
    torch.manual_seed(0)
    batch = task.bench_batch(1.0, 2)
    before = float(task.eval().loss_of(batch))
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, gradient_clip_val=1.0, default_root_dir=folder,
        plugins=[] if precision is None else [precision],
    )  # fmt: skip
    trainer.fit(task.train(), DataLoader([batch] * 30, batch_size=None))
    return before, float(task.eval().loss_of(batch))


QUICKSTARTS = sorted(name for name, task in installed_tasks().items() if "quickstart" in task.commands)


@pytest.mark.parametrize("task", QUICKSTARTS)
def test_each_tasks_quickstart_model_converges_alike_in_every_precision(task, tmp_path):
    seeds = (1, 2, 3)
    runs = [memorised(task, seed, None, tmp_path) for seed in seeds]
    reference = [after for _, after in runs]
    learned = min(before - after for before, after in runs)
    assert learned > 0.05 * runs[0][0]
    noise = max(max(reference) - min(reference), 0.05 * learned)
    for kind in (MasterWeightsPrecision, AutocastPrecision):
        found = [memorised(task, seed, kind("bf16"), tmp_path)[1] for seed in seeds]
        assert sum(found) / 3 == pytest.approx(sum(reference) / 3, abs=noise), kind
    if task in SMALL:  # a CPU emulates float16, twenty times slower
        found = [memorised(task, seed, MasterWeightsPrecision("fp16"), tmp_path)[1] for seed in seeds]
        assert sum(found) / 3 == pytest.approx(sum(reference) / 3, abs=noise)
