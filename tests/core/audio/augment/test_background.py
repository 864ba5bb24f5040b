import numpy as np
import pytest
import soundfile
import torch

from s2s_core.audio.augment import BackgroundNoise
from s2s_core.errors import UserError
from waves import RATE, batch, decibels, generator, rms


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 15.0])
def test_background_noise_has_the_ratio_that_was_asked(noise_folder, snr_db):
    audio, lengths = batch([16000, 9000, 500, 30000])
    noisy, counts = BackgroundNoise(noise_folder, snr_db, snr_db, probability=1)(audio, lengths, generator())
    assert counts.tolist() == lengths.tolist()
    for row, before, count in zip(noisy, audio, lengths.tolist(), strict=True):
        noise = (row - before)[:count]
        assert decibels(rms(before[:count]) / rms(noise)) == pytest.approx(snr_db, abs=0.1)


def test_background_noise_comes_from_the_folder(tmp_path):
    time = np.arange(8000) / 8000
    soundfile.write(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 300 * time), 8000)
    audio, lengths = batch([40000])
    noisy, _ = BackgroundNoise(str(tmp_path), 0, 0, probability=1)(audio, lengths, generator())
    spectrum = torch.fft.rfft((noisy - audio)[0] * torch.hann_window(40000)).abs()
    assert int(spectrum.argmax()) * RATE / 40000 == pytest.approx(300, abs=1)


def test_background_noise_spares_the_improbable_and_differs_by_row(noise_folder):
    audio, lengths = batch([3000] * 200)
    noisy, _ = BackgroundNoise(noise_folder, 10, 10, probability=0.3)(audio, lengths, generator())
    touched = ((noisy - audio).abs().sum(1) > 0).double()
    assert float(touched.mean()) == pytest.approx(0.3, abs=0.08)
    noise = (noisy - audio)[touched.bool()]
    correlation = torch.corrcoef(noise[:20])
    assert (correlation - torch.eye(20)).abs().median() < 0.1


def test_silence_as_noise_or_speech_stays_finite(tmp_path):
    soundfile.write(tmp_path / "silence.wav", np.zeros(1000), RATE)
    audio, lengths = batch([2000, 1000])
    noisy, _ = BackgroundNoise(str(tmp_path), 0, 0, probability=1)(audio, lengths, generator())
    torch.testing.assert_close(noisy, audio)


def test_faulty_folders_of_noise_are_the_users_error_at_the_first_use(tmp_path):
    audio, lengths = batch([100])
    missing = BackgroundNoise(str(tmp_path / "missing"))
    with pytest.raises(UserError, match=r"missing: expected a folder with recordings"):
        missing(audio, lengths, generator())
    (tmp_path / "bad.wav").write_bytes(b"RIFF?")
    with pytest.raises(UserError, match=r"bad\.wav: expected a recording"):
        BackgroundNoise(str(tmp_path))(audio, lengths, generator())
    soundfile.write(tmp_path / "bad.wav", np.zeros(0), RATE)
    with pytest.raises(UserError, match=r"bad\.wav.*empty"):
        BackgroundNoise(str(tmp_path))(audio, lengths, generator())
