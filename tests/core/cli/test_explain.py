import sys
from typing import Literal

import pytest
from jsonargparse import ArgumentError, ArgumentParser

from s2s_core.audio.features import Features
from s2s_core.cli.explain import explain
from s2s_core.optim.schedules import Schedule


class Model:
    def __init__(
        self,
        features: Features,
        schedule: Schedule | None = None,
        steps: int = 3,
        rate: int | float | None = None,
        mode: Literal["fast", "slow"] | None = None,
        unit: Literal["word", "char"] = "word",
    ) -> None:
        """A model."""


@pytest.fixture
def parser():
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_subclass_arguments(Model, "model", required=False)
    parser.add_argument("--trainer.max_epochs", type=int, default=1)
    return parser


LOG_MEL = {"class_path": "s2s_core.audio.features.LogMel", "init_args": {}}


def model(**init_args):
    return {"model": {"class_path": f"{__name__}.Model", "init_args": {"features": LOG_MEL, **init_args}}}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            model(features={**LOG_MEL, "init_args": {"num_featurs": 3}}),
            "config: model.features: LogMel has no argument 'num_featurs'; did you mean 'num_features'?",
        ),
        (
            model(schedule={"class_path": "s2s_core.audio.features.LogMel"}),
            "config: model.schedule: s2s_core.audio.features.LogMel is not a kind of Schedule",
        ),
        (
            model(schedule={"class_path": "s2s_core.optim.schedules.Cosin"}),
            "config: model.schedule: s2s_core.optim.schedules has no 'Cosin'; did you mean 'Cosine'?",
        ),
        (
            model(schedule={"class_path": "s2s_core.optim.schedules.Piecewise"}),
            "config: model.schedule: Piecewise needs boundaries, decay_rates",
        ),
        (model(steps="three"), "config: model.steps: expected int, got three"),
        (model(rate="three"), "config: model.rate: expected int or float, got three"),
        (model(mode="quick"), "config: model.mode: expected one of fast, slow, got quick"),
        (model(unit="line"), "config: model.unit: expected one of word, char, got line"),
    ],
)
def test_the_key_and_the_expectation_are_named(parser, monkeypatch, config, expected):
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Model.__module__])
    with pytest.raises(ArgumentError) as raised:
        parser.parse_object(config)
    assert explain(str(raised.value), []) == expected


def test_an_unknown_key_suggests_the_nearest(parser):
    with pytest.raises(ArgumentError) as raised:
        parser.parse_args(["--trainer.max_epoch=3"])
    keys = [action.dest for action in parser._actions]
    assert (
        explain(str(raised.value), keys)
        == "config: unknown key 'trainer.max_epoch'; did you mean 'trainer.max_epochs'?"
    )


def test_an_unforeseen_report_is_kept_whole_on_one_line():
    assert explain("something\n  else", []) == "config: something else"


def test_a_parts_own_complaint_is_not_buried_in_the_unions_around_it(parser, monkeypatch):
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Model.__module__])
    config = parser.parse_object(
        model(schedule={"class_path": "s2s_core.optim.schedules.Cosine", "init_args": {"warmup_steps": -4}})
    )
    with pytest.raises(ValueError, match="Does not validate") as raised:
        parser.instantiate(config)
    assert explain(str(raised.value), []) == "config: warmup_steps: expected a number of steps, got -4"
