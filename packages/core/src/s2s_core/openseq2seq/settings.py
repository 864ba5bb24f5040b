"""The settings that every model of OpenSeq2Seq shares, as keys of this toolkit's config."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from s2s_core.errors import UserError
from s2s_core.openseq2seq.python_config import Name

OPTIMIZERS = {
    "Momentum": "torch.optim.SGD",
    "MomentumOptimizer": "torch.optim.SGD",
    "SGD": "torch.optim.SGD",
    "Adam": "torch.optim.Adam",
    "AdamOptimizer": "torch.optim.Adam",
    "LazyAdamOptimizer": "torch.optim.Adam",
    "AdamW": "torch.optim.AdamW",
    "Adagrad": "torch.optim.Adagrad",
    "RMSProp": "torch.optim.RMSprop",
    "NovoGrad": "s2s_core.optim.novograd.NovoGrad",
}
SECTIONS = ("base_params", "train_params", "eval_params", "infer_params")


@dataclass
class Old:
    """An old config while it is converted: what is taken from it, and what is left over.

    Args:
        base_model: the class, ``Speech2Text``.
        params: ``base_params`` with those of training on top.
        evaluation: those of ``eval_params`` alone.
        notes: remarks for the user, one a line.
        taken: the first-level settings that are converted.
        skipped: settings of the old framework alone, which are told together.
    """

    base_model: str
    params: dict[str, Any]
    evaluation: dict[str, Any]
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


class Options:
    """Settings of one part; whatever is not taken becomes a note."""

    def __init__(self, where: str, values: dict[str, Any], old: Old) -> None:
        self._where, self._values, self._old = where, values, old

    def take(self, key: str, default: Any = None) -> Any:
        return self._values.pop(key, default)

    def skip(self, *keys: str) -> None:
        """Settings that mean nothing here: of the old framework alone, or always so."""
        self._old.skipped += [f"{self._where}.{key}" for key in keys if self._values.pop(key, None) is not None]

    def options(self, key: str) -> Options:
        """The settings of a part of this part."""
        return Options(f"{self._where}.{key}", dict(self.take(key) or {}), self._old)

    def finish(self) -> None:
        for key, value in self._values.items():
            self._old.notes.append(f"{self._where}.{key} = {_short(value)}: not converted")


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
    old = Old(name, _merged(base, sections["train_params"]), sections["eval_params"])
    if isinstance(model, Name) and "lambda" in model.path:
        raise UserError(f"{source}: base_model: expected a class, found {model}")
    return old


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {**base}
    for key, value in over.items():
        nested = isinstance(value, dict) and isinstance(both.get(key), dict)
        both[key] = _merged(both[key], value) if nested else value
    return both


def optimizer(old: Old) -> dict[str, Any]:
    """``optimizer``, ``optimizer_params`` and the rate of ``lr_policy_params`` as the optimizer part."""
    name = old.part("optimizer")
    options = old.options("optimizer_params")
    init_args: dict[str, Any] = {"lr": _rate(old)}
    if name not in OPTIMIZERS:
        raise UserError(f"optimizer {name}: has no counterpart; known are {', '.join(sorted(OPTIMIZERS))}")
    path = OPTIMIZERS[name]
    if path.endswith("SGD"):
        init_args["momentum"] = options.take("momentum", 0.0)
    elif "Adam" in path or path.endswith("NovoGrad"):
        defaults = (0.95, 0.98) if path.endswith("NovoGrad") else (0.9, 0.999)
        init_args["betas"] = [options.take("beta1", defaults[0]), options.take("beta2", defaults[1])]
        init_args["eps"] = float(options.take("epsilon", 1e-8))
    if path.endswith(("NovoGrad", "AdamW")):
        init_args["weight_decay"] = options.take("weight_decay", 0.0)
    if path.endswith("NovoGrad"):
        init_args["grad_averaging"] = options.take("grad_averaging", False)
    if path.endswith("RMSprop"):
        init_args |= {"alpha": options.take("decay", 0.9), "momentum": options.take("momentum", 0.0)}
    if name == "LazyAdamOptimizer":
        old.notes.append("LazyAdamOptimizer updates rows of embeddings only where they occur; Adam here updates all")
    options.finish()
    return {"class_path": path, "init_args": init_args}


def _rate(old: Old) -> float:
    """The learning rate, which old configs keep with the schedule."""
    return float((old.params.get("lr_policy_params") or {}).get("learning_rate", 0.001))


def schedule(old: Old) -> dict[str, Any] | None:
    """``lr_policy`` and ``lr_policy_params`` as the schedule part.

    Raises:
        UserError: if the policy is unknown.
    """
    name = old.part("lr_policy")
    options = old.options("lr_policy_params")
    options.take("learning_rate")  # the optimizer's here
    makers: dict[str, Callable[[Options, Old], dict[str, Any]]] = {
        "poly_decay": _polynomial,
        "cosine_decay": _cosine,
        "exp_decay": _exponential,
        "transformer_policy": _noam,
        "piecewise_constant": _piecewise,
    }
    if name in ("fixed_lr", "None"):
        options.finish()
        return None
    if name not in makers:
        raise UserError(f"lr_policy {name}: has no counterpart; known are fixed_lr, {', '.join(makers)}")
    found = makers[name](options, old)
    options.finish()
    return found


def _part(name: str, **init_args: Any) -> dict[str, Any]:
    kept = {key: value for key, value in init_args.items() if value is not None}
    return {"class_path": f"s2s_core.optim.schedules.{name}", "init_args": kept}


def _polynomial(options: Options, old: Old) -> dict[str, Any]:
    return _part(
        "Polynomial",
        power=float(options.take("power", 1.0)),
        min_lr=float(options.take("min_lr", 0.0)),
        warmup_steps=options.take("warmup_steps"),
        decay_steps=options.take("decay_steps"),
        begin_decay_at=options.take("begin_decay_at"),
    )


def _cosine(options: Options, old: Old) -> dict[str, Any]:
    share = float(options.take("min_lr", 0.0))  # of the rate, there; absolute, here
    names = ("warmup_steps", "decay_steps", "begin_decay_at")
    return _part("Cosine", min_lr=share * _rate(old), **{key: options.take(key) for key in names})


def _exponential(options: Options, old: Old) -> dict[str, Any]:
    return _part(
        "Exponential",
        decay_steps=options.take("decay_steps"),
        decay_rate=options.take("decay_rate"),
        staircase=options.take("use_staircase_decay", True),
        begin_decay_at=options.take("begin_decay_at"),
        min_lr=float(options.take("min_lr", 0.0)),
    )


def _noam(options: Options, old: Old) -> dict[str, Any]:
    options.skip("coefficient", "dtype")
    return _part("Noam", d_model=options.take("d_model"), warmup_steps=options.take("warmup_steps"))


def _piecewise(options: Options, old: Old) -> dict[str, Any]:
    if "num_epochs" in old.params:
        old.notes.append("lr_policy_params.boundaries: were epochs; write them in steps")
    options.skip("steps_per_epoch")
    return _part("Piecewise", boundaries=options.take("boundaries"), decay_rates=options.take("decay_rates"))


def gradient_rules(old: Old) -> dict[str, Any]:
    """``larc_params`` and ``regularizer``, which are arguments of every task."""
    found: dict[str, Any] = {}
    if old.params.get("larc_params"):
        options = old.options("larc_params")
        names = {"eta": "larc_eta", "mode": "larc_mode", "min_update": "min_update", "epsilon": "epsilon"}
        init_args = {name: value for name, key in names.items() if (value := options.take(key)) is not None}
        options.finish()
        found["larc"] = {"class_path": "s2s_core.optim.larc.Larc", "init_args": init_args}
    if old.params.get("regularizer") is not None:
        name = old.part("regularizer")
        options = old.options("regularizer_params")
        scale = options.take("scale", 0.0)
        options.finish()
        if name == "l2_regularizer":
            path = "s2s_core.precision.regularizer.L2Regularizer"
            found["regularizer"] = {"class_path": path, "init_args": {"scale": float(scale)}}
        else:
            old.notes.append(f"regularizer = {name}: has no counterpart; left out")
    old.take("regularizer_params")
    return found


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
    old.skip("use_trt", *(key for key in old.params if key.startswith("trt_")))
    notes = [f"{key} = {_short(value)}: not converted" for key, value in old.params.items() if key not in old.taken]
    return [*notes, f"without a counterpart, left out: {', '.join(old.skipped)}"] if old.skipped else notes


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
