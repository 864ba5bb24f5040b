import jsonargparse
import numpy as np
import pytest
import soundfile
import torch

from s2s_core.audio.augment import (
    Augment,
    BackgroundNoise,
    FeatureAugment,
    Gain,
    RandomCrop,
    SpecAugment,
    SpeedPerturb,
    WaveAugment,
    WhiteNoise,
)
from s2s_core.errors import UserError
from s2s_core.nn.mask import length_mask

RATE = 16000


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def decibels(ratio):
    return 20 * np.log10(ratio)


def rms(x):
    return float(x.double().square().mean().sqrt())


def batch(lengths, width=None, seed=9):
    """Noise whose loudness differs from row to row, zero after each end."""
    lengths = torch.tensor(lengths)
    audio = torch.randn(len(lengths), width or int(lengths.max()), generator=generator(seed))
    audio = audio * torch.linspace(0.05, 0.3, len(lengths))[:, None]
    return audio * length_mask(lengths, audio.size(1)), lengths


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


@pytest.fixture(
    params=["speed", "speed range", "white", "background", "gain", "crop"],
)
def wave_augment(request, noise_folder):
    return {
        "speed": SpeedPerturb(),
        "speed range": SpeedPerturb(max_change=0.05),
        "white": WhiteNoise(-40, -20, probability=0.7),
        "background": BackgroundNoise(noise_folder, 0, 20, probability=0.7),
        "gain": Gain(),
        "crop": RandomCrop(0.5),
    }[request.param]


def test_waves_are_repeatable_and_padding_stays_zero(wave_augment):
    audio, lengths = batch([16000, 9000, 400, 12000, 15999, 7], width=17000)
    before = audio.clone()
    first, first_lengths = wave_augment(audio, lengths, generator(1))
    again, again_lengths = wave_augment(audio, lengths, generator(1))
    other, _ = wave_augment(audio, lengths, generator(2))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    torch.testing.assert_close(first_lengths, again_lengths)
    assert other.shape != first.shape or not torch.equal(other, first)
    assert first.size(1) >= first_lengths.max()
    assert first.masked_select(~length_mask(first_lengths, first.size(1))).abs().sum() == 0
    torch.testing.assert_close(audio, before, rtol=0, atol=0)


def test_waves_draw_from_the_given_generator_only(wave_augment):
    audio, lengths = batch([4000, 3000])
    wave_augment(audio, lengths, generator())
    state = torch.get_rng_state()
    given = generator()
    wave_augment(audio, lengths, given)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(given.get_state(), generator().get_state())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_device_does_not_matter_to_waves(wave_augment):
    audio, lengths = batch([16000, 9000, 400, 12000])
    expected, expected_lengths = wave_augment(audio, lengths, generator(1))
    actual, actual_lengths = wave_augment(audio.cuda(), lengths.cuda(), generator(1))
    assert actual_lengths.tolist() == expected_lengths.tolist()
    torch.testing.assert_close(actual[:, : expected.size(1)].cpu(), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("factor", [0.9, 1.1, 1.25, 0.5])
def test_speed_divides_the_length_and_multiplies_the_frequency(factor):
    time = torch.arange(RATE) / RATE
    audio = torch.stack([torch.sin(2 * torch.pi * 500 * time), torch.sin(2 * torch.pi * 1000 * time)])
    lengths = torch.tensor([RATE, RATE // 2])
    audio = audio * length_mask(lengths, RATE)
    changed, changed_lengths = SpeedPerturb([factor])(audio, lengths, generator())
    assert changed_lengths.tolist() == [-(-RATE * 100 // round(100 * factor)), -(-RATE * 50 // round(100 * factor))]
    for row, count, hertz in zip(changed, changed_lengths.tolist(), (500, 1000), strict=True):
        inner = row[200 : count - 200]
        spectrum = torch.fft.rfft(inner * torch.hann_window(len(inner)), 8 * RATE).abs()
        assert int(spectrum.argmax()) / 8 == pytest.approx(hertz * factor, rel=2e-3)
        assert rms(inner) == pytest.approx(0.5**0.5, rel=0.01)


def test_speed_draws_every_factor_for_each_utterance_evenly():
    audio, lengths = batch([1100] * 300)
    _, changed = SpeedPerturb([0.5, 1.0, 1.1])(audio, lengths, generator())
    values, counts = changed.unique(return_counts=True)
    assert values.tolist() == [1000, 1100, 2200]
    assert counts.min() > 70
    _, changed = SpeedPerturb(max_change=0.1)(audio, lengths, generator())
    assert (changed.min(), changed.max()) == (1000, 1223)
    assert len(changed.unique()) == 21


def test_speed_one_is_nothing():
    audio, lengths = batch([900, 400])
    changed, changed_lengths = SpeedPerturb([1.0])(audio, lengths, generator())
    torch.testing.assert_close(changed, audio, rtol=0, atol=0)
    assert changed_lengths.tolist() == [900, 400]


def test_an_utterance_sounds_the_same_in_any_batch():
    audio, lengths = batch([5000, 3000], width=6000)
    together, _ = SpeedPerturb([0.9])(audio, lengths, generator())
    alone, count = SpeedPerturb([0.9])(audio[1:, :3000], lengths[1:], generator())
    torch.testing.assert_close(together[1, : int(count)], alone[0], atol=1e-6, rtol=0)


@pytest.mark.parametrize("level_db", [-90.0, -46.0, -20.0])
def test_white_noise_has_its_level_under_the_peak(level_db):
    audio, lengths = batch([60000, 40000, 50000])
    noisy, _ = WhiteNoise(level_db, level_db)(audio.double(), lengths, generator())
    for row, before, count in zip(noisy, audio.double(), lengths.tolist(), strict=True):
        noise = (row - before)[:count]
        assert decibels(rms(noise) / float(before.abs().max())) == pytest.approx(level_db, abs=0.1)
        assert abs(float(noise.mean())) < 0.02 * rms(noise)
        assert float((noise.abs() < rms(noise)).double().mean()) == pytest.approx(0.683, abs=0.01)


def test_white_noise_levels_are_even_between_the_ends_and_some_rows_stay_clean():
    audio, lengths = batch([2000] * 400)
    noisy, _ = WhiteNoise(-60, -20, probability=0.5)(audio, lengths, generator())
    noise = (noisy - audio).double().square().mean(1).sqrt()
    clean = noise == 0
    assert float(clean.double().mean()) == pytest.approx(0.5, abs=0.08)
    levels = 20 * torch.log10(noise[~clean] / audio[~clean].abs().amax(1))
    assert -60.5 < levels.min() < -58
    assert -22 < levels.max() < -19.5
    assert float(levels.mean()) == pytest.approx(-40, abs=2.5)


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


def test_gain_is_even_in_decibels():
    audio, lengths = batch([500] * 300)
    louder, _ = Gain(-12, 6)(audio, lengths, generator())
    gains = 20 * torch.log10(louder[:, 0] / audio[:, 0])
    assert -12 <= gains.min() < -11.5
    assert 5.5 < gains.max() <= 6.0001
    assert float(gains.mean()) == pytest.approx(-3, abs=1)
    torch.testing.assert_close(louder / audio, (louder[:, :1] / audio[:, :1]).expand_as(audio))


def test_crop_keeps_a_stretch_and_spares_short_utterances():
    audio = torch.arange(1.0, 3001).repeat(400, 1)
    lengths = torch.full((400,), 3000)
    lengths[::2] = 700
    audio = audio * length_mask(lengths, 3000)
    cropped, counts = RandomCrop(0.0625)(audio, lengths, generator())
    assert cropped.shape == (400, 1000)
    assert counts.unique().tolist() == [700, 1000]
    torch.testing.assert_close(cropped[::2, :700], audio[::2, :700])
    long = cropped[1::2]
    torch.testing.assert_close(long - long[:, :1], torch.arange(1000.0).expand(200, 1000))
    assert 1 <= long[:, 0].min() < 100
    assert 1900 < long[:, 0].max() <= 2001
    reached, _ = RandomCrop(2999 / RATE)(audio[1:2].expand(50, -1), lengths[1:2].expand(50), generator())
    assert reached[:, 0].unique().tolist() == [1, 2]


def runs(masked):
    """The lengths of the runs of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], masked.astype(int), [0]])))
    return edges[1::2] - edges[::2]


def test_masks_have_every_width_from_0_to_the_maximum_evenly():
    features, lengths = torch.ones(4000, 50, 40), torch.full((4000,), 50)
    masked = SpecAugment(freq_masks=1, freq_width=4, time_masks=0)(features, lengths, generator())
    bands = (masked == 0).all(1).sum(1)
    assert ((masked == 0).any(1).sum(1) == bands).all()
    np.testing.assert_allclose(np.bincount(bands, minlength=5) / 4000, 0.2, atol=0.03)
    masked = SpecAugment(freq_masks=0, time_masks=1, time_width=7)(features, lengths, generator())
    widths = (masked == 0).all(2).sum(1)
    np.testing.assert_allclose(np.bincount(widths, minlength=8) / 4000, 0.125, atol=0.03)
    for row in (masked[:200] == 0).all(2).numpy():
        assert len(runs(row)) <= 1


def test_masks_reach_every_place_alike_and_only_the_utterance():
    features = torch.ones(6000, 20, 10)
    lengths = torch.full((6000,), 12)
    features = features * length_mask(lengths, 20)[:, :, None]
    masked = SpecAugment(freq_masks=0, time_masks=1, time_width=1)(features, lengths, generator())
    hits = ((masked == 0).all(2) & length_mask(lengths, 20)).double().mean(0)
    np.testing.assert_allclose(hits[:12], 0.5 / 12, atol=0.01)
    masked = SpecAugment(freq_masks=1, freq_width=1, time_masks=0)(features, lengths, generator())
    np.testing.assert_allclose((masked[:, 0] == 0).double().mean(0), 0.5 / 10, atol=0.01)


def test_masks_spare_the_rest_and_are_at_most_as_many_as_asked():
    features = torch.randn(200, 100, 64, generator=generator(5)) + 10
    lengths = torch.full((200,), 100)
    masked = SpecAugment(2, 6, 3, 10)(features, lengths, generator())
    kept = masked != 0
    torch.testing.assert_close(masked[kept], features[kept], rtol=0, atol=0)
    times, bands = (~kept).all(2), (~kept).all(1)
    assert torch.equal(~kept, times[:, :, None] | bands[:, None, :])
    assert times.sum(1).max() <= 30
    assert times.sum(1).double().mean() > 10
    assert bands.sum(1).max() <= 12
    assert max(len(runs(row)) for row in times.numpy()) == 3


def test_a_stretch_is_at_most_its_part_of_an_utterance():
    features, lengths = torch.ones(500, 100, 4), torch.tensor([100, 10, 1, 40, 0] * 100)
    masked = SpecAugment(0, 0, 1, 50, max_time_fraction=0.2)(features, lengths, generator())
    hidden = (masked == 0).all(2).sum(1)
    for count in (100, 10, 1, 40, 0):
        assert hidden[lengths == count].max() == count // 5


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_device_does_not_matter_to_masks():
    features, lengths = torch.randn(64, 300, 80), torch.randint(1, 301, (64,))
    expected = SpecAugment(2, 20, 2, 70, 0.5)(features, lengths, generator())
    actual = SpecAugment(2, 20, 2, 70, 0.5)(features.cuda(), lengths.cuda(), generator())
    torch.testing.assert_close(actual.cpu(), expected, rtol=0, atol=0)


def test_a_chain_applies_all_in_order():
    class Times(WaveAugment):
        def __init__(self, by: float) -> None:
            self.by = by

        def __call__(self, audio, audio_lengths, generator):
            return audio * self.by, audio_lengths

    class Plus(WaveAugment):
        def __call__(self, audio, audio_lengths, generator):
            return audio + 1, audio_lengths - 1

    class Negated(FeatureAugment):
        def __call__(self, features, lengths, generator):
            return -features

    chain = Augment([Times(3), Plus()], [Negated()])
    audio, lengths = chain.wave_batch(torch.ones(1, 5), torch.tensor([5]), generator())
    assert audio.unique().tolist() == [4]
    assert lengths.tolist() == [4]
    assert chain.feature_batch(torch.ones(1, 5, 2), torch.tensor([5]), generator()).unique().tolist() == [-1]
    audio, _ = Augment().wave_batch(torch.ones(1, 5), torch.tensor([5]), generator())
    assert audio.unique().tolist() == [1]


def test_a_recipe_names_a_chain_and_a_description_builds_the_same():
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Augment, "augment")
    prefix = "s2s_core.audio.augment"
    node = {
        "class_path": f"{prefix}.Augment",
        "init_args": {
            "wave": [{"class_path": f"{prefix}.SpeedPerturb", "init_args": {"factors": [0.9, 1.0]}}],
            "features": [{"class_path": f"{prefix}.SpecAugment", "init_args": {"time_width": 9}}],
        },
    }
    built = parser.instantiate(parser.parse_object({"augment": node})).augment
    assert built.wave[0].factors == [0.9, 1.0]
    assert built.features[0].time_width == 9
    again = parser.instantiate(parser.parse_object({"augment": built.describe()})).augment
    assert again.describe() == built.describe()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SpeedPerturb([0.9, 0.0]), r"0\.0"),
        (lambda: SpeedPerturb([]), r"\[\]"),
        (lambda: SpeedPerturb([0.9], max_change=0.1), "exclude"),
        (lambda: WhiteNoise(-10, -20), "min_db is -10.*-20"),
        (lambda: WhiteNoise(probability=1.5), "1.5"),
        (lambda: BackgroundNoise("x", 20, 10), "min_snr_db is 20"),
        (lambda: BackgroundNoise("x", probability=-1), "-1"),
        (lambda: Gain(1, 0), "min_db is 1"),
        (lambda: RandomCrop(0), "0"),
        (lambda: SpecAugment(freq_masks=-1), "-1"),
        (lambda: SpecAugment(max_time_fraction=2), "2"),
    ],
)
def test_wrong_values_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
