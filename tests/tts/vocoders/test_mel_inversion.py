import numpy as np
import pytest
import torch

from s2s_core.audio.mel import MelScale, mel_filters
from s2s_tts.vocoders.mel_inversion import spectra_from_mel

FILTERS = mel_filters(20, 128, 8000, MelScale()).double()
SPECTRA = torch.rand(6, 65, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) ** 4


def residual(spectra, mel):
    return torch.linalg.vector_norm(spectra @ FILTERS - mel, dim=-1)


@pytest.mark.parametrize("method", ["pinv", "nnls"])
def test_a_spectrum_is_never_negative(method):
    assert (spectra_from_mel(SPECTRA @ FILTERS, FILTERS, method) >= 0).all()


def test_non_negative_least_squares_reaches_scipys_distance():
    optimize = pytest.importorskip("scipy.optimize", reason="scipy is not installed")
    # bands that no spectrum has: a residual remains
    mel = torch.rand(6, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) ** 3
    expected = np.array([optimize.nnls(FILTERS.t().numpy(), row.numpy())[1] for row in mel])
    found = residual(spectra_from_mel(mel, FILTERS, "nnls", iterations=2000), mel)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-3, atol=1e-6)
    assert (residual(spectra_from_mel(mel, FILTERS, "pinv"), mel).numpy() > expected + 1e-3).any()


def test_bands_of_a_spectrum_are_met():
    mel = SPECTRA @ FILTERS
    found = spectra_from_mel(mel, FILTERS)
    assert (residual(found, mel) < 1e-3 * torch.linalg.vector_norm(mel, dim=-1)).all()


def test_a_frame_does_not_depend_on_the_others():
    mel = SPECTRA @ FILTERS
    torch.testing.assert_close(spectra_from_mel(mel, FILTERS)[2:3], spectra_from_mel(mel[2:3], FILTERS))


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="'inverse'"):
        spectra_from_mel(SPECTRA @ FILTERS, FILTERS, "inverse")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="65 mel bands, but the filters have 20"):
        spectra_from_mel(SPECTRA, FILTERS)
