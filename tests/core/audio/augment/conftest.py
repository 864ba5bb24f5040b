import numpy as np
import pytest
import soundfile

from waves import RATE


@pytest.fixture(scope="module")
def noise_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("noise")
    rng = np.random.default_rng(0)
    (folder / "deep").mkdir()
    soundfile.write(folder / "long.wav", 0.1 * rng.normal(size=3 * RATE), RATE)
    soundfile.write(folder / "deep" / "stereo.flac", 0.1 * rng.normal(size=(8000, 2)), 8000)
    soundfile.write(folder / "short.wav", 0.1 * rng.normal(size=700), RATE)
    (folder / "notes.txt").write_text("not a recording")
    return str(folder)
