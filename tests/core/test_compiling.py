import functools

import lightning.pytorch as pl
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from s2s_core.averaging import WarmEma
from s2s_core.cli.configs import resolve_config_arguments
from s2s_core.cli.runs import key_parser
from s2s_core.cli.tasks import installed_tasks
from s2s_core.compiling import Compile
from s2s_core.errors import UserError
from s2s_core.precision.master_weights import MasterWeightsPrecision
from s2s_core.task import Task


class Net(Task):
    name = "net"
    monitor = "loss"

    def __init__(self):
        super().__init__(functools.partial(torch.optim.SGD, lr=0.1))
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
        self.decoder = nn.Linear(4, 1)

    def training_step(self, batch, batch_idx):
        return self.decoder(self.encoder(batch[0])).float().square().mean()


def fit(tmp_path, *callbacks, precision=None):
    task = Net()
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, callbacks=list(callbacks),
        plugins=[] if precision is None else [precision],
    )  # fmt: skip
    torch.manual_seed(1)
    trainer.fit(task, DataLoader(TensorDataset(torch.randn(12, 4)), batch_size=4))
    return task


@pytest.mark.parametrize("half", [None, "bf16"])
def test_a_compiled_model_trains_as_it_would_have_and_keeps_its_names(tmp_path, half):
    def precision():
        return None if half is None else MasterWeightsPrecision(half)

    plain = fit(tmp_path, WarmEma(), precision=precision())
    compiled = fit(tmp_path, Compile(backend="aot_eager"), WarmEma(), precision=precision())
    assert compiled.encoder._compiled_call_impl is not None
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(compiled.state_dict()[name], value, rtol=1e-5, atol=1e-6)


def test_a_name_that_is_none_says_so(tmp_path):
    with pytest.raises(UserError, match="no module of Net is called 'encodre'"):
        fit(tmp_path, Compile(["encodre"]))


@pytest.mark.parametrize("overlay", ["compile", "cuda-graphs"])
def test_the_overlay_adds_to_the_recipes_callbacks(overlay):
    task = installed_tasks()["asr"]
    words = ["--config", "quickstart", "--config", f"overlays/{overlay}"]
    parsed = key_parser(task, trains=True).parse_args(resolve_config_arguments(words, task.config_home))
    assert [callback["class_path"].rpartition(".")[2] for callback in parsed["trainer"]["callbacks"]] == [
        "WarmEma",
        "Compile",
    ]
