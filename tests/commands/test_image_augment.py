import numpy as np
import pytest
import torch
from PIL import Image

from s2s_commands.image_augment import ImageAugment
from s2s_commands.image_view import ImageView

VIEW = ImageView(16, None)


def picture(size=20):
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8))


def draws(augment, view=VIEW, source=None, count=40):
    return [augment(source or picture(), view, (0, 0, index)) for index in range(count)]


def test_a_picture_depends_on_its_key_only():
    augment = ImageAugment("resized", colour=0.4, rand_augment=9, erase=0.5)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = augment(picture(), VIEW, (3, 4, 5))
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(augment(picture(), VIEW, (3, 4, 5)), first)
    assert first.shape == (3, 16, 16)
    assert first.dtype == torch.uint8
    for key in ((4, 4, 5), (3, 5, 5), (3, 4, 6)):
        assert not torch.equal(augment(picture(), VIEW, key), first)


def test_padded_crops_are_squares_of_the_picture_with_its_border():
    source = picture(16)
    pixels = torch.from_numpy(np.asarray(source)).permute(2, 0, 1)
    border = torch.nn.functional.pad(pixels, (3, 3, 3, 3))
    places = set()
    for found in draws(ImageAugment("padded", padding=3, flip=False), source=source):
        hits = [(y, x) for y in range(7) for x in range(7) if torch.equal(border[:, y : y + 16, x : x + 16], found)]
        assert len(hits) == 1
        places.add(hits[0])
    assert len(places) > 15


def test_without_padding_crops_move_within_a_larger_picture():
    pixels = torch.from_numpy(np.asarray(picture())).permute(2, 0, 1)
    for found in draws(ImageAugment("padded", padding=0, flip=False), count=5):
        assert any(torch.equal(pixels[:, y : y + 16, x : x + 16], found) for y in range(5) for x in range(5))


def test_half_are_mirrored():
    plain = ImageAugment("none", flip=False)(picture(), VIEW, (0, 0, 0))
    found = draws(ImageAugment("none"), count=100)
    mirrored = sum(torch.equal(x, plain.flip(-1)) for x in found)
    assert mirrored + sum(torch.equal(x, plain) for x in found) == 100
    assert 30 < mirrored < 70


def test_erasing_paints_a_box_in_the_mean_colour():
    plain = ImageAugment("none", flip=False)(picture(), VIEW, (0, 0, 0))
    found = draws(ImageAugment("none", flip=False, erase=0.5), count=100)
    erased = [x for x in found if not torch.equal(x, plain)]
    assert 30 < len(erased) < 70
    mean = torch.tensor([round(255 * m) for m in VIEW.mean], dtype=torch.uint8)
    for x in erased:
        changed = (x != plain).any(0)
        assert (x[:, changed] == mean[:, None]).all()


def test_resized_crops_have_the_area_asked_for():
    ramp = np.zeros((64, 64, 3), dtype=np.uint8)
    ramp[..., 0] = np.arange(64)[None] * 4
    ramp[..., 1] = np.arange(64)[:, None] * 4
    areas = []
    for x in draws(ImageAugment("resized", min_area=0.25, flip=False), source=Image.fromarray(ramp), count=200):
        spans = [float(x[c].max()) - float(x[c].min()) for c in (0, 1)]
        areas.append(spans[0] * spans[1] / (63 * 4) ** 2)
    assert 0.15 < min(areas) < 0.35
    assert max(areas) > 0.75
    assert 0.4 < np.mean(areas) < 0.7


def test_grey_pictures_pass_through_everything():
    view = ImageView(16, None, [0.5], [0.5])
    augment = ImageAugment("padded", colour=0.5, rand_augment=15, erase=1.0)
    assert augment(picture().convert("L"), view, (0, 0, 1)).shape == (1, 16, 16)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"crop": "x"}, "'x'"),
        ({"min_area": 0}, "0"),
        ({"rand_augment": 31}, "31"),
        ({"erase": 2}, "2"),
        ({"padding": -1}, "-1"),
        ({"colour": 1.5}, "1.5"),
        ({"operations": 0}, "0"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ImageAugment(**arguments)
