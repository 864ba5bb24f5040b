import numpy as np
import pytest
import torch
from PIL import Image

from s2s_commands.image_view import ImageView


def picture(height, width, mode="RGB"):
    rng = np.random.default_rng(0)
    shape = (height, width) if mode == "L" else (height, width, len(mode))
    return Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8), mode)


def test_the_middle_is_cut_out():
    source = picture(9, 13)
    found = np.asarray(ImageView(5, None).square(source, 5))
    assert (found == np.asarray(source)[2:7, 4:9]).all()
    padded = np.asarray(ImageView(11, None).square(source, 11))
    assert (padded[[0, -1]] == 0).all()
    assert (padded[1:10] == np.asarray(source)[:, 1:12]).all()


def test_the_short_side_is_resized():
    for height, width in ((30, 60), (60, 30)):
        assert ImageView(10, 12).square(picture(height, width), 12).size == (12, 12)
    shapes = ImageView(10, 15).square(picture(30, 60), 10)
    middle = picture(30, 60).resize((30, 15), Image.Resampling.BILINEAR).crop((10, 2, 20, 12))
    assert np.abs(np.asarray(shapes).astype(int) - np.asarray(middle)).max() <= 1


def test_pixels_are_scaled_by_channel():
    view = ImageView(2, None, [0.5, 0.25, 0.0], [0.5, 0.1, 1.0])
    pixels = torch.tensor([0, 255, 51], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    expected = torch.tensor([(0 - 0.5) / 0.5, (1 - 0.25) / 0.1, 0.2]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    torch.testing.assert_close(view.normalised(pixels), expected)


def test_colours():
    rgb, grey = ImageView(4, None), ImageView(4, None, [0.5], [0.5])
    assert rgb.coloured(picture(4, 4, "L")).mode == "RGB"
    assert grey.coloured(picture(4, 4)).mode == "L"
    clear = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    assert rgb.coloured(clear).getpixel((0, 0)) == (255, 255, 255)


def test_crops():
    images = torch.arange(2 * 3 * 36).view(2, 3, 6, 6)
    ten = ImageView(4, 6, crops=10).views(images)
    assert len(ten) == 10
    assert torch.equal(ten[0], images[..., :4, :4])
    assert torch.equal(ten[3], images[..., 2:, 2:])
    assert torch.equal(ten[4], images[..., 1:5, 1:5])
    assert torch.equal(ten[9], images[..., 1:5, 1:5].flip(-1))
    assert [len(ImageView(4, 6, crops=crops).views(images)) for crops in (1, 2, 5)] == [1, 2, 5]
    assert [ImageView(4, 6, crops=crops).canvas for crops in (1, 2, 5, 10)] == [4, 4, 6, 6]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "0"),
        ({"size": 8, "resize": 7}, "7"),
        ({"crops": 3}, "3"),
        ({"resize": None, "crops": 5}, "need resize"),
        ({"mean": [0.5, 0.5]}, "expected 3 numbers"),
        ({"mean": [0.5], "std": [0.0]}, "above 0"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ImageView(**arguments)
