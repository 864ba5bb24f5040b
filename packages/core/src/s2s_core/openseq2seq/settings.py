"""The settings that every model of OpenSeq2Seq shares, as keys of this toolkit's config."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from s2s_core.errors import UserError
from s2s_core.openseq2seq.python_config import Name

TASKS = {
    "Speech2Text": "asr",
    "Text2SpeechTacotron": "tts",
    "Text2SpeechCentaur": "tts",
    "Text2SpeechWavenet": "vocoder",
    "Text2Text": "nmt",
    "LSTMLM": "lm sentiment",
    "Image2Label": "images commands",
}
"""The tasks here that a model of there may be."""
SECTIONS = ("base_params", "train_params", "eval_params", "infer_params")


@dataclass
class Old:
    """An old config while it is converted: what is taken from it, and what is left over.

    Args:
        base_model: the class, ``Speech2Text``.
        params: ``base_params`` with those of training on top.
        evaluation, inference: those of ``eval_params`` and of ``infer_params`` alone.
        notes: remarks for the user, one a line.
        taken: the first-level settings that are converted.
        skipped: settings of the old framework alone, which are told together.
    """

    base_model: str
    params: dict[str, Any]
    evaluation: dict[str, Any]
    inference: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    skipped: list[str] = field(default_factory=list)

    def take(self, key: str, default: Any = None) -> Any:
        """A first-level setting; it counts as converted."""
        self.taken.add(key)
        return self.params.get(key, default)

    def number(self, key: str) -> Any:
        """A first-level number, or None.

        Raises:
            UserError: if it is a name that stands for nothing.
        """
        value = self.take(key)
        if isinstance(value, Name):
            raise UserError(f"{key}: '{value}' is not assigned in the file")
        return value

    def part(self, key: str) -> str:
        """The class that a setting names, without its module."""
        value = self.take(key)
        return value.last if isinstance(value, Name) else str(value)

    def skip(self, *keys: str) -> None:
        """First-level settings that mean nothing here, unless they are taken."""
        self.skipped += [key for key in keys if self.params.get(key) is not None and key not in self.taken]
        self.taken.update(keys)

    def options(self, key: str) -> Options:
        """The settings of a part, ``encoder_params``; those left over are told at the end."""
        self.taken.add(key)
        return Options(key, dict(self.params.get(key) or {}), self)

    def files(self, section: str = "train") -> list[str]:
        """What ``dataset_files`` names for training (the base's merged), ``eval`` or ``infer``."""
        chosen = {"train": self.params, "eval": self.evaluation, "infer": self.inference}[section]
        return [str(name) for name in (chosen.get("data_layer_params") or {}).get("dataset_files") or []]


class Options:
    """Settings of one part; whatever is not taken becomes a note."""

    def __init__(self, where: str, values: dict[str, Any], old: Old) -> None:
        self._where, self._values, self._old = where, values, old

    def take(self, key: str, default: Any = None) -> Any:
        return self._values.pop(key, default)

    def drop(self, key: str, default: float = 1.0) -> float:
        """The drop probability of a probability to keep."""
        return round(1 - self._values.pop(key, default), 6)

    def expect(self, key: str, usual: Any, instead: str) -> None:
        """Drop a setting that has one meaning here; any other value is told, with what happens instead."""
        value = self._values.pop(key, usual)
        if value != usual:
            self.tell(key, value, instead)

    def tell(self, key: str, value: Any, instead: str) -> None:
        """Note what happens here instead of what a setting asked for."""
        self._old.notes.append(f"{self._where}.{key} = {_short(value)}: {instead}")

    def skip(self, *keys: str) -> None:
        """Settings that mean nothing here: of the old framework alone, or always so."""
        self._old.skipped += [f"{self._where}.{key}" for key in keys if self._values.pop(key, None) is not None]

    def options(self, key: str) -> Options:
        """The settings of a part of this part."""
        return Options(f"{self._where}.{key}", dict(self.take(key) or {}), self._old)

    def finish(self) -> None:
        for key, value in self._values.items():
            self._old.notes.append(f"{self._where}.{key} = {_short(value)}: not converted")


def configured(class_path: str, **init_args: Any) -> dict[str, Any]:
    """A part as configs write it; arguments that are None are left to their defaults."""
    kept = {key: value for key, value in init_args.items() if value is not None}
    return {"class_path": class_path, **({"init_args": kept} if kept else {})}


def old_config(variables: dict[str, Any], source: str) -> Old:
    """Merge the sections of an old config as its ``train`` mode did.

    Raises:
        UserError: if it is no config of OpenSeq2Seq.
    """
    base = variables.get("base_params")
    if not isinstance(base, dict):
        raise UserError(f"{source}: expected an OpenSeq2Seq config, with a dict base_params")
    model = variables.get("base_model")
    name = model.last if isinstance(model, Name) else str(model or "")
    sections = {key: variables.get(key) or {} for key in SECTIONS[1:]}
    for key, value in sections.items():
        if not isinstance(value, dict):
            raise UserError(f"{source}: {key}: expected a dict, found {_short(value)}")
    old = Old(name, _merged(base, sections["train_params"]), sections["eval_params"], sections["infer_params"])
    if isinstance(model, Name) and "lambda" in model.path:
        raise UserError(f"{source}: base_model: expected a class, found {model}")
    return old


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {**base}
    for key, value in over.items():
        nested = isinstance(value, dict) and isinstance(both.get(key), dict)
        both[key] = _merged(both[key], value) if nested else value
    return both


def trainer(old: Old) -> dict[str, Any]:
    """Length, devices, clipping, accumulation and precision as the trainer's keys."""
    found: dict[str, Any] = {}
    epochs, steps = old.number("num_epochs"), old.number("max_steps")
    if epochs is not None:
        found["max_epochs"] = int(epochs)
    if steps is not None:
        found["max_steps"] = int(steps)
    horovod, gpus = old.take("use_horovod", False), old.number("num_gpus")
    old.take("gpu_ids")
    found["devices"] = "auto" if horovod or (gpus or 1) > 1 else 1
    if (norm := old.number("max_grad_norm")) is not None:
        found["gradient_clip_val"] = float(norm)
    if (old.number("iter_size") or 1) > 1:
        found["accumulate_grad_batches"] = int(old.params["iter_size"])
    if (steps := old.number("eval_steps")) is not None:
        found |= {"val_check_interval": int(steps), "check_val_every_n_epoch": None}
    if (steps := old.number("save_summaries_steps") or old.number("print_loss_steps")) is not None:
        found["log_every_n_steps"] = int(steps)
    old.skip("print_loss_steps", "print_samples_steps", "print_bench_info_steps", "bench_start", "logdir", "hooks")
    old.skip("summaries", "save_checkpoint_steps", "num_checkpoints", "restore_best_checkpoint", "use_xla_jit")
    found |= _precision(old)
    return found


def _precision(old: Old) -> dict[str, Any]:
    kind = old.part("dtype") if old.params.get("dtype") is not None else "float32"
    old.take("dtype")
    scaling = old.take("loss_scaling")
    options = old.options("loss_scaling_params")
    options.finish()
    if kind not in ("mixed", "float16"):
        return {}
    scaler: dict[str, Any] = {"class_path": "s2s_core.precision.loss_scale.Backoff"}
    if scaling == "LogMax":
        scaler = {"class_path": "s2s_core.precision.loss_scale.LogMax"}
    elif isinstance(scaling, int | float):
        scaler = {"class_path": "s2s_core.precision.loss_scale.StaticScale", "init_args": {"scale": float(scaling)}}
    plugin = {"class_path": "s2s_core.precision.master_weights.MasterWeightsPrecision"}
    return {"precision": None, "plugins": [{**plugin, "init_args": {"dtype": "fp16", "loss_scale": scaler}}]}


def leftovers(old: Old) -> list[str]:
    """Notes on the settings that nothing has taken, the last on those that mean nothing here."""
    old.skip("initializer", "initializer_params", "load_model", "finetune", "eval_batch_size_per_gpu")
    old.skip("save_to_tensorboard", "use_trt", *(key for key in old.params if key.startswith("trt_")))
    notes = [f"{key} = {_short(value)}: not converted" for key, value in old.params.items() if key not in old.taken]
    return [*notes, f"without a counterpart, left out: {', '.join(old.skipped)}"] if old.skipped else notes


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
