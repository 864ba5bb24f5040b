import jsonargparse
import pytest
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
from s2s_core.nn.mask import length_mask
from waves import batch, generator


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
