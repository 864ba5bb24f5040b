"""What cannot be used ends the run, or is counted and listed once."""

import pytest
from torch.utils.data import Dataset

from s2s_core.data.loader import Loaded
from s2s_core.data.sampling import BucketBatchSampler
from s2s_core.data.skipping import LISTED, SkippingData
from s2s_core.errors import UserError


class Bad(Dataset):
    def __getitems__(self, indices):
        return Loaded(None, [f"file {index} cannot be read" for index in indices])


class Data(SkippingData):
    examples = "things"

    def loader(self, split):
        return self._skipping(split, Bad(), BucketBatchSampler([1.0] * 30, 3.0, shuffle=False))


def test_the_first_ends_the_run_and_says_how_to_go_on():
    with pytest.raises(UserError, match=r"^train: file 0 cannot be read \(data.init_args.on_error=skip leaves such"):
        list(Data().loader("train"))


def test_skipped_ones_are_listed_at_the_end_of_the_epoch_and_again_only_if_there_are_more(caplog):
    data = Data(on_error="skip")
    assert list(data.loader("train")) == []
    [listing] = caplog.messages
    assert listing.startswith("train: 30 things left out:\n  file 0 cannot be read\n")
    assert listing.endswith(f"\n  ... and {30 - LISTED} more")
    data.teardown("fit")
    assert len(caplog.messages) == 1
    data._note_failures("test", ["one"])
    data.teardown("test")
    assert caplog.messages[1:] == ["test: 1 things left out:\n  one"]


def test_another_word_is_refused():
    with pytest.raises(ValueError, match="on_error must be 'raise' or 'skip', got 'ignore'"):
        Data(on_error="ignore")
