"""Memory does not grow with a recording's length. This file is also what the measured processes run."""

import resource
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import soundfile

RATE = 16000
SHORT_MIN, LONG_MIN = 3, 13
GROWTH_MB = 18.0
"""Less than half of what the samples of the difference take."""


def write_recording(path, minutes: int) -> None:
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        for _ in range(minutes * 6):
            loudness = np.repeat(rng.uniform(0.0, 0.3, 50), RATE // 5)
            file.write(rng.normal(0, 1, 10 * RATE) * loudness)


def listen(way: str, path: str) -> None:
    """Recognise a recording with an untrained model; print the words found and the peak of memory in MB."""
    import torch

    from s2s_asr.decoders.ctc import CtcDecoder
    from s2s_asr.encoders.tdnn import TdnnBlock, TdnnEncoder
    from s2s_asr.losses.ctc import CtcLoss
    from s2s_asr.task import SpeechToText
    from s2s_asr.transcribe import Transcriber
    from s2s_core.audio.features import LogMel
    from s2s_core.text.tokenizers import CharTokenizer

    torch.manual_seed(0)
    task = SpeechToText(
        features=LogMel(20),
        encoder=TdnnEncoder(20, [TdnnBlock(16, 11, stride=2)]),
        decoder=CtcDecoder(16, 28),
        loss=CtcLoss(),
        tokenizer=CharTokenizer(),
        optimizer=partial(torch.optim.SGD, lr=0.1),
    )
    with torch.no_grad():
        task.decoder.linear.bias[[0, -1]] += torch.tensor([0.5, 1.0])
    transcriber = Transcriber(task)
    if way == "transcribe":
        words = len(transcriber.transcribe([path])[0].words)
    else:
        words = sum(len(result.words) for result in transcriber.stream(path) if result.final)
    print(words, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def measured(way: str, path) -> tuple[int, float]:
    command = [sys.executable, __file__, way, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    words, peak_mb = done.stdout.split()
    return int(words), float(peak_mb)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["transcribe", "stream"])
def test_peak_memory_does_not_grow_with_the_recording(tmp_path, way):
    found = {}
    for minutes in (SHORT_MIN, LONG_MIN):
        write_recording(tmp_path / "long.wav", minutes)
        found[minutes] = measured(way, tmp_path / "long.wav")
    (few, before_mb), (many, after_mb) = found.values()
    assert many > 3 * few > 20
    assert after_mb < before_mb + GROWTH_MB


if __name__ == "__main__":
    listen(*sys.argv[1:])
