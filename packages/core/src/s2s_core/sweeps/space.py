"""What a sweep searches: the values and distributions of Weights & Biases' sweep format, drawn on this machine.

Numbers are drawn as https://docs.wandb.ai/guides/sweeps/sweep-config-keys describes each distribution. torch and numpy
are not needed, so a dry run answers at once.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from s2s_core.errors import UserError

LISTS = {"constant": ("value",), "categorical": ("values",), "categorical_w_probabilities": ("values", "probabilities")}
DRAWS: dict[str, Callable[[random.Random, Mapping[str, Any]], float]] = {
    "int_uniform": lambda rng, p: rng.randint(int(p["min"]), int(p["max"])),
    "uniform": lambda rng, p: rng.uniform(p["min"], p["max"]),
    "log_uniform": lambda rng, p: math.exp(rng.uniform(p["min"], p["max"])),
    "log_uniform_values": lambda rng, p: math.exp(rng.uniform(math.log(p["min"]), math.log(p["max"]))),
    "inv_log_uniform": lambda rng, p: math.exp(-rng.uniform(p["min"], p["max"])),
    "inv_log_uniform_values": lambda rng, p: math.exp(-rng.uniform(-math.log(p["max"]), -math.log(p["min"]))),
    "normal": lambda rng, p: rng.gauss(p.get("mu", 0.0), p.get("sigma", 1.0)),
    "log_normal": lambda rng, p: rng.lognormvariate(p.get("mu", 0.0), p.get("sigma", 1.0)),
    "beta": lambda rng, p: rng.betavariate(p.get("a", 1.0), p.get("b", 1.0)),
}
"""A draw of each continuous distribution from its settings; ``q_NAME`` is the same, rounded to multiples of ``q``."""
QUANTISED = ("uniform", "log_uniform", "log_uniform_values", "normal", "log_normal", "beta")
BOUNDED = {"int_uniform", "uniform", "log_uniform", "log_uniform_values", "inv_log_uniform", "inv_log_uniform_values"}
LARGEST_EXPONENT = 700
"""Of e: a double ends at 709."""
NUMBERS = ("min", "max", "mu", "sigma", "q", "a", "b")


@dataclass(frozen=True)
class Parameter:
    """One searched key of the config.

    Args:
        key: dotted, as on the command line without its hyphens.
        distribution: how its values are drawn.
        settings: as in the YAML.
    """

    key: str
    distribution: str
    settings: Mapping[str, Any]

    def draw(self, rng: random.Random) -> Any:
        """One value."""
        if self.distribution in LISTS:
            values = self._listed()
            return rng.choices(values, self.settings.get("probabilities"))[0]
        name = self.distribution
        if not name.startswith("q_"):
            return DRAWS[name](rng, self.settings)
        step = self.settings.get("q", 1)
        rounded = round(DRAWS[name.removeprefix("q_")](rng, self.settings) / step) * step
        return rounded if isinstance(step, int) else float(rounded)

    def grid(self) -> list[Any]:
        """All its values.

        Raises:
            UserError: if it has no end of them.
        """
        if self.distribution in LISTS:
            return self._listed()
        if self.distribution == "int_uniform":
            return list(range(int(self.settings["min"]), int(self.settings["max"]) + 1))
        if self.distribution == "q_uniform":
            step, low, high = self.settings.get("q", 1), self.settings["min"], self.settings["max"]
            return [low + step * i for i in range(int((high - low) / step + 1e-9) + 1)]
        raise UserError(
            f"parameters.{self.key}: a grid needs values, a value, or int_uniform; {self.distribution} has no end"
        )

    def ends(self) -> list[Any]:
        """Values between which all others lie, or all of a list: what has to be right if every draw is to be."""
        if self.distribution in LISTS:
            return self._listed()
        base = self.distribution.removeprefix("q_")
        if base not in BOUNDED:
            return [self.draw(random.Random(0))]
        low, high = self.settings["min"], self.settings["max"]
        if base == "log_uniform":
            return [math.exp(low), math.exp(high)]
        return [math.exp(-high), math.exp(-low)] if base == "inv_log_uniform" else [low, high]

    def _listed(self) -> list[Any]:
        return [self.settings["value"]] if self.distribution == "constant" else list(self.settings["values"])


def read_parameter(key: str, settings: Any) -> Parameter:
    """Read one entry of ``parameters``.

    Raises:
        UserError: naming the parameter, if it is none of W&B's forms.
    """
    where = f"parameters.{key}"
    if not isinstance(settings, dict):
        raise UserError(f"{where}: expected value, values, or min and max; got {settings!r}")
    if "parameters" in settings:
        raise UserError(f"{where}: nested parameters cannot become options; write each as one dotted key")
    name = settings.get("distribution") or _implied(where, settings)
    known = [*LISTS, *DRAWS, *(f"q_{each}" for each in QUANTISED)]
    if name not in known:
        near = get_close_matches(str(name), known, n=1)
        raise UserError(
            f"{where}: distribution '{name}' is none of W&B's" + f"; did you mean '{near[0]}'?" * bool(near)
        )
    if name == "categorical" and "probabilities" in settings:
        name = "categorical_w_probabilities"
    wanted = LISTS.get(name) or (("min", "max") if name.removeprefix("q_") in BOUNDED else ())
    for setting in wanted:
        if setting not in settings:
            raise UserError(f"{where}: {name} needs {setting}")
    _check_settings(where, name, settings)
    return Parameter(key, name, settings)


def _implied(where: str, settings: Mapping[str, Any]) -> str:
    if "value" in settings:
        return "constant"
    if "values" in settings:
        return "categorical"
    if "min" in settings and "max" in settings:
        bounds = (settings["min"], settings["max"])
        if all(isinstance(bound, int) for bound in bounds):
            return "int_uniform"
        if all(isinstance(bound, float) for bound in bounds):
            return "uniform"
        raise UserError(f"{where}: min {bounds[0]} and max {bounds[1]}: expected two whole numbers or two with a point")
    raise UserError(f"{where}: expected value, values, or min and max; got {', '.join(settings) or 'nothing'}")


def _check_settings(where: str, name: str, settings: Mapping[str, Any]) -> None:
    known = ("distribution", "value", "values", "probabilities", *NUMBERS)
    for setting, value in settings.items():
        if setting not in known:
            raise UserError(f"{where}: unknown setting '{setting}'; known are {', '.join(known)}")
        if setting in NUMBERS and (isinstance(value, bool) or not isinstance(value, int | float)):
            hint = " (YAML reads 1e-4 as text: write 1.0e-4)" if isinstance(value, str) else ""
            raise UserError(f"{where}.{setting}: expected a number, got {value!r}{hint}")
    if "values" in settings and (not isinstance(settings["values"], list) or not settings["values"]):
        raise UserError(f"{where}.values: expected a list with an entry at least, got {settings['values']!r}")
    if "probabilities" in settings and not _are_weights(settings["probabilities"], settings.get("values")):
        raise UserError(f"{where}.probabilities: expected one for each of values, 1 together")
    if name not in LISTS and "min" in settings and "max" in settings:
        low, high = settings["min"], settings["max"]
        if low >= high:
            raise UserError(f"{where}: min {low} is not below max {high}")
        if name.endswith("_values") and low <= 0:
            raise UserError(f"{where}.min: {name} needs values above 0, got {low}")
        if name.endswith("log_uniform") and max(abs(low), abs(high)) > LARGEST_EXPONENT:
            raise UserError(f"{where}: min and max are exponents of e; for values write {name}_values")
    for setting in ("a", "b"):
        if settings.get(setting, 1) <= 0:
            raise UserError(f"{where}.{setting}: expected a number above 0, got {settings[setting]}")
    if settings.get("q", 1) <= 0:
        raise UserError(f"{where}.q: expected a number above 0, got {settings['q']}")


def _are_weights(weights: Any, values: Any) -> bool:
    if not isinstance(weights, list) or not isinstance(values, list) or len(weights) != len(values):
        return False
    return all(isinstance(weight, int | float) for weight in weights) and math.isclose(sum(weights), 1.0)


def grid(parameters: list[Parameter]) -> Iterator[dict[str, Any]]:
    """Every combination, the last parameter changing fastest."""
    for values in itertools.product(*(parameter.grid() for parameter in parameters)):
        yield {parameter.key: value for parameter, value in zip(parameters, values, strict=True)}


def grid_size(parameters: list[Parameter]) -> int:
    """How many combinations there are."""
    return math.prod(len(parameter.grid()) for parameter in parameters)


def draws(parameters: list[Parameter], seed: int) -> Iterator[dict[str, Any]]:
    """Random combinations without end; the n-th depends on the seed and n only, so a sweep can be lengthened."""
    for number in itertools.count(1):
        rng = random.Random(f"{seed}/{number}")
        yield {parameter.key: parameter.draw(rng) for parameter in parameters}
