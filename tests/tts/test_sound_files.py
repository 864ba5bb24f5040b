"""What is written is whole, clipped, and named where it cannot be written."""

import numpy as np
import pytest
import soundfile

from s2s_core.errors import UserError
from s2s_tts.sound_files import write_audio


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_samples_are_written_in_16_bits_and_clipped(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    for scale in (1.0, 0.5):  # the second replaces the first
        write_audio(path, scale * np.array([0.0, 0.5, 3.0, -3.0], np.float32), 8000)
    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.subtype, info.format) == (8000, 1, "PCM_16", suffix.upper())
    assert soundfile.read(path, dtype="int16")[0].tolist() == [0, 8192, 32767, -32768]
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_named_and_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match=r"gone/a\.wav: cannot be written"):
        write_audio(tmp_path / "gone" / "a.wav", np.zeros(4, np.float32), 8000)
    (tmp_path / "a.wav").mkdir()
    with pytest.raises(UserError, match=r"a\.wav: cannot be written"):
        write_audio(tmp_path / "a.wav", np.zeros(4, np.float32), 8000)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.wav"]
