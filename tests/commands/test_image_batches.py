from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from s2s_commands.image_batches import EpochSampler, Images, open_picture
from s2s_commands.image_table import ImageRow
from s2s_commands.image_view import ImageView
from s2s_core.errors import UserError

CLASSES = ["cat", "dog"]
VIEW = ImageView(8, 8)


@pytest.fixture
def rows(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(4):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
    labels = ["dog", "cat", None, "fox"]
    return [ImageRow(f"{i}", str(tmp_path / f"{i}.png"), label) for i, label in enumerate(labels)]


def test_a_batch_is_what_the_files_hold_and_other_labels_are_minus_one(rows):
    loaded = Images(rows, CLASSES, VIEW).__getitems__([(0, 3), (0, 0), (0, 2), (0, 1)])
    assert loaded.failures == []
    assert loaded.batch.ids == ["3", "0", "2", "1"]
    assert loaded.batch.labels.tolist() == [-1, 1, -1, 0]
    pixels = torch.stack([torch.from_numpy(np.array(Image.open(rows[i].path))).permute(2, 0, 1) for i in (3, 0, 2, 1)])
    assert torch.equal(loaded.batch.images, VIEW.normalised(pixels))


def test_a_file_that_is_gone_is_named_and_in_training_another_stands_in_for_a_whole_batch(rows):
    lost = [rows[0]._replace(path="gone.png"), *rows[1:]]
    kept = Images(lost, CLASSES, VIEW).__getitems__([(0, 0), (0, 1)])
    assert (kept.batch.ids, kept.failures) == (["1"], ["gone.png: no such file"])
    empty = Images(lost, CLASSES, VIEW)[0, 0]
    assert (empty.batch, empty.failures) == (None, ["gone.png: no such file"])
    other = Images(lost, CLASSES, VIEW, training=True)[0, 0]
    assert (other.batch.ids, other.failures) == (["1"], ["gone.png: no such file"])
    none = Images([row._replace(path="gone.png") for row in rows], CLASSES, VIEW, training=True)[0, 0]
    assert none.fatal == "no picture of a batch can be read, nor any after it; gone.png: no such file"


def test_batches_know_their_epoch():
    sampler = EpochSampler([1.0] * 5, batch_total=2)
    sampler.set_epoch(3)
    batches = list(sampler)
    assert {epoch for batch in batches for epoch, _ in batch} == {3}
    assert sorted(index for batch in batches for _, index in batch) == [0, 1, 2, 3, 4]


def test_what_is_no_picture_is_said_with_its_name(rows, tmp_path):
    path = tmp_path / "bad.png"
    whole = Path(rows[0].path).read_bytes()
    with pytest.raises(UserError, match=r"bad\.png: no such file"):
        open_picture(path, VIEW)
    for content, message in ((b"", "not a picture"), (whole[:8], "not a picture"), (whole[:-60], "cannot be read")):
        path.write_bytes(content)
        with pytest.raises(UserError, match=rf"bad\.png: {message}"):
            open_picture(path, VIEW)
