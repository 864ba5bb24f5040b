"""``bench``: how fast a config trains on this machine, and how fast it could."""

from __future__ import annotations

import argparse
import copy
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from s2s_core.cli.arguments import VerbParser
from s2s_core.cli.configs import resolve_config_arguments
from s2s_core.cli.output import output_file
from s2s_core.cli.tasks import TaskInfo
from s2s_core.errors import UserError

if TYPE_CHECKING:
    from s2s_core.cli.measuring import Measurement
    from s2s_core.task import Task

PRECISIONS = {
    "32": "32-true",
    "32-true": "32-true",
    "fp32": "32-true",
    "tf32": "tf32",
    "bf16": "bf16-mixed",
    "bf16-mixed": "bf16-mixed",
    "16": "16-mixed",
    "16-mixed": "16-mixed",
    "fp16-mixed": "16-mixed",
    "bf16-master": "bf16-master",
    "fp16-master": "fp16-master",
}
"""What the user may type, and the precision it means."""
NAMES = "fp32, tf32, bf16-mixed, fp16-mixed, bf16-master, fp16-master"


def main(task: TaskInfo, argv: list[str]) -> int:
    """Measure training steps of a config in one or more precisions and print a table; returns the exit status."""
    asked, keys = _parser(task).parse_known_args(argv)
    precisions = _precisions(asked.precisions)
    if not asked.config:
        raise UserError("--config: expected the name of a packaged config or a file; list them with 'configs'")
    named = [word for name in asked.config for word in ("--config", name)]
    arguments = resolve_config_arguments(named, task.config_home) + keys
    report = None if asked.json is None else output_file("--json", asked.json)

    from s2s_core.cli.measuring import Effort, measure
    from s2s_core.cli.runs import quiet_lightning

    quiet_lightning()
    device = _device(asked.device)
    if device.type != "cuda" and "tf32" in precisions:
        raise UserError("--precisions: tf32 is of CUDA devices, and this is a CPU")
    effort = Effort(asked.steps, asked.warmup, asked.budget)
    results = []
    work = _Work(task, arguments, asked, keeps=device.type != "cpu" and len(precisions) > 1)
    for precision in precisions:
        print(f"measuring {precision} ...", file=sys.stderr, flush=True)
        model, batches = work.fresh()
        results.append(measure(model, batches, precision, device, effort, work.clip_norm))
        del model, batches  # two large models need not fit at once
    about = _about(asked, device)
    print(_headline(about, results[0].parameters))
    print(_table(results))
    if report is not None:
        rows = [{**asdict(row), "share_of_ceiling": row.share_of_ceiling} for row in results]
        report.write_text(json.dumps({**about, "results": rows}, indent=2) + "\n", encoding="utf-8")
    return 0


def _parser(task: TaskInfo) -> argparse.ArgumentParser:
    parser = VerbParser(
        prog=f"lightning run {task.name} bench",
        description="Time real training steps (forward, loss, backward, optimizer; no augmentation, no logging) "
        "against the machine's own matrix product. Keys of the config may follow: --model.init_args...",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--config", "-c", action="append", metavar="NAME", help="a packaged config or a YAML file")
    parser.add_argument("--precisions", default="32,bf16", help=f"comma-separated: {NAMES}")
    parser.add_argument(
        "--data", choices=["synthetic", "config"], default="synthetic", help="noise, or the config's training data"
    )
    parser.add_argument("--batch", type=_positive(int), default=8, help="examples in a synthetic batch")
    parser.add_argument("--seconds", type=_positive(float), default=10.0, help="length of its longest example")
    parser.add_argument("--steps", type=_positive(int), default=20, help="the most steps to time")
    parser.add_argument("--warmup", type=_positive(int), default=2, help="steps before")
    parser.add_argument("--budget", type=_positive(float), default=15.0, help="seconds after which no step begins")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="where to train")
    parser.add_argument("--json", metavar="FILE", help="write everything known to this file too")
    return parser


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def parse(text: str) -> float:
        value = kind(text)
        if value <= 0:
            raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
        return value

    parse.__name__ = kind.__name__
    return parse


def _precisions(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in PRECISIONS:
            raise UserError(f"--precisions: '{name}' is none of {NAMES}")
    if not names:
        raise UserError(f"--precisions: expected at least one of {NAMES}")
    return list(dict.fromkeys(PRECISIONS[name] for name in names))


def _device(name: str) -> Any:
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: this machine has no CUDA device that torch can use")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


class _Work:
    """What is measured: a model and batches, the same for every precision.

    Args:
        task: whose.
        arguments: configs and keys.
        asked: the options.
        keeps: whether a built model is kept on the host and copied, which takes memory there and saves time.
    """

    def __init__(self, task: TaskInfo, arguments: list[str], asked: argparse.Namespace, keeps: bool) -> None:
        self._task, self._arguments, self._asked, self._keeps = task, arguments, asked, keeps
        self._built: Task | None = None
        self._parsed = self._parse()
        config = self._parsed.config
        self._model: Any = config["model"]
        self._callbacks: Any = config.get("trainer.callbacks")
        self.clip_norm: float | None = config.get("trainer.gradient_clip_val")

    def fresh(self) -> tuple[Task, Iterable[Any]]:
        """The config's task, as built, and batches for it."""
        model, batches = self._with_data() if self._asked.data == "config" else self._synthetic()
        for compiling in _compilings(self._callbacks):
            compiling.compile(model)
        return model, batches

    def _synthetic(self) -> tuple[Task, Iterable[Any]]:
        model = self._built or self._build()
        if self._keeps:
            self._built, model = model, copy.deepcopy(model)
        return model, [model.bench_batch(self._asked.seconds, self._asked.batch)]

    def _build(self) -> Task:
        import torch

        from s2s_core.checkpoint import build_task

        torch.manual_seed(0)
        return build_task(self._model.as_dict(), "config")

    def _with_data(self) -> tuple[Task, Iterable[Any]]:
        import torch

        torch.manual_seed(0)
        cli, self._parsed = self._parsed or self._parse(), None  # data modules serve one run
        cli.build()
        cli.trainer.strategy.connect(cli.model)  # the data module asks its trainer's model for the tokenizer
        cli.datamodule.trainer = cli.trainer
        cli.datamodule.prepare_data()
        cli.datamodule.setup("fit")
        return cli.model, cli.datamodule.train_dataloader()

    def _parse(self) -> Any:
        from s2s_core.cli.lightning_cli import TaskCLI

        class BenchCLI(TaskCLI):
            """Builds nothing by itself."""

            def instantiate_classes(self) -> None:
                pass

            def build(self) -> None:
                super().instantiate_classes()

        return BenchCLI(self._task, self._arguments, trains=False)


def _compilings(callbacks: Any) -> list[Any]:
    """The config's callbacks that compile parts of the model, built; `torch.compile` changes what a step costs."""
    from s2s_core.compiling import Compile

    path = f"{Compile.__module__}.{Compile.__qualname__}"
    listed = callbacks if isinstance(callbacks, list) else [callbacks] if callbacks else []
    return [Compile(**c["init_args"].as_dict()) for c in listed if c["class_path"] == path]


def _about(asked: argparse.Namespace, device: Any) -> dict[str, Any]:
    import torch

    on_gpu = device.type == "cuda"
    return {
        "config": asked.config,
        "device": torch.cuda.get_device_name(device) if on_gpu else "CPU",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "data": f"synthetic, {asked.batch} x {asked.seconds:g} s" if asked.data == "synthetic" else "of the config",
    }


def _headline(about: dict[str, Any], parameters: int) -> str:
    return (
        f"{' + '.join(about['config'])}: {parameters / 1e6:.1f} M parameters; data {about['data']}; "
        f"{about['device']}, {about['threads']} threads, torch {about['torch']}"
    )


def _table(results: list[Measurement]) -> str:
    rows: list[tuple[str, Callable[[Measurement], str]]] = [
        ("steps/s", lambda m: f"{m.steps_per_s:.3g}"),
        *((f"{unit}/s", lambda m, unit=unit: f"{m.units_per_s[unit]:.4g}") for unit in results[0].units_per_s),
        ("padding", lambda m: f"{100 * m.padding:.1f} %"),
        ("waiting for data", lambda m: f"{100 * m.waiting:.1f} %"),
        ("peak memory, GB", lambda m: f"{m.peak_memory_bytes / 1e9:.2f}"),
        ("GFLOP/step", lambda m: f"{m.flops_per_step / 1e9:.4g}"),
        ("GFLOP/s", lambda m: f"{m.flops_per_s / 1e9:.4g}"),
        ("matrix product, GFLOP/s", lambda m: f"{m.ceiling_flops_per_s / 1e9:.4g}"),
        ("of the matrix product", lambda m: f"{100 * m.share_of_ceiling:.0f} %"),
    ]
    cells = [["", *(m.precision for m in results)], *([name, *(show(m) for m in results)] for name, show in rows)]
    first, width = max(len(row[0]) for row in cells), max(len(cell) for row in cells for cell in row[1:])
    return "\n".join(row[0].ljust(first) + "".join(f"  {cell:>{width}}" for cell in row[1:]) for row in cells)
