import gc
from dataclasses import dataclass

import lightning.pytorch as pl
import pytest
import torch
from torch.utils.data import Dataset

from s2s_core.data.loader import Loaded, ResumableLoader
from s2s_core.data.sampling import BucketBatchSampler
from s2s_core.errors import UserError


@dataclass
class Numbers:
    values: torch.Tensor
    names: list[str]


class Echo(Dataset):
    """Gives indices back; odd ones fail."""

    def __init__(self, odd_fail: bool = False, fatal: bool = False):
        self.odd_fail = odd_fail
        self.fatal = fatal

    def __getitems__(self, indices):
        good = [i for i in indices if not (self.odd_fail and i % 2)]
        bad = [f"item {i}" for i in indices if i not in good]
        batch = Numbers(torch.tensor(good), [str(i) for i in good]) if good else None
        return Loaded(batch, bad, fatal="nothing works" if self.fatal else None)


def sampler(batch_size: int = 2) -> BucketBatchSampler:
    return BucketBatchSampler([1.0] * 10, 100.0, batch_size)


def test_batches_are_the_plans():
    loader = ResumableLoader(Echo(), sampler())
    assert [batch.values.tolist() for batch in loader] == loader.sampler.plan(0)
    assert len(loader) == 5


def test_position_counts_what_was_handed_over_not_what_was_loaded():
    loader = ResumableLoader(Echo(), sampler(), num_workers=2)
    batches = iter(loader)
    assert loader.state_dict()["batches"] == 0
    next(batches), next(batches)
    assert loader.state_dict()["batches"] == 2
    other = ResumableLoader(Echo(), sampler())
    other.load_state_dict(loader.state_dict())
    assert [b.values.tolist() for b in other] == loader.sampler.plan(0)[2:]
    assert other.state_dict()["epoch"] == 1
    assert other.state_dict()["batches"] == 0


def test_position_counts_what_was_trained():
    done = 0
    loader = ResumableLoader(Echo(), sampler(), trained=lambda: (done, 4))
    batches = iter(loader)
    next(batches), next(batches)
    done = 1
    assert loader.state_dict()["batches"] == 1
    next(batches), next(batches)
    done = 4  # as many as the trainer takes for an epoch
    assert (loader.state_dict()["epoch"], loader.state_dict()["batches"]) == (1, 0)
    loader.sampler.set_epoch(1)  # while the trainer's count is still the last epoch's
    assert (loader.state_dict()["epoch"], loader.state_dict()["batches"]) == (1, 0)


def test_a_position_in_other_batches_is_refused():
    loader = ResumableLoader(Echo(), sampler())
    next(iter(loader))
    state = loader.state_dict()
    other = ResumableLoader(Echo(), sampler(3))
    with pytest.raises(UserError, match="over other batches"):
        other.load_state_dict(state)
    other.load_state_dict({**state, "batches": 0})


def test_failures_are_told_and_empty_batches_passed_over():
    told = []
    ends = []
    loader = ResumableLoader(
        Echo(odd_fail=True), sampler(1), on_failures=told.extend, on_epoch_end=lambda: ends.append(len(told))
    )
    assert sorted(b.values.item() for b in loader) == [0, 2, 4, 6, 8]
    assert sorted(told) == [f"item {i}" for i in (1, 3, 5, 7, 9)]
    assert ends == [5]


@pytest.mark.parametrize("workers", [0, 1])
def test_fatal_errors_come_without_a_traceback_in_their_text(workers):
    with pytest.raises(UserError) as caught:
        list(ResumableLoader(Echo(fatal=True), sampler(), num_workers=workers))
    assert str(caught.value) == "nothing works"


def test_the_global_generator_is_left_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    list(ResumableLoader(Echo(), sampler(), num_workers=1))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="pinned memory needs a CUDA device")
def test_tensors_of_batches_are_pinned():
    for batch in ResumableLoader(Echo(), sampler(), pin_memory=True):
        assert batch.values.is_pinned()


def test_a_rank_without_a_batch_is_promised_one_and_gets_none():
    plans = [BucketBatchSampler([1.0, 2.0], 1.0, shuffle=False, rank=rank, world_size=3) for rank in range(3)]
    loaders = [ResumableLoader(Echo(), plan) for plan in plans]
    assert [len(loader) for loader in loaders] == [1, 1, 1]
    assert [len(list(loader)) for loader in loaders] == [1, 1, 0]


def workers_of(loader):
    return list(loader._iterator._workers)


def test_workers_end_by_themselves_where_a_loader_is_lost_in_a_cycle():
    loader = ResumableLoader(Echo(), sampler(), num_workers=2)
    next(iter(loader))
    workers = workers_of(loader)
    cycle = [loader]
    cycle.append(cycle)
    del loader, cycle
    gc.collect()
    assert [worker.exitcode for worker in workers] == [0, 0], "torch waits five seconds and sends a signal"


class Counting(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.workers = set()

    def training_step(self, batch, batch_idx):
        self.workers |= set(workers_of(self.trainer.train_dataloader))
        return self.weight * batch.values.sum()

    def validation_step(self, batch, batch_idx):
        self.workers |= set(workers_of(self.trainer.val_dataloaders))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_workers_are_started_once_and_end_with_the_run(tmp_path):
    loaders = [ResumableLoader(Echo(), sampler(), num_workers=1) for _ in range(2)]
    model = Counting()
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=2, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, use_distributed_sampler=False, default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(model, *loaders)
    assert [worker.exitcode for worker in model.workers] == [0, 0]
    assert [batch.values.tolist() for batch in loaders[0]] == loaders[0].sampler.plan(1), "and start again"
