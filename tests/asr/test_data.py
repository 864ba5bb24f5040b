import gzip
import json
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from s2s_asr.data import SpeechData, SpeechDetails
from s2s_core.data.resuming import begin_epoch_cleanly
from s2s_core.errors import UserError
from s2s_core.text.tokenizers import CharTokenizer

RATE = 16000


def write_manifest(folder: Path, count: int, name: str = "train", seed: int = 0, texts=None) -> str:
    """A manifest of ``count`` noises of 0.1 to 0.6 s whose amplitude tells which is which."""
    rng = np.random.default_rng(seed)
    lines = []
    for i in range(count):
        samples = int(rng.integers(1600, 9600))
        path = folder / f"{name}{i}.wav"
        soundfile.write(path, rng.uniform(-0.5, 0.5, samples).astype(np.float32), RATE, subtype="FLOAT")
        recording = {
            "id": path.stem,
            "sources": [{"type": "file", "channels": [0], "source": str(path)}],
            "sampling_rate": RATE,
            "num_samples": samples,
            "duration": samples / RATE,
            "channel_ids": [0],
        }
        supervision = {
            "id": path.stem,
            "recording_id": path.stem,
            "start": 0.0,
            "duration": samples / RATE,
            "channel": 0,
            "text": texts[i] if texts else "abc" * (i % 3 + 1),
        }
        cut = {
            "id": path.stem,
            "start": 0.0,
            "duration": samples / RATE,
            "channel": 0,
            "supervisions": [supervision],
            "recording": recording,
            "type": "MonoCut",
        }
        lines.append(json.dumps(cut))
    manifest = folder / f"{name}.jsonl.gz"
    manifest.write_bytes(gzip.compress("\n".join(lines).encode()))
    return str(manifest)


def loaded(split: str = "train", **arguments) -> SpeechData:
    data = SpeechData(**{"batch_seconds": 2.0, **arguments})
    data.tokenizer = CharTokenizer()
    data.setup({"train": "fit", "validation": "fit"}.get(split, split))
    return data


def wav_of(identity: str, folder: Path) -> torch.Tensor:
    return torch.from_numpy(soundfile.read(folder / f"{identity}.wav", dtype="float32")[0])


def test_batch_holds_padded_audio_and_labels(tmp_path):
    manifest = write_manifest(tmp_path, 12)
    batches = list(loaded(train=manifest).loader("train"))
    for batch in batches:
        assert batch.audio.dtype == torch.float32
        assert batch.tokens.dtype == torch.int64
        assert batch.audio.shape[1] == batch.audio_lengths.max()
        assert batch.audio.shape[0] * batch.audio.shape[1] <= 2.0 * RATE
        for row, identity in enumerate(batch.ids):
            length = int(batch.audio_lengths[row])
            assert torch.equal(batch.audio[row, :length], wav_of(identity, tmp_path))
            assert not batch.audio[row, length:].any()
            text = "abc" * (int(identity.removeprefix("train")) % 3 + 1)
            assert batch.texts[row] == text
            count = int(batch.token_lengths[row])
            assert batch.tokens[row, :count].tolist() == [" abc".index(c) for c in text]
            assert not batch.tokens[row, count:].any()
    assert sorted(i for b in batches for i in b.ids) == sorted(f"train{i}" for i in range(12))


def test_several_manifests_and_batch_size(tmp_path):
    a, b = write_manifest(tmp_path, 7), write_manifest(tmp_path, 5, "more", seed=1)
    data = loaded(train=[a, b], batch_size=2)
    batches = list(data.loader("train"))
    assert max(len(batch.ids) for batch in batches) == 2
    assert len({i for batch in batches for i in batch.ids}) == 12
    assert len(batches) == len(data.loader("train"))


def test_long_and_short_utterances_are_left_out_of_training_only(tmp_path):
    manifest = write_manifest(tmp_path, 40)
    lengths = {f"train{i}": len(wav_of(f"train{i}", tmp_path)) / RATE for i in range(40)}
    data = loaded(train=manifest, validation=manifest, max_duration_s=0.5, details=SpeechDetails(min_duration_s=0.2))
    kept = {i for batch in data.loader("train") for i in batch.ids}
    assert kept == {name for name, seconds in lengths.items() if 0.2 <= seconds <= 0.5}
    assert {i for batch in data.loader("validation") for i in batch.ids} == set(lengths)


def test_recordings_are_resampled_to_what_the_details_say(tmp_path):
    manifest = write_manifest(tmp_path, 3)
    data = loaded(train=manifest, details=SpeechDetails(sample_rate_hz=8000))
    for batch in data.loader("train"):
        for identity, length in zip(batch.ids, batch.audio_lengths.tolist(), strict=True):
            assert length == -(-len(wav_of(identity, tmp_path)) // 2)


def test_workers_give_the_same_batches_in_the_same_order(tmp_path):
    manifest = write_manifest(tmp_path, 30)
    loaders = [loaded(train=manifest, num_workers=workers).loader("train") for workers in (0, 1, 3)]
    orders = []
    for epoch in range(2):
        for loader in loaders:
            loader.sampler.set_epoch(epoch)
        batches = [list(loader) for loader in loaders]
        for other in batches[1:]:
            assert [b.ids for b in other] == [b.ids for b in batches[0]]
            assert all(torch.equal(x.audio, y.audio) for x, y in zip(other, batches[0], strict=True))
        orders.append([b.ids for b in batches[0]])
    assert orders[0] != orders[1]


@pytest.mark.parametrize("keep_audio_mb", [0, 512])
def test_kept_audio_is_the_same_audio(tmp_path, keep_audio_mb):
    manifest = write_manifest(tmp_path, 6)
    loader = loaded(train=manifest, details=SpeechDetails(keep_audio_mb=keep_audio_mb)).loader("train")
    list(loader)
    for i in range(6):
        (tmp_path / f"train{i}.wav").unlink()
    if keep_audio_mb:
        assert sum(len(batch.ids) for batch in loader) == 6
    else:
        with pytest.raises(UserError, match="no such file"):
            list(loader)


# --- mistakes ---


def test_missing_manifest_names_path_and_remedy(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.jsonl\.gz: no such manifest; `prepare"):
        loaded(train=str(tmp_path / "nowhere.jsonl.gz"))
    with pytest.raises(UserError, match=r"data\.init_args\.train: no manifest given"):
        loaded()


def test_manifests_that_are_none(tmp_path):
    good = Path(write_manifest(tmp_path, 20)).read_bytes()
    (tmp_path / "cut.jsonl.gz").write_bytes(good[: len(good) // 2])
    (tmp_path / "junk.jsonl.gz").write_bytes(b"no gzip")
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "text.jsonl").write_text("hello\n")
    (tmp_path / "recordings.jsonl").write_text('{"id": "a", "type": "Recording"}\n')
    (tmp_path / "table.csv").write_text("wav_filename,transcript\n")
    for name, message in {
        "cut.jsonl.gz": "cannot be read",
        "junk.jsonl.gz": "cannot be read",
        "empty.jsonl": "holds no cuts",
        "text.jsonl": "text.jsonl:1: not JSON",
        "recordings.jsonl": "recordings.jsonl:1: not a Lhotse cut",
        "table.csv": "expected a Lhotse CutSet manifest",
    }.items():
        with pytest.raises(UserError, match=message) as caught:
            loaded(train=str(tmp_path / name))
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 1])
def test_bad_recording_raises_one_line_with_its_name(tmp_path, workers):
    manifest = write_manifest(tmp_path, 8)
    (tmp_path / "train3.wav").write_bytes(b"")
    with pytest.raises(UserError, match=r"cut 'train3': .*train3\.wav: empty file") as caught:
        list(loaded(train=manifest, num_workers=workers).loader("train"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 1])
def test_bad_recordings_are_skipped_and_listed(tmp_path, workers, caplog):
    manifest = write_manifest(tmp_path, 8)
    (tmp_path / "train3.wav").write_bytes(b"")
    (tmp_path / "train5.wav").unlink()
    data = loaded(train=manifest, validation=manifest, num_workers=workers, on_error="skip")
    for split in ("train", "validation"):
        ids = [i for batch in data.loader(split) for i in batch.ids]
        assert sorted(ids) == [f"train{i}" for i in (0, 1, 2, 4, 6, 7)]
        listing = caplog.messages[-1]
        assert f"{split}: 2 utterances left out" in listing
        assert "train3.wav: empty file" in listing
        assert "train5.wav: no such file" in listing


def test_a_batch_with_nothing_left_is_replaced_in_training_and_absent_in_evaluation(tmp_path):
    manifest = write_manifest(tmp_path, 6)
    (tmp_path / "train2.wav").write_bytes(b"")
    data = loaded(train=manifest, validation=manifest, on_error="skip", batch_size=1)
    train = [batch.ids for batch in data.loader("train")]
    assert len(train) == 6
    assert sorted(i for ids in train for i in ids) == sorted([f"train{i}" for i in (0, 1, 3, 3, 4, 5)])
    assert sorted(i for batch in data.loader("validation") for i in batch.ids) == [f"train{i}" for i in (0, 1, 3, 4, 5)]


def test_nothing_readable_raises_even_when_skipping(tmp_path):
    manifest = write_manifest(tmp_path, 3)
    for i in range(3):
        (tmp_path / f"train{i}.wav").unlink()
    with pytest.raises(UserError, match="no such file"):
        list(loaded(train=manifest, on_error="skip").loader("train"))


def test_unknown_characters_raise_or_are_left_out(tmp_path, caplog):
    manifest = write_manifest(tmp_path, 3, texts=["good", "b4d", "fine"])
    with pytest.raises(UserError, match=r"cut 'train1': unknown characters '4' in 'b4d'"):
        loaded(train=manifest)
    data = loaded(train=manifest, on_error="skip")
    assert any("train: 1 utterances left out" in message for message in caplog.messages)
    assert sorted(i for batch in data.loader("train") for i in batch.ids) == ["train0", "train2"]
    with pytest.raises(UserError, match="none of the 1 utterances is left"):
        loaded(train=write_manifest(tmp_path, 1, "bad", texts=["1"]), on_error="skip")


def test_predict_needs_no_transcripts(tmp_path):
    manifest = write_manifest(tmp_path, 3, texts=["", "With 1 digit!", ""])
    batches = list(loaded("predict", predict=manifest).loader("predict"))
    assert sum(len(batch.ids) for batch in batches) == 3
    assert all(batch.tokens.shape == (len(batch.ids), 0) for batch in batches)


# --- sources in given shares ---

SIZES = {"real": 12, "synthetic": 30, "more": 5}


@pytest.fixture
def manifests(tmp_path) -> list[str]:
    return [write_manifest(tmp_path, count, name, seed) for seed, (name, count) in enumerate(SIZES.items())]


def counts(ids: list[str]) -> dict[str, int]:
    return {name: sum(i.startswith(name) for i in ids) for name in SIZES}


def epoch_of(data: SpeechData, epoch: int = 0) -> list[str]:
    loader = data.loader("train")
    loader.sampler.set_epoch(epoch)
    return [name for batch in loader for name in batch.ids]


@pytest.mark.parametrize(
    ("weights", "size", "expected"),
    [
        ([1, 0, 0], None, (12, 0, 0)),
        ([0, 1, 0], None, (0, 30, 0)),
        ([1, 1, 0], None, (12, 12, 0)),
        ([2, 1, 1], None, (12, 6, 6)),
        ([1, 1, 0], 40, (20, 20, 0)),
        (None, 24, (6, 15, 3)),
        (None, None, (12, 30, 5)),
    ],
)
def test_an_epoch_draws_what_the_weights_say(manifests, weights, size, expected, caplog):
    caplog.set_level("INFO")
    data = loaded(train=manifests, details=SpeechDetails(train_weights=weights, epoch_utterances=size))
    for epoch in range(3):
        assert tuple(counts(epoch_of(data, epoch)).values()) == expected
    if weights is not None:
        assert f"an epoch draws {' + '.join(str(n) for n in expected if n)}" in caplog.text


def test_a_group_has_one_weight(manifests):
    real, synthetic, more = manifests
    data = loaded(train=[[real, more], synthetic], details=SpeechDetails(train_weights=[1, 1]))
    assert counts(epoch_of(data)) == {"real": 12, "synthetic": 17, "more": 5}


def test_weights_count_what_is_left_of_a_manifest(manifests):
    details = SpeechDetails(train_weights=[1, 1, 0])
    data = loaded(train=manifests, max_duration_s=0.4, details=details)
    seen = counts(epoch_of(data))
    assert 0 < seen["real"] < 12
    assert seen["synthetic"] == seen["real"]


def test_weights_that_do_not_fit(tmp_path, manifests):
    with pytest.raises(UserError, match=r"data\.init_args\.details\.train_weights: 2 weights for 3 sources"):
        loaded(train=manifests, details=SpeechDetails(train_weights=[1, 1]))
    unusable = write_manifest(tmp_path, 2, "unusable", texts=["1", "2"])
    with pytest.raises(UserError, match="train_weights: source 1 has weight 2, 0 items"):
        loaded(train=[manifests[0], unusable], on_error="skip", details=SpeechDetails(train_weights=[1, 2]))


# --- with a trainer ---


class Recorder(LightningModule):
    """Learns nothing that matters and keeps the ids of every batch it is given."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.tokenizer = CharTokenizer()
        self.seen: list[list[str]] = []
        self.validated: list[str] = []
        self.epochs_begun = 0

    def on_train_start(self):
        begin_epoch_cleanly(self.trainer)

    def on_train_epoch_start(self):
        self.epochs_begun += 1

    def training_step(self, batch, batch_idx):
        self.seen.append(batch.ids)
        return (self.weight * batch.audio.mean()).sum()

    def validation_step(self, batch, batch_idx):
        self.validated += batch.ids

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Stop(Exception):
    pass


class DieAt(Recorder):
    """Fails within a step, as a killed run does."""

    def __init__(self, step: int):
        super().__init__()
        self.step = step

    def training_step(self, batch, batch_idx):
        if self.global_step == self.step:
            raise Stop
        return super().training_step(batch, batch_idx)


def trainer(folder: Path, **arguments) -> Trainer:
    return Trainer(
        default_root_dir=folder,
        logger=False,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        log_every_n_steps=1,
        **{"max_epochs": 3, **arguments},
    )


def run(folder: Path, model: Recorder, data: SpeechData, resume: str | None = None, **arguments) -> Recorder:
    saver = ModelCheckpoint(folder / "ckpt", every_n_train_steps=1, save_top_k=-1, filename="{step}")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*not resumable.*")
        trainer(folder, callbacks=[saver], **arguments).fit(model, data, ckpt_path=resume, weights_only=True)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_resumed_run_sees_the_batches_of_an_uninterrupted_one(tmp_path, workers):
    manifest = write_manifest(tmp_path, 14)
    held = write_manifest(tmp_path, 4, "held")

    def data() -> SpeechData:
        return SpeechData(train=manifest, validation=held, batch_seconds=1.2, num_workers=workers)

    whole = run(tmp_path / "whole", Recorder(), data())
    per_epoch = len(whole.seen) // 3
    assert per_epoch >= 4
    assert whole.seen[:per_epoch] != whole.seen[per_epoch : 2 * per_epoch]
    for step in (1, per_epoch - 1, per_epoch, per_epoch + 2, 2 * per_epoch):
        checkpoint = tmp_path / "whole" / "ckpt" / f"step={step}.ckpt"
        resumed = run(tmp_path / f"from{step}", Recorder(), data(), str(checkpoint))
        assert resumed.seen == whole.seen[step:], f"resumed after step {step} of {per_epoch} an epoch"
        # an epoch that goes on is not begun again
        assert resumed.epochs_begun == 3 - -(-step // per_epoch)
        again = tmp_path / f"from{step}" / "ckpt" / f"step={step + 1}.ckpt"
        if again.exists():
            assert run(tmp_path / f"twice{step}", Recorder(), data(), str(again)).seen == whole.seen[step + 1 :]


@pytest.mark.slow
def test_a_step_that_did_not_finish_is_done_again(tmp_path):
    manifest = write_manifest(tmp_path, 14)
    whole = run(tmp_path / "whole", Recorder(), SpeechData(train=manifest, batch_seconds=1.2))
    step = len(whole.seen) // 3 + 2
    saver = ModelCheckpoint(tmp_path / "dead", save_on_exception=True, filename="last")
    dying = DieAt(step)
    with pytest.raises(Stop):
        trainer(tmp_path, callbacks=[saver]).fit(dying, SpeechData(train=manifest, batch_seconds=1.2, num_workers=1))
    (checkpoint,) = (tmp_path / "dead").glob("*.ckpt")
    resumed = run(tmp_path / "on", Recorder(), SpeechData(train=manifest, batch_seconds=1.2), str(checkpoint))
    assert dying.seen + resumed.seen == whole.seen


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [{"on_train_epoch_end": True}, {"on_train_epoch_end": False}])
def test_checkpoints_at_the_end_of_an_epoch(tmp_path, arguments):
    manifest = write_manifest(tmp_path, 14)
    held = write_manifest(tmp_path, 4, "held")

    def data() -> SpeechData:
        return SpeechData(train=manifest, validation=held, batch_seconds=1.2, num_workers=1)

    saver = ModelCheckpoint(
        tmp_path / "ends", save_top_k=-1, filename="{epoch}", save_on_train_epoch_end=arguments["on_train_epoch_end"]
    )
    whole = Recorder()
    trainer(tmp_path, callbacks=[saver]).fit(whole, data())
    per_epoch = len(whole.seen) // 3
    for epoch in (0, 1):
        resumed = run(tmp_path / "on", Recorder(), data(), str(tmp_path / "ends" / f"epoch={epoch}.ckpt"))
        assert resumed.seen == whole.seen[(epoch + 1) * per_epoch :]


@pytest.mark.slow
def test_limited_epochs_and_accumulation_resume(tmp_path):
    manifest = write_manifest(tmp_path, 20)
    arguments = {"limit_train_batches": 4, "accumulate_grad_batches": 2}

    def data() -> SpeechData:
        return SpeechData(train=manifest, batch_seconds=1.2)

    whole = run(tmp_path / "whole", Recorder(), data(), **arguments)
    assert len(whole.seen) == 12
    for step in (1, 2, 3, 4):
        checkpoint = tmp_path / "whole" / "ckpt" / f"step={step}.ckpt"
        assert (
            run(tmp_path / f"{step}", Recorder(), data(), str(checkpoint), **arguments).seen == whole.seen[2 * step :]
        )


def test_other_batches_than_the_checkpoints_are_refused(tmp_path):
    manifest = write_manifest(tmp_path, 14)
    run(tmp_path / "a", Recorder(), SpeechData(train=manifest, batch_seconds=1.2), max_steps=2)
    checkpoint = str(tmp_path / "a" / "ckpt" / "step=2.ckpt")
    with pytest.raises(UserError, match="in the middle of an epoch over other batches"):
        run(tmp_path / "b", Recorder(), SpeechData(train=manifest, batch_seconds=0.8), checkpoint)


def test_validation_sees_everything_once_and_may_be_absent(tmp_path):
    manifest, held = write_manifest(tmp_path, 6), write_manifest(tmp_path, 5, "held")
    model = Recorder()
    trainer(tmp_path, max_epochs=1, num_sanity_val_steps=0, enable_checkpointing=False).fit(
        model, SpeechData(train=manifest, validation=held, batch_seconds=1.0)
    )
    assert sorted(model.validated) == [f"held{i}" for i in range(5)]
    model = Recorder()
    trainer(tmp_path, max_epochs=1, enable_checkpointing=False).fit(model, SpeechData(train=manifest))
    assert model.seen
    assert not model.validated


def test_sample_rate_is_the_models_and_text_is_its_tokenizers(tmp_path):
    manifest = write_manifest(tmp_path, 2, texts=["ab", "ba"])
    model = Recorder()
    model.features = SimpleNamespace(sample_rate_hz=8000)
    model.tokenizer = CharTokenizer("ba")
    data = SpeechData(train=manifest)
    trainer(tmp_path, max_steps=1, enable_checkpointing=False).fit(model, data)
    assert data.sample_rate_hz == 8000
    (batch,) = data.train_dataloader()
    assert dict(zip(batch.ids, batch.tokens.tolist(), strict=True)) == {"train0": [1, 0], "train1": [0, 1]}
    assert int(batch.audio_lengths.max()) < 0.6 * 8000 + 2


class RankRecorder(Recorder):
    """Writes what its process has seen to a file."""

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = folder

    def on_fit_end(self):
        seen = {"train": self.seen, "validation": self.validated}
        (self.folder / f"rank{self.global_rank}.json").write_text(json.dumps(seen))


@pytest.mark.slow
@pytest.mark.parametrize("held_out", [5, 1])
def test_two_processes_share_every_epoch(tmp_path, held_out):
    manifest, held = write_manifest(tmp_path, 14), write_manifest(tmp_path, held_out, "held")
    trainer(
        tmp_path, max_epochs=2, strategy="ddp_spawn", devices=2, num_sanity_val_steps=0, enable_checkpointing=False
    ).fit(RankRecorder(tmp_path), SpeechData(train=manifest, validation=held, batch_seconds=1.2, batch_size=2))
    ranks = [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in range(2)]
    assert len(ranks[0]["train"]) == len(ranks[1]["train"])
    for epoch in range(2):
        half = len(ranks[0]["train"]) // 2
        seen = [i for rank in ranks for batch in rank["train"][epoch * half : (epoch + 1) * half] for i in batch]
        assert sorted(seen) == sorted(f"train{i}" for i in range(14))
    evaluated = [i for rank in ranks for i in rank["validation"]]
    assert sorted(evaluated) == sorted(2 * [f"held{i}" for i in range(held_out)])


@pytest.mark.slow
def test_a_resumed_run_goes_on_in_the_mixture(tmp_path, manifests):
    def data() -> SpeechData:
        details = SpeechDetails(train_weights=[1, 1, 1])
        return SpeechData(train=manifests, batch_seconds=1.2, num_workers=1, details=details)

    whole = run(tmp_path / "whole", Recorder(), data())
    per_epoch = len(whole.seen) // 3
    assert whole.seen[:per_epoch] != whole.seen[per_epoch : 2 * per_epoch]
    for step in (1, per_epoch + 2):
        checkpoint = tmp_path / "whole" / "ckpt" / f"step={step}.ckpt"
        assert run(tmp_path / f"from{step}", Recorder(), data(), str(checkpoint)).seen == whole.seen[step:]
    other = SpeechData(train=manifests, batch_seconds=1.2, details=SpeechDetails(train_weights=[1, 1, 0.5]))
    with pytest.raises(UserError, match="in the middle of an epoch over other batches"):
        run(tmp_path / "other", Recorder(), other, str(tmp_path / "whole" / "ckpt" / "step=1.ckpt"))


@pytest.mark.slow
def test_two_processes_share_a_mixed_epoch(tmp_path, manifests):
    details = SpeechDetails(train_weights=[1, 1, 1])
    data = SpeechData(train=manifests, batch_seconds=1.2, batch_size=2, details=details)
    options = {"strategy": "ddp_spawn", "devices": 2, "num_sanity_val_steps": 0, "enable_checkpointing": False}
    trainer(tmp_path, max_epochs=2, **options).fit(RankRecorder(tmp_path), data)
    ranks = [json.loads((tmp_path / f"rank{rank}.json").read_text())["train"] for rank in range(2)]
    half = len(ranks[0]) // 2
    for epoch in range(2):
        seen = [i for rank in ranks for batch in rank[epoch * half : (epoch + 1) * half] for i in batch]
        assert counts(seen) == {"real": 12, "synthetic": 12, "more": 12}
