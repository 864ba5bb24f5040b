"""Pictures are what they say, in a file that others can read."""

import io

import numpy as np
import torch
from PIL import Image

from s2s_core.tracking.samples import COLOURS
from s2s_tts.pictures import over_time, png, stacked, synthesis_picture


def test_time_goes_to_the_right_and_features_upwards():
    values = torch.zeros(3, 2)
    values[2, 1] = 1.0
    image = over_time(values)
    assert image.shape == (4, 6, 3)
    image = image[::2, ::2]
    assert image[0, 2].sum() > 600
    assert image.sum() - int(image[0, 2].sum()) == 5 * COLOURS[0].sum()


def test_a_png_is_read_by_others():
    picture = synthesis_picture(torch.rand(9, 4), torch.rand(7, 4), torch.rand(5, 3), torch.rand(5))
    assert picture.shape == (8 + 4 + 8 + 4 + 6 + 4 + 8, 18, 3)
    again = np.asarray(Image.open(io.BytesIO(png(picture))))
    assert np.array_equal(again, picture)


def test_stacked_images_share_a_width():
    assert stacked([np.zeros((2, 3, 3), np.uint8), np.ones((1, 6, 3), np.uint8)]).shape == (2 + 4 + 1, 6, 3)
