"""Lightning's account of epochs, put right where resuming confuses it."""

from __future__ import annotations

from lightning.pytorch import Trainer


def begin_epoch_cleanly(trainer: Trainer) -> None:
    """Call in ``on_train_start``: a run resumed behind an epoch's last batch begins its next epoch like any other.

    From a checkpoint written in ``on_train_batch_end`` of an epoch's last batch, Lightning 2.6 closes that epoch but
    then takes the next one for its continuation: ``on_train_epoch_start`` is not called, and the epoch is never
    counted as begun. A checkpoint from within it would look like that of a finished epoch, and a run resumed from
    that would forget its place.
    """
    loop = trainer.fit_loop
    progress = loop.epoch_progress.current
    if loop.restarted_mid_epoch and progress.processed == progress.ready:  # type: ignore[attr-defined]
        loop.reset_restart_stage()
