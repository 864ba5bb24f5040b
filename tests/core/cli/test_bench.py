"""The bench counts and times right, on a toy task whose arithmetic is known."""

import itertools
import json
import subprocess
import sys

import pytest
import torch

from s2s_core.cli import ceiling, measuring
from s2s_core.cli.bench import main
from s2s_core.cli.lightning_cli import TaskCLI
from s2s_core.cli.measuring import Effort, measure
from s2s_core.cli.tasks import TaskInfo
from s2s_core.compiling import Compile
from s2s_core.errors import UserError

CPU = torch.device("cpu")
TOY = '''
import torch
from torch import nn
from lightning.pytorch import LightningDataModule
from lightning.pytorch.cli import OptimizerCallable

from s2s_core.errors import UserError
from s2s_core.part import Part
from s2s_core.task import Task


class Toy(Task):
    """One matrix, squared error."""

    name = "toy"
    monitor = "val/loss"

    def __init__(self, optimizer: OptimizerCallable, size: int = 64) -> None:
        super().__init__(optimizer)
        self.linear = nn.Linear(size, 32, bias=False)

    def loss_of(self, batch):
        return self.linear(batch).float().square().mean()

    def bench_batch(self, seconds, batch_size):
        return torch.ones(batch_size, int(seconds), self.linear.in_features)


class ToyData(LightningDataModule):
    def __init__(self, rows: int = 7) -> None:
        super().__init__()
        self.rows = rows

    def setup(self, stage: str) -> None:
        self.size = self.trainer.lightning_module.linear.in_features

    def train_dataloader(self):
        return [torch.ones(self.rows, 5, self.size)]
'''
CONFIG = """\
# A toy
model:
  class_path: s2s_toy_task.Toy
  init_args:
    optimizer: {class_path: torch.optim.SGD, init_args: {lr: 0.1}}
data:
  class_path: s2s_toy_task.ToyData
"""


@pytest.fixture(autouse=True)
def _small_ceiling(monkeypatch):
    monkeypatch.setattr(ceiling, "SIZE", 128)
    monkeypatch.setattr(ceiling, "SIZE_EMULATED", 32)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    (tmp_path / "s2s_toy_task.py").write_text(TOY)
    (tmp_path / "toy.yaml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield TaskInfo("toy", "s2s_core", "a toy", "s2s_toy_task:Toy", "s2s_toy_task:ToyData")
    sys.modules.pop("s2s_toy_task", None)


def build(toy, **kwargs):
    from s2s_toy_task import Toy

    return Toy(lambda params: torch.optim.SGD(params, lr=0.1), **kwargs)


class Clock:
    """Stands still until it is moved."""

    def __init__(self):
        self.now = 0.0

    def advance(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(measuring, "matrix_product_flops", lambda dtype, device: 1e6)
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: clock.now)
    return clock


def test_rates_follow_from_the_time_of_a_step(toy, clock):
    task = build(toy)
    quick = task.loss_of
    task.loss_of = lambda batch: (clock.advance(0.5), quick(batch))[1]

    def loader():
        while True:
            clock.advance(1.5)
            yield batch

    batch = task.bench_batch(10, 4)
    result = measure(task, loader(), "32-true", CPU, Effort(steps=5, warmup=1))
    flops = 3 * 2 * 4 * 10 * 64 * 32
    assert result.steps == 5
    assert result.parameters == 64 * 32
    assert result.flops_per_step == flops
    assert result.steps_per_s == pytest.approx(1 / 2.0)
    assert result.units_per_s == {"examples": pytest.approx(4 / 2.0)}
    assert result.waiting == pytest.approx(0.75)
    assert result.flops_per_s == pytest.approx(flops / 0.5)
    assert result.share_of_ceiling == pytest.approx(flops / 0.5 / 1e6)


def test_the_median_step_counts(toy, clock):
    task = build(toy)
    quick = task.loss_of
    times = itertools.chain([100.0, 2.0, 3.0, 50.0, 2.0, 4.0], itertools.repeat(0.0))  # the first warms up
    task.loss_of = lambda batch: (clock.advance(next(times)), quick(batch))[1]
    result = measure(task, [task.bench_batch(10, 4)], "32-true", CPU, Effort(steps=5, warmup=1, budget_s=1e9))
    assert result.steps_per_s == pytest.approx(1 / 3.0)


def test_the_budget_ends_a_slow_measurement_after_three_steps(toy):
    task = build(toy)
    batches = [task.bench_batch(2, 1)]
    assert measure(task, batches, "32-true", CPU, Effort(steps=100, warmup=1, budget_s=1e-9)).steps == 3


def test_no_batches_are_an_error(toy):
    with pytest.raises(ValueError, match="no batches"):
        measure(build(toy), [], "32-true", CPU, Effort(steps=1))


def test_steps_train_and_mixed_precision_computes_in_its_type(toy):
    task = build(toy)
    before = task.linear.weight.detach().clone()
    seen = []
    task.linear.register_forward_hook(lambda module, args, output: seen.append((module.weight.dtype, output.dtype)))
    for precision in ("32-true", "bf16-mixed", "16-mixed", "bf16-master", "fp16-master"):
        measure(task, [task.bench_batch(3, 2)], precision, CPU, Effort(steps=3, warmup=1))
    wide, bf16, fp16 = torch.float32, torch.bfloat16, torch.float16
    assert list(dict.fromkeys(seen)) == [(wide, wide), (wide, bf16), (wide, fp16), (bf16, bf16), (fp16, fp16)]
    assert not torch.equal(before, task.linear.weight)


def test_the_ceiling_counts_two_operations_a_product(monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(ceiling.time, "perf_counter", lambda: float(next(clock)))
    assert ceiling.matrix_product_flops(torch.float32, CPU) == 2 * 128**3


def test_the_ceiling_is_the_fastest_librarys(monkeypatch):
    monkeypatch.setattr(ceiling, "library_product_flops", lambda *args: {"torch.mm": 3.0, "oneDNN": 5.0})
    assert ceiling.matrix_product_flops(torch.float32, CPU) == 5.0


PEAK = """
import torch
from s2s_core.cli.ceiling import PeakMemory

device = torch.device("cpu")
before = PeakMemory(device).read_bytes()
memory = PeakMemory(device)
torch.ones(50_000_000)
print(memory.read_bytes() - before, PeakMemory(device).read_bytes() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak is that of the whole process")
def test_peak_memory_is_of_the_work_alone():
    # in a process of its own: one that has run other tests may still hold what they freed, and work in that
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    held, after = map(int, done.stdout.split())
    assert 180e6 < held < 260e6
    assert after < 100e6


def test_command_prints_a_table_and_writes_json(toy, capsys):
    arguments = [
        "--config",
        "toy.yaml",
        "--precisions",
        "fp32,bf16,bf16-master",
        "--steps",
        "3",
        "--batch",
        "4",
        "--seconds",
        "6",
    ]
    assert main(toy, [*arguments, "--device", "cpu", "--json", "out.json", "--model.init_args.size", "48"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "toy.yaml: 0.0 M parameters" in lines[0]
    assert lines[1].split() == ["32-true", "bf16-mixed", "bf16-master"]
    names = [line.split("  ")[0] for line in lines[2:]]
    assert names == [
        "steps/s",
        "examples/s",
        "padding",
        "waiting for data",
        "peak memory, GB",
        "GFLOP/step",
        "GFLOP/s",
        "matrix product, GFLOP/s",
        "of the matrix product",
    ]
    with open("out.json", encoding="utf-8") as file:  # noqa: PTH123
        written = json.load(file)
    assert [row["precision"] for row in written["results"]] == ["32-true", "bf16-mixed", "bf16-master"]
    assert written["results"][0]["flops_per_step"] == 3 * 2 * 4 * 6 * 48 * 32


def test_command_on_the_configs_data(toy, capsys):
    assert main(toy, ["--config", "toy.yaml", "--precisions", "32", "--steps", "3", "--data", "config"]) == 0
    assert "data of the config" in capsys.readouterr().out


@pytest.mark.parametrize("data", ["synthetic", "config"])
def test_what_the_config_compiles_is_compiled_and_it_is_read_once_a_precision(toy, tmp_path, monkeypatch, data):
    compiled, read = [], []
    monkeypatch.setattr(Compile, "compile", lambda self, model: compiled.append((self.modules, type(model).__name__)))
    parse = TaskCLI.parse_arguments
    monkeypatch.setattr(TaskCLI, "parse_arguments", lambda *given: read.append(1) or parse(*given))
    callback = "{class_path: s2s_core.compiling.Compile, init_args: {modules: [linear]}}"
    (tmp_path / "toy.yaml").write_text(f"{CONFIG}trainer: {{callbacks: [{callback}]}}\n")
    words = ["--config", "toy.yaml", "--precisions", "32,bf16", "--steps", "3", "--device", "cpu", "--data", data]
    assert main(toy, words) == 0
    assert compiled == [(["linear"], "Toy")] * 2
    assert len(read) == {"synthetic": 1, "config": 2}[data]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--config"),
        (["--config", "toi"], "toi"),
        (["--config", "toy.yaml", "--precisions", "8"], "'8' is none of"),
        (["--config", "toy.yaml", "--precisions", ","], "at least one"),
        (["--config", "toy.yaml", "--precisions", "tf32", "--device", "cpu"], "tf32 is of CUDA devices"),
        (["--config", "toy.yaml", "--model.init_args.sise", "3"], "sise"),
        (["--config", "toy.yaml", "--steps", "0"], "--steps: expected a number above 0"),
        (["--config", "toy.yaml", "--json", "absent/out.json"], "--json absent/out.json: no folder 'absent'"),
    ],
)
def test_mistakes_are_named(toy, arguments, message):
    with pytest.raises(UserError, match=message):
        main(toy, arguments)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_device(toy, monkeypatch):
    monkeypatch.setattr(ceiling, "SIZE", 4096)
    task = build(toy, size=1024)
    result = measure(task, [task.bench_batch(1000, 16)], "bf16-mixed", torch.device("cuda"), Effort(steps=5))
    assert 0.0 < result.share_of_ceiling < 1.2
    assert result.peak_memory_bytes > 16 * 1000 * 1024 * 4
