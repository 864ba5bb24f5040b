"""Lightning's account of epochs at a resumed run's beginning; real runs are in tests/asr/test_data.py."""

from types import SimpleNamespace

import pytest

from s2s_core.data.resuming import begin_epoch_cleanly


@pytest.mark.parametrize(
    ("mid_epoch", "processed", "ready", "cleaned"),
    [(True, 2, 2, True), (True, 1, 2, False), (False, 2, 2, False), (False, 0, 0, False)],
)
def test_only_a_run_resumed_behind_an_epochs_last_batch_is_put_right(mid_epoch, processed, ready, cleaned):
    told = []
    loop = SimpleNamespace(
        restarted_mid_epoch=mid_epoch,
        epoch_progress=SimpleNamespace(current=SimpleNamespace(processed=processed, ready=ready)),
        reset_restart_stage=lambda: told.append("reset"),
    )
    begin_epoch_cleanly(SimpleNamespace(fit_loop=loop))
    assert told == ["reset"] * cleaned
