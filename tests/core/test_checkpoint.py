import io
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from s2s_core import checkpoint as checkpoints
from s2s_core.checkpoint import FORMAT, AtomicCheckpointIO, check_trusted, load_matching, load_task, read_checkpoint
from s2s_core.errors import UserError


def content(**section):
    return {"s2s": {"format": FORMAT, "task": "asr", **section}, "state_dict": {"w": torch.arange(1000.0)}}


def test_a_written_checkpoint_reads_back_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "new" / "a.ckpt"
    AtomicCheckpointIO().save_checkpoint(content(), path)
    assert torch.equal(read_checkpoint(path)["state_dict"]["w"], torch.arange(1000.0))
    assert [file.name for file in path.parent.iterdir()] == ["a.ckpt"]


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.ckpt"
    io = AtomicCheckpointIO()
    io.save_checkpoint(content(version="old"), path)

    def half_a_save(checkpoint, file):
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", half_a_save)
    with pytest.raises(OSError, match="No space"):
        io.save_checkpoint(content(version="new"), path)
    assert read_checkpoint(path)["s2s"]["version"] == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.ckpt"]


def test_a_truncated_file_is_refused_and_the_last_good_one_named(tmp_path):
    io = AtomicCheckpointIO()
    io.save_checkpoint(content(), tmp_path / "good.ckpt")
    io.save_checkpoint(content(), tmp_path / "last.ckpt")
    data = (tmp_path / "last.ckpt").read_bytes()
    for size in (0, 10, len(data) // 2, len(data) - 1):
        (tmp_path / "last.ckpt").write_bytes(data[:size])
        with pytest.raises(UserError, match=r"last\.ckpt': truncated.*good\.ckpt"):
            read_checkpoint(tmp_path / "last.ckpt")


def test_ctrl_c_within_a_write_is_ctrl_c_and_keeps_the_old_file(tmp_path, monkeypatch):
    class Pressed(io.FileIO):
        writes = 0

        def write(self, data):
            self.writes += 1
            written = super().write(data)
            if self.writes == 3:
                raise KeyboardInterrupt
            return written

    (tmp_path / "last.ckpt").write_bytes(b"old")
    monkeypatch.setattr(Path, "open", lambda self, mode="r": Pressed(self, mode=mode))
    with pytest.raises(KeyboardInterrupt):
        AtomicCheckpointIO().save_checkpoint({"x": torch.ones(1000)}, tmp_path / "last.ckpt")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("last.ckpt", b"old")]


def test_a_foreign_file_and_a_missing_one_are_named(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    with pytest.raises(UserError, match=r"foreign\.ckpt': not written by s2s"):
        read_checkpoint(tmp_path / "foreign.ckpt")
    with pytest.raises(UserError, match="no such file"):
        read_checkpoint(tmp_path / "absent.ckpt")
    with pytest.raises(UserError, match=r"a folder; expected a file; its newest checkpoint is '.*foreign\.ckpt'"):
        read_checkpoint(tmp_path)


def test_a_newer_format_says_which_version_wrote_it(tmp_path):
    AtomicCheckpointIO().save_checkpoint({"s2s": {"format": FORMAT + 1, "version": "9.9"}}, tmp_path / "a.ckpt")
    with pytest.raises(UserError, match=r"9\.9, newer than"):
        read_checkpoint(tmp_path / "a.ckpt")


class Hostile:
    def __reduce__(self):
        return os.mkdir, ("pwned",)


def test_a_pickle_that_runs_code_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"s2s": Hostile()}, "evil.ckpt")
    with pytest.raises(UserError):
        read_checkpoint("evil.ckpt")
    assert not (tmp_path / "pwned").exists()


def test_classes_outside_the_toolkit_are_not_built():
    check_trusted(
        {"class_path": "s2s_asr.task.SpeechToText", "init_args": {"x": [{"class_path": "torch.optim.SGD"}]}}, "f"
    )
    with pytest.raises(UserError, match=r"^f: names the class subprocess\.Popen"):
        check_trusted(
            {"class_path": "s2s_asr.task.SpeechToText", "init_args": {"x": [{"class_path": "subprocess.Popen"}]}}, "f"
        )


def test_a_device_that_is_not_there_is_named(tmp_path, monkeypatch):
    class Toy(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(1000))

        def load_assets(self, assets):
            assert assets == {}

    monkeypatch.setattr(checkpoints, "build_task", lambda spec, source: Toy())
    AtomicCheckpointIO().save_checkpoint(content(spec={}, assets={}), tmp_path / "a.ckpt")
    assert torch.equal(load_task(tmp_path / "a.ckpt", "asr", "cpu").w, torch.arange(1000.0))
    with pytest.raises(UserError, match="device 'toaster' cannot be used"):
        load_task(tmp_path / "a.ckpt", "asr", "toaster")


def test_fine_tuning_loads_what_matches_and_says_what_did_not():
    torch.manual_seed(0)
    old = nn.ModuleDict({"body": nn.Linear(3, 3), "head": nn.Linear(3, 5), "gone": nn.Linear(1, 1, bias=False)})
    new = nn.ModuleDict({"body": nn.Linear(3, 3), "head": nn.Linear(3, 7), "fresh": nn.Linear(1, 1, bias=False)})
    head = new["head"].weight.clone()
    notes = load_matching(new, old.state_dict())
    assert torch.equal(new["body"].weight, old["body"].weight)
    assert torch.equal(new["head"].weight, head)
    assert sorted(note.split(":")[0] for note in notes) == ["fresh.weight", "gone.weight", "head.bias", "head.weight"]
    assert "head.weight: (5, 3) in the checkpoint, (7, 3) here" in notes
