import gzip
import json

import pytest
import torch

from s2s_commands.sound_data import SoundData, SoundDetails
from s2s_core.errors import UserError


def loaded(stage="fit", **arguments):
    data = SoundData(details=SoundDetails(sample_rate_hz=8000), **arguments)
    data.setup(stage)
    return data


def rewritten(source, target, change):
    with gzip.open(source, "rt") as file:
        rows = [json.loads(line) for line in file]
    with gzip.open(target, "wt") as file:
        for row in rows:
            change(row)
            file.write(json.dumps(row) + "\n")
    return str(target)


def test_batches_hold_every_clip_once_and_classes_are_in_order(tones):
    data = loaded(train=str(tones / "train.jsonl.gz"), validation=str(tones / "validation.jsonl.gz"), batch_size=5)
    assert data.classes == ["high", "low", "middle"]
    for split, count in (("train", 24), ("validation", 9)):
        batches = list(data.loader(split))
        ids = [name for batch in batches for name in batch.ids]
        assert len(ids) == len(set(ids)) == count
        for batch in batches:
            assert batch.audio.shape == (len(batch.ids), int(batch.audio_lengths.max()))
            names = [data.classes[label] for label in batch.labels.tolist()]
            assert names == [name.split("/")[0] for name in batch.ids]
            for row, length in zip(batch.audio, batch.audio_lengths.tolist(), strict=True):
                assert row[:length].any()
                assert not row[length:].any()


def test_balanced_epochs(tones):
    data = loaded(train=str(tones / "train.jsonl.gz"), batch_size=4, clips_per_class=12)
    labels = torch.cat([batch.labels for batch in data.loader("train")])
    assert torch.bincount(labels).tolist() == [12, 12, 12]


def test_classes_may_be_given_and_other_labels_are_named(tones, tmp_path):
    train = str(tones / "train.jsonl.gz")
    data = loaded(train=train, classes=["middle", "low", "high", "silence"])
    assert data.classes[int(next(iter(data.loader("train"))).labels[0])] in ("high", "low", "middle")
    with pytest.raises(UserError, match=r"is labelled 'middle', none of the classes high, low"):
        loaded(train=train, classes=["high", "low"])
    odd = rewritten(
        tones / "test.jsonl.gz", tmp_path / "t.jsonl.gz", lambda row: row["supervisions"][0].update(text="?")
    )
    with pytest.raises(UserError, match=r"labelled '\?', none of the classes high, low, middle"):
        loaded("test", test=odd, classes=["high", "low", "middle"])


def test_prediction_needs_no_labels(tones, tmp_path):
    bare = rewritten(tones / "test.jsonl.gz", tmp_path / "p.jsonl.gz", lambda row: row.update(supervisions=[]))
    data = loaded("predict", predict=bare, classes=["high", "low", "middle"], batch_size=4)
    batches = list(data.predict_dataloader())
    assert {label for batch in batches for label in batch.labels.tolist()} == {-1}
    assert sorted(data.predict_ids()) == sorted(name for batch in batches for name in batch.ids)
    with pytest.raises(UserError, match="has no label"):
        loaded(train=bare)


def test_unreadable_clips_stop_or_are_skipped(tones, tmp_path):
    def lose(row):
        if row["id"] == "low/3":
            row["recording"]["sources"][0]["source"] = str(tmp_path / "gone.wav")

    train = rewritten(tones / "train.jsonl.gz", tmp_path / "bad.jsonl.gz", lose)
    with pytest.raises(UserError, match=r"train: cut 'low/3': .*gone.wav: no such file .*on_error=skip"):
        list(loaded(train=train).loader("train"))
    data = loaded(train=train, on_error="skip", batch_size=1)
    batches = list(data.loader("train"))
    assert len(batches) == 24  # another clip in its place: ranks need equal numbers
    assert "low/3" not in {name for batch in batches for name in batch.ids}


def test_no_manifest_is_named():
    with pytest.raises(UserError, match=r"data.init_args.train: no manifest given"):
        loaded()


@pytest.mark.parametrize("arguments", [{"batch_size": 0}, {"clips_per_class": 0}, {"on_error": "stop"}])
def test_values_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        SoundData(**arguments)
