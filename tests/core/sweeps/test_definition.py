import pytest

from s2s_core.errors import UserError
from s2s_core.sweeps.definition import as_option, parse_sweep

GOOD = {
    "command": ["lightning", "run", "lm", "fit", "--config", "quickstart", "${args}"],
    "method": "random",
    "metric": {"name": "val/loss", "goal": "minimize"},
    "parameters": {"model.init_args.optimizer.init_args.lr": {"values": [0.1, 0.2]}},
    "early_terminate": {"type": "hyperband", "max_iter": 27, "s": 2},
}


def test_a_sweep_is_read():
    sweep = parse_sweep({**GOOD, "run_cap": 4}, "lm")
    assert (sweep.method, sweep.metric, sweep.maximize, sweep.run_cap) == ("random", "val/loss", False, 4)
    assert sweep.recipe == ["--config", "quickstart"]
    assert [parameter.key for parameter in sweep.parameters] == ["model.init_args.optimizer.init_args.lr"]
    assert parse_sweep({**GOOD, "command": ["${env}", *GOOD["command"]]}, "lm").recipe == sweep.recipe


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"metod": "grid"}, "unknown key 'metod'; did you mean 'method'"),
        ({"method": "gird"}, "method: expected grid, random, bayes; got 'gird'"),
        ({"metric": "val/loss"}, "metric: expected {name"),
        ({"metric": {"name": "val/loss", "goal": "min"}}, "goal: expected minimize or maximize; got 'min'"),
        ({"parameters": {}}, "parameters: expected dotted keys"),
        ({"parameters": {"output": {"value": 1}}}, "output: cannot be searched"),
        ({"method": "grid", "parameters": {"a": {"min": 0.0, "max": 1.0}}}, "parameters.a: a grid needs values"),
        ({"run_cap": 0}, "run_cap"),
        ({"command": ["python", "train.py", "${args}"]}, r"command: expected \[lightning, run, lm, fit"),
        ({"command": ["lightning", "run", "asr", "fit", "${args}"]}, "command: expected"),
        ({"command": ["lightning", "run", "lm", "fit", "--config", "x"]}, "command: expected"),
        ({"command": [*GOOD["command"], "--output=x"]}, "--output would be the same for all runs"),
        ({"command": [*GOOD["command"], "--allow-class=mine"]}, "command: --allow-class is the user's to give"),
        ({"command": [*GOOD["command"], "--allow-class", "mine"]}, "command: --allow-class is the user's to give"),
        ({"early_terminate": {"type": "envelope"}}, "early_terminate: expected type: hyperband"),
        ({"early_terminate": {"type": "hyperband"}}, "either min_iter, or max_iter and s"),
        ({"early_terminate": {"type": "hyperband", "min_iter": 1, "ete": 2}}, "early_terminate.ete: unknown"),
    ],
)
def test_a_wrong_key_is_named(change, complaint):
    with pytest.raises(UserError, match=complaint):
        parse_sweep({**GOOD, **change}, "lm")


def test_options_are_written_as_weights_and_biases_writes_them():
    utils = pytest.importorskip("wandb.sdk.launch.sweeps.utils", reason="wandb is not installed")
    settings = {"a.b": 0.001, "c": [0.9, 0.98], "d": True, "e": "word", "f": 1e-07}
    theirs = utils.create_sweep_command_args({"args": {key: {"value": value} for key, value in settings.items()}})
    assert theirs["args"] == [as_option(key, value) for key, value in settings.items()]
