import numpy as np
import pytest

from s2s_core.audio.mel import MelScale, mel_filters

RATE = 16000


def test_htk_filters_have_height_one_on_the_htk_scale():
    weights = mel_filters(20, 4096, RATE, MelScale("htk")).numpy()
    top = 2595 * np.log10(1 + 8000 / 700)
    centres = 700 * (10 ** (np.linspace(0, top, 22)[1:-1] / 2595) - 1)
    np.testing.assert_allclose(weights.argmax(0) * RATE / 4096, centres, atol=RATE / 4096)
    np.testing.assert_allclose(weights.max(0), 1, atol=0.03)


def test_slaney_filters_have_area_one_in_hertz():
    weights = mel_filters(20, 8192, RATE, MelScale("slaney")).numpy()
    np.testing.assert_allclose(weights.sum(0) * RATE / 8192, 1, rtol=0.01)


@pytest.mark.parametrize("kind", ["slaney", "htk", "htk_bins"])
def test_bands_stay_within_their_edges(kind):
    weights = mel_filters(20, 4096, RATE, MelScale(kind, 300, 4000)).numpy()
    assert weights.shape == (2049, 20)
    heard = np.flatnonzero(weights.sum(1)) * RATE / 4096
    assert heard.min() == pytest.approx(300, abs=2 * RATE / 4096)
    assert heard.max() == pytest.approx(4000, abs=2 * RATE / 4096)


def test_corners_in_one_bin_give_an_empty_filter():
    weights = mel_filters(128, 512, RATE, MelScale("htk_bins"))
    assert weights.isfinite().all()
    assert (weights.sum(0) == 0).any()
