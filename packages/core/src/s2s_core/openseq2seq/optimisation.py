"""How OpenSeq2Seq's models were optimised, as parts of this toolkit: optimizers, schedules, LARC, regularizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from s2s_core.errors import UserError
from s2s_core.openseq2seq.settings import Old, Options

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


def rules_of_training(old: Old) -> dict[str, Any]:
    """Optimizer, schedule, LARC and regularizer, as arguments of a task."""
    found = schedule(old)
    return {"optimizer": optimizer(old), **({"schedule": found} if found else {}), **gradient_rules(old)}


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
    if path.endswith("NovoGrad"):
        old.notes.append("NovoGrad: second_moment_ema: false does as OpenSeq2Seq, which never averaged the moment")
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
        "inv_poly_decay": _inverse_polynomial,
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
    options.skip("dtype")
    names = ("d_model", "warmup_steps", "max_lr", "coefficient")
    return _part("Noam", **{key: options.take(key) for key in names})


def _inverse_polynomial(options: Options, old: Old) -> dict[str, Any]:
    options.skip("begin_decay_at", "warmup_steps")  # ignored there, too
    names = ("decay_steps", "power", "min_lr")
    return _part("InversePolynomial", **{key: options.take(key) for key in names})


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
