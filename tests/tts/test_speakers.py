"""The list of voices: from a file, into a checkpoint, and back."""

import pytest
import torch

from s2s_core.errors import UserError
from s2s_tts.speakers import Speakers


def test_names_have_numbers_that_a_checkpoint_keeps(tmp_path):
    (tmp_path / "speakers.txt").write_text("ann\nbob\n")
    speakers = Speakers(2, 5, str(tmp_path / "speakers.txt"))
    assert speakers.index("bob") == 1
    assert speakers(torch.tensor([1, 0, 1])).shape == (3, 5)
    again = Speakers(2, 5, "absent.txt")
    with pytest.raises(UserError, match=r"absent.txt: no such list"):
        again.index("ann")
    again.load_assets(speakers.assets())
    assert again.names == ["ann", "bob"]
    with pytest.raises(UserError, match=r"no speaker 'bobb'.*bob"):
        again.index("bobb")


def test_another_number_of_names_is_refused(tmp_path):
    (tmp_path / "speakers.txt").write_text("ann\nbob\n")
    with pytest.raises(UserError, match=r"2 speakers, .*count is 3"):
        Speakers(3, 5, str(tmp_path / "speakers.txt"))
