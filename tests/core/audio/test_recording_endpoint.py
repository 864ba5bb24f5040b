import io

import numpy as np
import pytest
import soundfile

pytest.importorskip("fastapi", reason="the extra 'serve' is not installed: pip install 's2s-core[serve]'")

from s2s_core.audio.recording_endpoint import RecordingEndpoint
from s2s_core.serving.endpoint import TooLong, Upload


class Length(RecordingEndpoint):
    name, summary, answers = "length", "", "wav"

    def run(self, batch):
        return [b"" for _ in batch]


def test_audio_comes_at_the_models_rate_and_within_bounds():
    held = io.BytesIO()
    soundfile.write(held, np.zeros(4000), 8000, format="WAV")
    assert Length(16000, 1.0).asks == "audio"
    assert Length(16000, 1.0).prepare(Upload("a.wav", held)).shape == (8000,)
    with pytest.raises(TooLong, match=r"a\.wav: lasts 0\.5 s, expected at most 0\.4 s"):
        Length(16000, 0.4).prepare(Upload("a.wav", held))
