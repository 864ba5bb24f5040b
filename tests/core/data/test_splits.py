"""Which splits a stage reads, and what a trainer is handed of each."""

from types import SimpleNamespace

from torch.utils.data import Dataset

from s2s_core.data.loader import Loaded
from s2s_core.data.sampling import BucketBatchSampler
from s2s_core.data.splits import SplitData


class Numbers(Dataset):
    def __getitems__(self, indices):
        return Loaded(SimpleNamespace(rows=indices))


class Data(SplitData):
    def loader(self, split):
        return self._resumable(split, Numbers(), BucketBatchSampler([1.0] * 5, 2.0, shuffle=False))


def test_a_stage_reads_what_is_given_and_not_read_yet():
    data = Data()
    assert data._unread("fit", {"train": "a", "validation": None}) == ["train"]
    assert data._unread("fit", {"train": "a", "validation": "b"}) == ["train", "validation"]
    # what a stage cannot do without is asked for even if it is not given, so that its absence can be named
    assert data._unread("fit", {}) == ["train"]
    assert data._unread("validate", {}) == ["validation"]
    data._read["train"] = "table"
    assert data._unread("fit", {"train": "a", "validation": "b"}) == ["validation"]


def test_without_validation_there_is_no_validation_loader():
    data = Data()
    assert data.val_dataloader() == []
    data._read["validation"] = "table"
    rows = [row for batch in data.val_dataloader() for row in batch.rows]
    assert sorted(rows) == [0, 1, 2, 3, 4]


def test_training_says_what_the_trainer_has_done_and_evaluation_does_not():
    data = Data()
    assert data._progress("train") is None
    progress = SimpleNamespace(current=SimpleNamespace(processed=3))
    data.trainer = SimpleNamespace(
        fit_loop=SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=progress)),
        num_training_batches=7, global_rank=1, world_size=2, is_global_zero=False, lightning_module="model",
    )  # fmt: skip
    assert data._progress("train")() == (3, 7)
    assert data._progress("test") is None
    assert data._rank_and_size == (1, 2)
    assert data._module == "model"
    assert not data._speaks
