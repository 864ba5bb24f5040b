import pytest
import torch

from s2s_core import recognition
from s2s_core.errors import UserError
from s2s_core.recognition import load_recogniser


def test_what_is_no_recogniser_is_named(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"absent\.ckpt"):
        load_recogniser(tmp_path / "absent.ckpt")
    torch.save({"state_dict": {}}, tmp_path / "bare.ckpt")
    with pytest.raises(UserError, match=r"bare\.ckpt"):
        load_recogniser(tmp_path / "bare.ckpt")
    monkeypatch.setattr("s2s_core.checkpoint.load_task", lambda *_: torch.nn.Linear(1, 1))
    with pytest.raises(UserError, match=r"other\.ckpt.*no recogniser"):
        recognition.load_recogniser(tmp_path / "other.ckpt")
