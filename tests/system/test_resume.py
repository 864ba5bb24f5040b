"""The second promise: a run killed at any moment and resumed ends bit-identical to one that was not."""

import os
import signal
import time

import pytest
import torch

pytestmark = pytest.mark.slow


def final_state(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def test_sigkill_in_mid_epoch_changes_nothing(lightning, tiny_config, trained, tmp_path):
    whole = final_state(trained)
    assert whole["global_step"] == 40

    process = lightning("fit", "--config", tiny_config, "--output", "run", cwd=tmp_path, start_new_session=True)
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    deadline = time.monotonic() + 300
    while not last.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)  # the loader's workers too, as a machine that loses power would
    process.communicate()

    killed = final_state(tmp_path / "run")
    progress = killed["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]
    assert killed["global_step"] < 40
    assert 0 < progress["processed"] < 10, "the checkpoint is not from the middle of an epoch"

    resumed = lightning("fit", "--config", tiny_config, "--output", "run", "--ckpt_path", "last", cwd=tmp_path)
    _, errors = resumed.communicate(timeout=500)
    assert resumed.returncode == 0, errors
    assert "going on from" in errors
    again = final_state(tmp_path / "run")
    assert again["global_step"] == 40
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, again["state_dict"][name]), name
    ours, theirs = (s["optimizer_states"][0]["state"] for s in (whole, again))
    for key, slots in ours.items():
        for slot, value in slots.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(theirs[key][slot])), (key, slot)


def test_augmentation_and_dropout_really_draw(lightning, tiny_config, trained, tmp_path):
    # if nothing in the run were random, the test above would prove little
    process = lightning("fit", "--config", tiny_config, "--output", "run", "--seed_everything=2", cwd=tmp_path)
    _, errors = process.communicate(timeout=500)
    assert process.returncode == 0, errors
    a, b = (final_state(run)["state_dict"]["decoder.linear.weight"] for run in (trained, tmp_path / "run"))
    assert not torch.equal(a, b)
