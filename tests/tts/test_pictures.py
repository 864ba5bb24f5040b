"""Pictures are what they say, in a file that others can read."""

import io

import numpy as np
import torch
from PIL import Image

from s2s_tts.pictures import heat_map, png, stacked, synthesis_picture


def test_a_heat_map_shows_time_to_the_right_and_features_upwards():
    values = torch.zeros(3, 2)
    values[2, 1] = 1.0
    image = heat_map(values)
    assert image.shape == (2, 3, 3)
    assert image[0, 2].sum() > 600
    assert image.sum() - int(image[0, 2].sum()) == 5 * 4


def test_a_png_is_read_by_others():
    picture = synthesis_picture(torch.rand(9, 4), torch.rand(7, 4), torch.rand(5, 3), torch.rand(5))
    assert picture.shape == (8 + 4 + 8 + 4 + 6 + 4 + 8, 18, 3)
    again = np.asarray(Image.open(io.BytesIO(png(picture))))
    assert np.array_equal(again, picture)


def test_stacked_images_share_a_width():
    assert stacked([np.zeros((2, 3, 3), np.uint8), np.ones((1, 6, 3), np.uint8)]).shape == (2 + 4 + 1, 6, 3)
