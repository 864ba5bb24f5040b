"""LightningCLI with this toolkit's defaults: packaged configs, run folders, one-line errors, safe checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI, SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.plugins.precision import HalfPrecision

from s2s_core import trust
from s2s_core.checkpoint import AtomicCheckpointIO
from s2s_core.cli.explain import explain
from s2s_core.cli.parsing import parse_checked
from s2s_core.cli.progress import RunProgress
from s2s_core.cli.tasks import TaskInfo, load_object
from s2s_core.cli.throughput import Throughput
from s2s_core.errors import UserError
from s2s_core.precision.report import PrecisionReport
from s2s_core.tracking.machine import write_machine
from s2s_core.tracking.weights_and_biases import WandbRun, log_setting, wandb_logger

DEFAULT_SEED = 1
RUN_CONFIG = "config.yaml"


class LastCheckpoint(ModelCheckpoint):
    """The state of the run as of a moment ago and at its end, for going on from there; see `ModelCheckpoint`."""

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        last_epoch = trainer.max_epochs is not None and trainer.current_epoch + 1 == trainer.max_epochs
        ends = 0 < trainer.max_steps <= trainer.global_step or (last_epoch and trainer.is_last_batch)
        # not in on_train_end: by then weight averaging has overwritten the weights that training goes on from
        if ends and self._last_global_step_saved != trainer.global_step:
            self._save_topk_checkpoint(trainer, self._monitor_candidates(trainer))


class SaveRunConfig(SaveConfigCallback):
    """Writes the whole parsed config to the run folder, so that the run can be repeated from it; and the machine."""

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        folder = Path(trainer.default_root_dir)
        folder.mkdir(parents=True, exist_ok=True)
        # with nulls: left out, they would come back as defaults
        self.parser.save(self.config, str(folder / RUN_CONFIG), skip_unset=False, overwrite=True, multifile=False)
        log_setting(trainer.loggers, write_machine(folder), folder / RUN_CONFIG)


class TaskCLI(LightningCLI):
    """Parses a task's arguments and builds its model, data and trainer.

    Args:
        task: whose model and data to build.
        arguments: what the user typed after the verb, config names already resolved to files.
        trains: whether a run folder with checkpoints and logs is written.
    """

    def __init__(self, task: TaskInfo, arguments: list[str], trains: bool) -> None:
        self.task = task
        self.trains = trains
        trust.allow_task(task)
        with trust.enforced():
            super().__init__(
                model_class=load_object(task.model),
                datamodule_class=load_object(task.data),
                save_config_callback=SaveRunConfig if trains else None,
                save_config_kwargs={"save_to_log_dir": False},
                trainer_defaults={"use_distributed_sampler": False, "enable_model_summary": False},
                seed_everything_default=DEFAULT_SEED,
                parser_kwargs={"exit_on_error": False, "allow_abbrev": False},
                subclass_mode_model=True,
                subclass_mode_data=True,
                args=arguments,
                run=False,
                auto_configure_optimizers=False,
                load_from_checkpoint_support=False,  # parts describe themselves, see s2s_core.part
            )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--ckpt_path", type=str | None, default=None, help="a checkpoint, or 'last'")
        if not self.trains:
            return
        parser.add_argument("--output", type=str | None, default=None, help="the run's folder; runs/NAME by default")
        parser.add_argument(
            "--init_from", type=str | None, default=None, help="a checkpoint whose weights to start from"
        )
        parser.add_argument(
            "--logger",
            type=Literal["files", "wandb"],
            default="files",
            help="TensorBoard and CSV in the run folder, or Weights & Biases beside them",
        )
        parser.add_class_arguments(WandbRun, "wandb")
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.add_lightning_class_args(LastCheckpoint, "last")
        model = load_object(self.task.model)
        parser.set_defaults(
            {
                "checkpoint.monitor": model.monitor,
                "checkpoint.mode": model.monitor_mode,
                "checkpoint.filename": "best",
                "checkpoint.enable_version_counter": False,
                "last.filename": "last",
                "last.enable_version_counter": False,
                "last.every_n_train_steps": 200,
                "last.save_on_train_epoch_end": False,
            }
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        self.config = parse_checked(parser, args)

    def before_instantiate_classes(self) -> None:
        if not self.trains:
            return
        folder = self.run_folder
        for key in ("checkpoint", "last"):
            self.config[key]["dirpath"] = self.config[key]["dirpath"] or str(folder / "checkpoints")

    @property
    def run_folder(self) -> Path:
        """Where the run's checkpoints, logs and config go."""
        return Path(self.config["output"])

    def instantiate_classes(self) -> None:
        try:
            super().instantiate_classes()
        except (ValueError, TypeError, MisconfigurationException) as error:
            raise UserError(explain(str(error), [])) from error

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        config = self.config_init["trainer"]
        plugins = config.get("plugins") or []
        plugins = list(plugins) if isinstance(plugins, list | tuple) else [plugins]
        if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
            plugins.append(AtomicCheckpointIO())
        kwargs["plugins"] = plugins
        callbacks = config.get("callbacks") or []
        kwargs["callbacks"] = [*(callbacks if isinstance(callbacks, list) else [callbacks]), RunProgress()]
        if self.trains:
            kwargs["callbacks"] += [Throughput(), PrecisionReport()]
            kwargs["default_root_dir"] = str(self.run_folder)
            if config.get("logger") in (None, True):
                folder = self.run_folder
                kwargs["logger"] = [TensorBoardLogger(folder, name="tensorboard"), CSVLogger(folder, name="csv")]
                if self.config_init["logger"] == "wandb":
                    kwargs["logger"].append(wandb_logger(self.config_init["wandb"], self.task.name, folder))
        elif config.get("logger") is None:
            kwargs["logger"] = False
        return with_float32_weights(super().instantiate_trainer(**kwargs))


def with_float32_weights(trainer: Trainer) -> Trainer:
    """The trainer, if it keeps the weights in float32 somewhere.

    Raises:
        UserError: if half-precision weights are all there is, as ``precision: bf16-true`` asks for.
    """
    plugin = trainer.precision_plugin
    if isinstance(plugin, HalfPrecision):
        half = "bf16" if plugin.precision == "bf16-true" else "fp16"
        raise UserError(
            f"trainer.precision {plugin.precision}: such weights lose small updates; --config overlays/{half}-master "
            f"computes in {half} and keeps the weights in float32, --config overlays/{half}-mixed uses autocast"
        )
    return trainer
