import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from s2s_commands.image_table import load_rows
from s2s_commands.prepare.images import ImageOptions, prepare_images
from s2s_core.errors import UserError


def draw(path, colour="red"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), colour).save(path)
    return path


@pytest.fixture
def corpus(tmp_path):
    for label in ("cat", "dog"):
        for number in range(10):
            draw(tmp_path / "in" / label / f"{number}.png")
    (tmp_path / "in" / "cat" / "bad.jpg").write_bytes(b"no picture")
    whole = draw(tmp_path / "in" / "dog" / "whole.jpg").read_bytes()
    (tmp_path / "in" / "dog" / "half.jpg").write_bytes(whole[:-3])
    return tmp_path / "in"


def test_manifests_hold_what_is_good_and_the_rest_is_listed(corpus, tmp_path):
    summary = prepare_images("folders", corpus, tmp_path / "out", ImageOptions(holdout=0.2, jobs=2))
    rejected = (tmp_path / "out" / "rejected.tsv").read_text().splitlines()
    assert [line.split(": ")[0].rsplit("/")[-1] for line in rejected] == ["bad.jpg", "half.jpg"]
    assert summary.splits == {"train": {"cat": 8, "dog": 9}, "validation": {"cat": 2, "dog": 2}}
    train, held = (load_rows([tmp_path / "out" / f"{split}.jsonl.gz"]) for split in ("train", "validation"))
    assert Counter(row.label for row in train) == {"cat": 8, "dog": 9}
    assert not {row.path for row in train} & {row.path for row in held}
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["rejected"] == 2
    with pytest.raises(UserError, match="--overwrite"):
        prepare_images("folders", corpus, tmp_path / "out", ImageOptions())
    again = prepare_images("folders", corpus, tmp_path / "out", ImageOptions(holdout=0, overwrite=True, quick=True))
    assert again.splits == {"train": {"cat": 10, "dog": 12}}
    assert not (tmp_path / "out" / "validation.jsonl.gz").exists()


def test_cifar_batches_become_files(tmp_path):
    source = tmp_path / "cifar-10-batches-bin"
    source.mkdir()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (4, 3072), dtype=np.uint8)
    for name, label in (("data_batch_1", 3), ("data_batch_2", 5), ("test_batch", 3)):
        rows = [bytes([label]) + row.tobytes() for row in pixels]
        (source / f"{name}.bin").write_bytes(b"".join(rows))
    summary = prepare_images("cifar10", tmp_path, tmp_path / "out", ImageOptions(holdout=0.25))
    assert summary.splits == {
        "train": {"cat": 3, "dog": 3},
        "validation": {"cat": 1, "dog": 1},
        "test": {"cat": 4},
    }
    (tmp_path / "out").rename(tmp_path / "moved")  # paths are relative to the manifest
    row = load_rows([tmp_path / "moved" / "test.jsonl.gz"])[1]
    planes = pixels[1].reshape(3, 32, 32)
    assert (np.asarray(Image.open(row.path)) == planes.transpose(1, 2, 0)).all()


@pytest.mark.slow
def test_digits_come_with_scikit_learn(tmp_path):
    summary = prepare_images("digits", None, tmp_path / "out", ImageOptions())
    counts = {split: sum(classes.values()) for split, classes in summary.splits.items()}
    assert counts == {"train": 1257, "validation": 180, "test": 360}
    assert all(len(classes) == 10 for classes in summary.splits.values())
    rows = load_rows([tmp_path / "out" / "train.jsonl.gz"])
    assert np.asarray(Image.open(rows[0].path)).max() == 255


def test_mistakes_are_named_and_leave_nothing(corpus, tmp_path):
    with pytest.raises(UserError, match="no CIFAR-10"):
        prepare_images("cifar10", tmp_path, tmp_path / "out", ImageOptions())
    with pytest.raises(UserError, match="no such folder"):
        prepare_images("folders", tmp_path / "none", tmp_path / "out", ImageOptions())
    for path in corpus.rglob("*.*"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match="none of the 23 pictures is good"):
        prepare_images("folders", corpus, tmp_path / "out", ImageOptions())
    assert not list((tmp_path / "out").glob("*"))
