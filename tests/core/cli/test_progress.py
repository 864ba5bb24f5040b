from types import SimpleNamespace

import pytest

from s2s_core.cli.progress import RunProgress


class Module:
    pass


@pytest.fixture
def trainer():
    return SimpleNamespace(
        estimated_stepping_batches=10,
        global_step=0,
        log_every_n_steps=2,
        current_epoch=0,
        max_epochs=5,
        sanity_checking=False,
        progress_bar_metrics={},
        loggers=[],
    )


def step(bar, trainer, **metrics):
    trainer.global_step += 1
    trainer.progress_bar_metrics = metrics
    bar.on_train_batch_end(trainer, Module(), None, None, 0)


def test_a_log_file_gets_lines_with_loss_error_rate_rate_and_time_left(trainer, capfd):
    bar = RunProgress()
    bar.on_train_start(trainer, Module())
    step(bar, trainer, **{"train/loss": 12.3456, "train/wer": 0.5})
    line = capfd.readouterr().err
    assert line.count("\n") == 1
    for piece in ("epoch 1/5", "10%", "1/10", "loss=12.35", "wer=0.5", "step"):
        assert piece in line, piece
    step(bar, trainer)
    assert capfd.readouterr().err == ""
    trainer.progress_bar_metrics = {"val/wer": 0.25}
    bar.on_validation_end(trainer, Module())
    line = capfd.readouterr().err
    assert "val/wer=0.25" in line
    assert "loss=12.35" in line, "the last value of every metric stays on show"


def test_a_resumed_bar_starts_where_the_run_stopped(trainer, capfd):
    trainer.global_step = 7
    bar = RunProgress()
    bar.on_train_start(trainer, Module())
    bar.on_train_end(trainer, Module())
    assert "7/10" in capfd.readouterr().err


def test_a_disabled_bar_is_silent(trainer, capfd):
    bar = RunProgress()
    bar.disable()
    bar.on_train_start(trainer, Module())
    step(bar, trainer, **{"train/loss": 1.0})
    bar.on_train_end(trainer, Module())
    assert capfd.readouterr().err == ""


def test_the_last_line_is_of_the_last_epoch_and_not_repeated(trainer, capfd):
    bar = RunProgress()
    bar.on_train_start(trainer, Module())
    for _ in range(2):
        step(bar, trainer, **{"train/loss": 1.0})
    capfd.readouterr()
    trainer.current_epoch = 1  # as Lightning counts once training is over
    bar.on_train_end(trainer, Module())
    assert "epoch 1/5  20%" in capfd.readouterr().err

    bar.on_train_start(trainer, Module())
    step(bar, trainer)
    bar.on_validation_end(trainer, Module())
    capfd.readouterr()
    bar.on_train_end(trainer, Module())
    assert capfd.readouterr().err == ""
