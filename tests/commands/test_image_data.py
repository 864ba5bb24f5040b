"""Batches of pictures: the same for any number of workers, resumed where they stopped, bad files named."""

import numpy as np
import pytest
import torch
from PIL import Image

from s2s_commands.image_augment import ImageAugment
from s2s_commands.image_data import ImageData, ImageDetails
from s2s_commands.image_view import ImageView
from s2s_core.errors import UserError


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(22):
        path = tmp_path / "in" / ("cat", "dog", "eel")[number % 3] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 10, 3), dtype=np.uint8)).save(path)
    return tmp_path / "in"


def made(folder, **arguments):
    data = ImageData(train=str(folder), validation=str(folder), predict=str(folder), batch_size=4, **arguments)
    data.view = ImageView(8, None)
    data.augment = ImageAugment("padded", padding=2, rand_augment=5)
    data.setup("fit")
    return data


def listed(loader):
    return [(batch.ids, batch.images, batch.labels) for batch in loader]


def same(a, b):
    return len(a) == len(b) and all(
        x[0] == y[0] and torch.equal(x[1], y[1]) and torch.equal(x[2], y[2]) for x, y in zip(a, b, strict=True)
    )


def test_an_epoch_has_every_picture_once_and_the_next_another_order(folder):
    data = made(folder)
    assert data.classes == ["cat", "dog", "eel"]
    loader = data.train_dataloader()
    first = listed(loader)
    names = [name for ids, _, _ in first for name in ids]
    assert len(names) == len(set(names)) == 22
    labelled = [(name, label) for ids, _, labels in first for name, label in zip(ids, labels, strict=True)]
    assert all(data.classes[label] == name.split("/")[0] for name, label in labelled)
    loader.sampler.set_epoch(1)
    second = listed(loader)
    assert [ids for ids, _, _ in second] != [ids for ids, _, _ in first]
    by_name = {n: image for ids, images, _ in first for n, image in zip(ids, images, strict=True)}
    again = {n: image for ids, images, _ in second for n, image in zip(ids, images, strict=True)}
    assert sum(torch.equal(by_name[n], again[n]) for n in by_name) < 5, "each epoch augments anew"


@pytest.mark.slow
def test_workers_and_resuming_change_nothing(folder):
    whole = listed(made(folder).train_dataloader())
    assert same(listed(made(folder, num_workers=2).train_dataloader()), whole)
    loader = made(folder).train_dataloader()
    batches = iter(loader)
    next(batches), next(batches)
    state = loader.state_dict()
    resumed = made(folder).train_dataloader()
    resumed.load_state_dict(state)
    assert same(listed(resumed), whole[2:])
    other = made(folder, details=ImageDetails(seed=1)).train_dataloader()
    assert not same(listed(other), whole)


def test_evaluation_is_not_augmented(folder):
    data = made(folder)
    batch = next(iter(data.val_dataloader()))
    path = folder / batch.ids[0]
    pixels = torch.from_numpy(np.asarray(Image.open(path))[2:10, 1:9]).permute(2, 0, 1)[None]
    torch.testing.assert_close(batch.images[:1], data.view.normalised(pixels))


def test_bad_pictures_are_named_or_left_out(folder, caplog):
    (folder / "cat" / "00.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"train: .*cat/00\.png: not a picture .*on_error=skip"):
        listed(made(folder).train_dataloader())
    data = made(folder, on_error="skip")
    with caplog.at_level("WARNING"):
        found = listed(data.train_dataloader())
    assert sum(len(ids) for ids, _, _ in found) == 21
    assert "1 pictures left out" in caplog.text
    for path in folder.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match="no picture of a batch can be read"):
        listed(made(folder, on_error="skip").train_dataloader())


def test_labels_are_checked(folder, tmp_path):
    data = made(folder)
    (folder / "fox").mkdir()
    (folder / "cat" / "00.png").rename(folder / "fox" / "00.png")
    data.sources["test"] = str(folder)
    with pytest.raises(UserError, match=r"fox/00\.png: its class 'fox' is none of the model's 3: cat, dog, eel"):
        data.setup("test")
    (folder / "fox" / "00.png").rename(folder / "loose.png")
    with pytest.raises(UserError, match=r"loose\.png: has no class"):
        made(folder)
    data.setup("predict")
    assert "loose.png" in data.predict_ids()
    with pytest.raises(UserError, match="no folder or manifest given"):
        ImageData().setup("fit")
    with pytest.raises(ValueError, match="batch_size"):
        ImageData(batch_size=0)
    with pytest.raises(ValueError, match="'ignore'"):
        ImageData(on_error="ignore")


def test_it_describes_itself(folder):
    spec = ImageData(train="x", details=ImageDetails(seed=3)).describe()["init_args"]
    assert spec["details"] == {"eval_batch_size": None, "seed": 3}
