import copy
import functools
import types

import lightning.pytorch as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.strategies import DeepSpeedStrategy
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from s2s_core.averaging import WarmEma
from s2s_core.checkpoint import AtomicCheckpointIO, read_checkpoint
from s2s_core.cli.configs import find_config
from s2s_core.errors import UserError
from s2s_core.optim.larc import Larc
from s2s_core.optim.novograd import NovoGrad
from s2s_core.optim.schedules import Polynomial
from s2s_core.precision.loss_scale import Backoff, LogMax, StaticScale
from s2s_core.precision.master_weights import MasterWeightsPrecision
from s2s_core.precision.mixed import AutocastPrecision
from s2s_core.precision.regularizer import L2Regularizer
from s2s_core.task import Task


class Tied(nn.Module):
    """A weight in two layers, a norm, a recurrent layer, and a frozen bias."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.second = nn.Linear(4, 4, bias=False)
        self.second.weight = self.first.weight
        self.last = nn.Linear(4, 1)
        self.last.bias.requires_grad_(False)

    def forward(self, x):
        return self.last(torch.tanh(self.second(self.norm(self.first(x)))))


class Toy(Task):
    name = "toy"
    monitor = "loss"

    def __init__(self, optimizer, schedule=None, larc=None, regularizer=None):
        super().__init__(optimizer, schedule, larc, regularizer)
        torch.manual_seed(5)
        self.net = Tied()
        self.poison: set[int] = set()
        self.seen: list[tuple[torch.dtype, ...]] = []

    def training_step(self, batch, batch_idx):
        x, y = batch
        out = self.net(x)
        self.seen.append((self.net.first.weight.dtype, self.net.norm.weight.dtype, out.dtype))
        loss = (out.float() - y).square().mean()
        return loss * (torch.inf if batch_idx in self.poison else 1.0)

    def validation_step(self, batch, batch_idx):
        self.log("loss", (self.net(batch[0]).float() - batch[1]).square().mean())


def sgd(**options):
    return functools.partial(torch.optim.SGD, **options)


def batches(count=6, rows=8):
    torch.manual_seed(11)
    x = torch.randn(count * rows, 4)
    return DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=rows)


def fit(task, tmp_path, precision=None, loader=None, ckpt_path=None, validate=False, **options):
    options = {"max_epochs": 1, **options}
    plugins = [AtomicCheckpointIO(), *([precision] if precision is not None else [])]
    trainer = pl.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, plugins=plugins, **options,
    )  # fmt: skip
    loader = batches() if loader is None else loader
    trainer.fit(task, loader, loader if validate else None, ckpt_path=ckpt_path)
    return trainer


def weights(task):
    return {name: value.clone() for name, value in task.state_dict().items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name, value in a.items():
        assert torch.equal(value, b[name]), name


PRECISIONS = {
    "fp32": lambda: None,
    "bf16-master": lambda: MasterWeightsPrecision("bf16"),
    "fp16-master": lambda: MasterWeightsPrecision("fp16"),
    "bf16-mixed": lambda: AutocastPrecision("bf16"),
    "fp16-mixed": lambda: AutocastPrecision("fp16"),
}
HALF = [name for name in PRECISIONS if name != "fp32"]
MASTER = [name for name in PRECISIONS if "master" in name]


@pytest.mark.parametrize(("dtype", "half"), [("fp16", torch.float16), ("bf16", torch.bfloat16)])
def test_the_model_runs_in_half_precision_but_its_norms_and_stands_in_float32(tmp_path, dtype, half):
    task = Toy(sgd(lr=0.1))
    fit(task, tmp_path, MasterWeightsPrecision(dtype))
    assert set(task.seen) == {(half, torch.float32, half)}
    assert {p.dtype for p in task.parameters()} == {torch.float32}
    assert not any(layer._forward_hooks for layer in task.modules())
    assert task.net.second.weight is task.net.first.weight


def by_hand(half, optimizer_class, options, scale, window=1):
    """Micikevicius et al.: half-precision weights anew from the masters at every pass, gradients summed in float32."""
    master = Tied()
    master.load_state_dict(Toy(sgd(lr=0.1)).net.state_dict())
    optimizer = optimizer_class([p for p in master.parameters() if p.requires_grad], **options)
    for index, (x, y) in enumerate(batches()):
        model = copy.deepcopy(master).to(half)
        model.norm = copy.deepcopy(master.norm)
        for p in model.parameters():
            p.grad = None
        with torch.autocast("cpu", dtype=half):
            out = model(x)
        ((out.float() - y).square().mean() / window * scale).backward()
        for p, q in zip(master.parameters(), model.parameters(), strict=True):
            if q.grad is not None:
                p.grad = q.grad.float() if p.grad is None else p.grad + q.grad.float()
        for ours, theirs in zip(master.buffers(), model.buffers(), strict=True):
            ours.copy_(theirs)
        if (index + 1) % window == 0:
            for p in master.parameters():
                if p.grad is not None:
                    p.grad /= scale
            optimizer.step()
            optimizer.zero_grad()
    return master.state_dict()


@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
        (torch.optim.AdamW, {"lr": 0.01, "fused": True}),
        (torch.optim.Adagrad, {"lr": 0.1}),
        (NovoGrad, {"lr": 0.01, "weight_decay": 0.001}),
    ],
)
@pytest.mark.parametrize(("dtype", "half", "scale"), [("fp16", torch.float16, 64.0), ("bf16", torch.bfloat16, 1.0)])
def test_steps_are_those_of_the_algorithm_by_hand(tmp_path, dtype, half, scale, optimizer, options, window):
    task = Toy(functools.partial(optimizer, **options))
    loss_scale = StaticScale(scale) if dtype == "fp16" else None
    fit(task, tmp_path, MasterWeightsPrecision(dtype, loss_scale), accumulate_grad_batches=window)
    assert_same(weights(task.net), by_hand(half, optimizer, options, scale, window))


def test_gradients_accumulate_in_float32(tmp_path):
    class Sum(Toy):
        def training_step(self, batch, batch_idx):
            return (self.net.last.weight.sum() + 0.0 * self.net(batch[0]).sum()) * (256.0 if batch_idx == 0 else 1.0)

    task = Sum(sgd(lr=1.0))
    before = task.net.last.weight.detach().clone()
    fit(task, tmp_path, MasterWeightsPrecision("bf16"), accumulate_grad_batches=3, max_steps=1)
    # of the terms 85.5, 0.334 and 0.334 in bfloat16, sums are 86 and 86 in bfloat16, 85.8 and 86.2 in float32
    terms = (torch.tensor([256.0, 1.0, 1.0]) / 3).bfloat16().float()
    torch.testing.assert_close(before - task.net.last.weight, terms.sum().expand(1, 4), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", MASTER)
def test_a_group_of_its_own_keeps_its_rate_and_a_frozen_parameter_its_value(tmp_path, name):
    class Grouped(Toy):
        def configure_optimizers(self):
            return torch.optim.SGD(
                [{"params": [self.net.first.weight], "lr": 0.0}, {"params": [self.net.last.weight]}], lr=0.5
            )

    task = Grouped(sgd(lr=0.5))
    before = weights(task.net)
    fit(task, tmp_path, PRECISIONS[name]())
    assert torch.equal(task.net.first.weight, before["first.weight"])
    assert torch.equal(task.net.last.bias, before["last.bias"])
    assert not torch.allclose(task.net.last.weight, before["last.weight"])


@pytest.mark.parametrize("algorithm", ["norm", "value"])
@pytest.mark.parametrize("name", HALF)
def test_a_fused_optimizer_clips(tmp_path, name, algorithm):
    class Steep(Toy):
        def training_step(self, batch, batch_idx):
            return 100.0 * self.net(batch[0]).float().sum()

    task = Steep(sgd(lr=0.1, fused=True))
    before = weights(task.net)
    fit(task, tmp_path, PRECISIONS[name](), max_steps=1, gradient_clip_val=1.0, gradient_clip_algorithm=algorithm)
    change = [before[key] - value.detach() for key, value in task.net.named_parameters()]
    if algorithm == "norm":
        assert torch.stack([c.norm() for c in change]).norm() == pytest.approx(0.1, rel=1e-4)
    else:
        assert max(c.abs().max() for c in change) == pytest.approx(0.1, rel=1e-4)


@pytest.mark.parametrize("name", ["fp32", *HALF])
def test_the_rules_run_in_order_on_unscaled_float32_gradients(tmp_path, name):
    task = Toy(sgd(lr=0.5), larc=Larc(0.01), regularizer=L2Regularizer(0.1))
    reference = Toy(sgd(lr=0.5), larc=Larc(0.01), regularizer=L2Regularizer(0.1))
    fit(task, tmp_path, PRECISIONS[name](), gradient_clip_val=0.5)
    fit(reference, tmp_path, gradient_clip_val=0.5)
    for ours, theirs in zip(task.net.parameters(), reference.net.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0.0, atol=2e-3)


class Numbers(Callback):
    """What a step leaves behind."""

    def __init__(self):
        self.after: list[dict] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        optimizer = trainer.optimizers[0]
        self.after.append(
            {
                "weights": weights(pl_module),
                "optimizer": copy.deepcopy(optimizer.state_dict()["state"]),
                "step": trainer.global_step,
                "lr": optimizer.param_groups[0]["lr"],
            }
        )


@pytest.mark.parametrize("name", ["fp16-master", "fp16-mixed"])
def test_a_skipped_step_changes_nothing(tmp_path, name):
    task = Toy(functools.partial(torch.optim.Adam, lr=0.01), Polynomial())
    task.poison = {2, 3}
    numbers, ema, precision = Numbers(), WarmEma(0.9), PRECISIONS[name]()
    trainer = fit(task, tmp_path, precision, callbacks=[numbers, ema])
    good, skipped = numbers.after[1], numbers.after[2:4]
    for state in skipped:
        assert_same(state["weights"], good["weights"])
        assert state["optimizer"].keys() == good["optimizer"].keys()
        for key, value in good["optimizer"].items():
            assert_same(state["optimizer"][key], value)
        assert state["step"] == good["step"] == 2
    assert numbers.after[4]["lr"] == numbers.after[2]["lr"] == 0.01 * (1 - 2 / 6)
    assert trainer.global_step == 4
    assert precision.skipped_steps == 2
    assert precision.scale == 2.0**12

    without = Toy(functools.partial(torch.optim.Adam, lr=0.01), Polynomial(decay_steps=6))
    good_rows = DataLoader([batch for i, batch in enumerate(batches()) if i not in (2, 3)], batch_size=None)
    fit(without, tmp_path, type(precision)("fp16", StaticScale(2.0**12)), loader=good_rows, callbacks=[WarmEma(0.9)])
    for key, value in weights(task).items():
        torch.testing.assert_close(value, weights(without)[key], rtol=1e-2, atol=1e-3)


@settings(max_examples=15, deadline=None)
@given(st.sets(st.integers(0, 5)), st.sampled_from([Backoff, LogMax]), st.sampled_from(["fp16-master", "fp16-mixed"]))
def test_no_history_of_overflows_changes_the_model(overflows, loss_scale, name):
    task = Toy(sgd(lr=0.1, momentum=0.9))
    task.poison = overflows
    numbers, precision = Numbers(), PRECISIONS[name]()
    precision.loss_scale = loss_scale()
    before = {"weights": weights(task), "step": 0}
    trainer = fit(task, None, precision, callbacks=[numbers])
    for index, after in enumerate(numbers.after):
        if index in overflows:
            assert_same(after["weights"], before["weights"])
            assert after["step"] == before["step"]
        else:
            assert after["step"] == before["step"] + 1
            assert all(torch.isfinite(value).all() for value in after["weights"].values())
        before = after
    assert (trainer.global_step, precision.skipped_steps) == (6 - len(overflows), len(overflows))


def test_a_window_with_one_overflow_is_skipped_whole(tmp_path):
    task = Toy(sgd(lr=0.1))
    task.poison = {0}
    before = weights(task)
    trainer = fit(task, tmp_path, MasterWeightsPrecision("fp16"), accumulate_grad_batches=3, limit_train_batches=3)
    assert trainer.global_step == 0
    assert_same(weights(task), before)


@pytest.mark.parametrize("name", MASTER)
def test_averages_are_of_masters_and_validation_runs_them(tmp_path, name):
    losses = []

    class Validated(Toy):
        def validation_step(self, batch, batch_idx):
            losses.append((self.net.last.weight.dtype, float((self.net(batch[0]).float() - batch[1]).square().mean())))

    for ema in (WarmEma(0.9), EMAWeightAveraging(decay=0.9)):
        losses.clear()
        task = Validated(sgd(lr=0.1))
        fit(task, tmp_path, PRECISIONS[name](), callbacks=[ema], validate=True, num_sanity_val_steps=0)
        # on_train_end leaves the average in the model
        x, y = next(iter(batches()))
        expected = (task.eval().net(x) - y).square().mean().item()
        assert losses[0][0] != torch.float32
        assert losses[0][1] == pytest.approx(expected, rel=2e-2)
        assert {p.dtype for p in task.parameters()} == {torch.float32}
        bits = task.net.last.weight.to(torch.bfloat16).float()
        assert not torch.equal(bits, task.net.last.weight)


@pytest.mark.parametrize("name", HALF)
def test_a_run_resumes_bit_for_bit(tmp_path, name):
    def adam():
        return Toy(functools.partial(torch.optim.Adam, lr=0.01), Polynomial(decay_steps=20))

    whole, halves = adam(), adam()
    overflows = {1} if name.startswith("fp16") else set()
    whole.poison = halves.poison = overflows
    fit(whole, tmp_path, PRECISIONS[name](), max_epochs=2, callbacks=[WarmEma(0.9)])
    trainer = fit(halves, tmp_path, PRECISIONS[name](), callbacks=[StopSave(tmp_path / "a.ckpt"), WarmEma(0.9)])
    saved = read_checkpoint(tmp_path / "a.ckpt")
    for section in ("state_dict", "current_model_state"):
        assert {v.dtype for v in saved[section].values() if v.is_floating_point()} == {torch.float32}
    resumed = adam()
    resumed.poison = overflows
    fit(resumed, tmp_path, PRECISIONS[name](), max_epochs=2, ckpt_path=tmp_path / "a.ckpt", callbacks=[WarmEma(0.9)])
    assert_same(weights(resumed), weights(whole))
    assert trainer.global_step == 6 - len(overflows)


class StopSave(Callback):
    def __init__(self, path):
        self.path = path

    def on_train_epoch_end(self, trainer, pl_module):
        trainer.save_checkpoint(self.path)


@pytest.mark.parametrize("after", PRECISIONS)
@pytest.mark.parametrize("before", PRECISIONS)
def test_a_run_goes_on_in_any_other_precision(tmp_path, before, after):
    def toy():
        return Toy(sgd(lr=0.05, momentum=0.9))

    fit(toy(), tmp_path, PRECISIONS[before](), callbacks=[StopSave(tmp_path / "a.ckpt")])
    whole, resumed = toy(), toy()
    fit(whole, tmp_path, max_epochs=2)
    trainer = fit(resumed, tmp_path, PRECISIONS[after](), max_epochs=2, ckpt_path=tmp_path / "a.ckpt")
    assert trainer.global_step == 12
    for key, value in weights(resumed).items():
        torch.testing.assert_close(value, weights(whole)[key], rtol=0, atol=0.02)


def test_modules_named_stay_in_float32(tmp_path):
    seen = []

    class Watched(Toy):
        def training_step(self, batch, batch_idx):
            handle = self.net.last.register_forward_hook(lambda layer, x, y: seen.append((x[0].dtype, y.dtype)))
            loss = super().training_step(batch, batch_idx)
            handle.remove()
            seen.append(self.net.last.weight.dtype)
            return loss

    task = Watched(sgd(lr=0.1))
    fit(task, tmp_path, MasterWeightsPrecision("bf16", float32_modules=["net.l*t"]), max_steps=1)
    assert seen == [(torch.float32, torch.float32), torch.float32]
    assert task.seen == [(torch.bfloat16, torch.float32, torch.float32)]


def test_a_name_that_is_none_says_so(tmp_path):
    with pytest.raises(UserError, match=r"no module of Toy is called 'net\.nowhere'"):
        fit(Toy(sgd(lr=0.1)), tmp_path, MasterWeightsPrecision("bf16", float32_modules=["net.nowhere"]))


def test_recurrent_layers_run_and_learn_in_their_copies(tmp_path):
    class Recurrent(Toy):
        def __init__(self, optimizer):
            super().__init__(optimizer)
            self.rnn = nn.GRU(4, 4, batch_first=True)

        def training_step(self, batch, batch_idx):
            assert all(a is b for a, b in zip(self.rnn._flat_weights, self.rnn.parameters(), strict=True))
            out, _ = self.rnn(batch[0][None])
            assert self.rnn.weight_hh_l0.dtype == torch.bfloat16
            return out.float().square().mean()

    task = Recurrent(sgd(lr=0.5))
    before = weights(task.rnn)
    fit(task, tmp_path, MasterWeightsPrecision("bf16"))
    assert all(not torch.equal(value, before[name]) for name, value in weights(task.rnn).items())
    assert all(a is b for a, b in zip(task.rnn._flat_weights, task.rnn.parameters(), strict=True))


@pytest.mark.parametrize("name", ["fp16-master", "fp16-mixed"])
def test_the_message_at_the_smallest_scale_names_the_layer(tmp_path, caplog, name):
    class Overflowing(Toy):
        def training_step(self, batch, batch_idx):
            return super().training_step([batch[0] * 1e5, batch[1]], batch_idx)

    precision = PRECISIONS[name]()
    precision.loss_scale = Backoff(scale_max=2.0)
    fit(Overflowing(sgd(lr=0.1)), tmp_path, precision)
    assert precision.skipped_steps == 6
    messages = [record.message for record in caplog.records if record.name.startswith("s2s_core")]
    assert len(messages) == 2
    assert "gradients overflow at layer 'net.last'" in messages[0]
    assert "layer 'net.first' is the first whose output overflows" in messages[1]
    assert "float32_modules: ['net.first']" in messages[1]


def test_a_run_in_which_nothing_but_overflows_ends(tmp_path):
    task = Toy(sgd(lr=0.1))
    task.poison = set(range(500))
    with pytest.raises(UserError, match=r"200 steps in a row skipped; .*layer 'net\.last'"):
        fit(task, tmp_path, MasterWeightsPrecision("fp16"), loader=batches(250, 2), max_epochs=3)


def test_strategies_that_hold_the_weights_themselves_are_refused(tmp_path):
    task = Toy(sgd(lr=0.1))
    task.trainer = types.SimpleNamespace(strategy=DeepSpeedStrategy.__new__(DeepSpeedStrategy))
    with pytest.raises(UserError, match="expected one device, strategy ddp or ZeroStrategy, got DeepSpeedStrategy"):
        MasterWeightsPrecision("bf16").convert_module(task)


@pytest.mark.parametrize("name", ["fp16-master", "fp16-mixed"])
def test_manual_optimization_skips_too(tmp_path, name):
    class Manual(Toy):
        def __init__(self, optimizer):
            super().__init__(optimizer)
            self.automatic_optimization = False

        def training_step(self, batch, batch_idx):
            optimizer = self.optimizers()
            optimizer.zero_grad()
            self.manual_backward(super().training_step(batch, batch_idx))
            optimizer.step()

    manual, automatic = Manual(sgd(lr=0.1)), Toy(sgd(lr=0.1))
    manual.poison = automatic.poison = {1}
    trainer = fit(manual, tmp_path, PRECISIONS[name]())
    fit(automatic, tmp_path, PRECISIONS[name]())
    assert trainer.global_step == 5
    assert_same(weights(manual), weights(automatic))


@pytest.mark.parametrize("name", HALF)
def test_evaluation_alone_runs_in_half_and_leaves_float32(tmp_path, name):
    class Watched(Toy):
        def validation_step(self, batch, batch_idx):
            super().validation_step(batch, batch_idx)
            self.seen.append(self.net(batch[0]).dtype)

    task = Watched(sgd(lr=0.1))
    trainer = pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        plugins=PRECISIONS[name](),
        default_root_dir=tmp_path,
    )
    before = weights(task)
    trainer.validate(task, batches(), verbose=False)
    assert set(task.seen) == {torch.float16 if "fp16" in name else torch.bfloat16}
    assert_same(weights(task), before)


@pytest.mark.parametrize("name", HALF)
def test_an_overlay_makes_its_precision(name):
    parser = LightningArgumentParser()
    parser.add_argument("--config", action="config")
    parser.add_lightning_class_args(pl.Trainer, "trainer")
    arguments = [f"--config={find_config(f'overlays/{name}', 's2s_core')}", "--trainer.accelerator=cpu"]
    trainer = pl.Trainer(**parser.instantiate(parser.parse_args(arguments))["trainer"])
    expected = PRECISIONS[name]()
    assert trainer.precision == name
    assert type(trainer.precision_plugin) is type(expected)
    assert trainer.precision_plugin.state_dict() == expected.state_dict()
