"""What every encoder, decoder and loss of the package keeps; parts are found by their base class."""

import pytest
import torch

from s2s_commands.interfaces import Decoder, ImageEncoder, Loss, SoundEncoder
from s2s_core import testing

FRAMES = [41, 30, 23, 50, 9]


def cases(base):
    for cls in testing.find_parts(base):
        for i in range(len(testing.examples_of(cls))):
            yield pytest.param(cls, i, id=f"{cls.__name__}-{i}")


def build(cls, index):
    torch.manual_seed(0)
    return testing.examples_of(cls)[index]


def scalar(x):
    return (x * torch.randn(x.shape, generator=torch.Generator().manual_seed(3))).sum()


def check_gradients(module, output):
    scalar(output).backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize(("cls", "index"), list(cases(SoundEncoder)))
def test_sound_encoders_do_not_see_batch_mates_or_padding(cls, index):
    encoder = build(cls, index).eval()
    sequences = testing.draw_sequences(FRAMES, encoder.in_features)
    with torch.no_grad():
        alone = torch.cat([encoder(*testing.pad([sequence])) for sequence in sequences])
        assert alone.shape == (len(FRAMES), encoder.out_features)
        for filler, extra in ((0.0, 0), (0.0, 13), (1.0, 13), (1e3, 13)):
            together = encoder(*testing.pad(sequences, filler, extra))
            torch.testing.assert_close(together, alone, atol=2e-5, rtol=1e-4)
        assert not torch.allclose(alone[0], alone[1], atol=1e-3)


@pytest.mark.parametrize(("cls", "index"), list(cases(SoundEncoder)))
def test_sound_encoders_ignore_padding_in_training_and_reach_every_parameter(cls, index):
    encoder = build(cls, index).train()
    start = {name: value.clone() for name, value in encoder.state_dict().items()}
    sequences = testing.draw_sequences(FRAMES, encoder.in_features)
    plain = encoder(*testing.pad(sequences))
    encoder.load_state_dict(start)
    noisy = encoder(*testing.pad(sequences, 10.0, 13))
    torch.testing.assert_close(noisy, plain, atol=1e-4, rtol=1e-4)
    check_gradients(encoder, noisy)


@pytest.mark.parametrize(("cls", "index"), list(cases(SoundEncoder)))
def test_sound_encoders_stay_near_in_bfloat16(cls, index):
    encoder = build(cls, index).eval()
    batch = testing.pad(testing.draw_sequences(FRAMES, encoder.in_features))
    exact = encoder(*batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = encoder(*batch).float()
    assert (rough - exact).norm() < 0.1 * exact.norm()


@pytest.mark.parametrize(("cls", "index"), list(cases(ImageEncoder)))
def test_image_encoders_do_not_see_batch_mates(cls, index):
    encoder = build(cls, index).eval()
    size = encoder.describe()["init_args"].get("image_size") or 67
    images = torch.randn(3, encoder.in_channels, size, size, generator=torch.Generator().manual_seed(1))
    together = encoder(images)
    assert together.shape == (3, encoder.out_features)
    alone = torch.cat([encoder(image[None]) for image in images])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("cls", "index"), list(cases(Decoder)))
def test_decoders_score_each_row_alone(cls, index):
    decoder = build(cls, index).eval()
    encodings = torch.randn(5, decoder.in_features, generator=torch.Generator().manual_seed(1))
    logits = decoder(encodings)
    assert logits.shape == (5, decoder.num_classes)
    torch.testing.assert_close(torch.cat([decoder(row[None]) for row in encodings]), logits)
    check_gradients(decoder, logits)


@pytest.mark.parametrize(("cls", "index"), list(cases(Loss)))
def test_losses_are_sums_over_rows(cls, index):
    loss = build(cls, index)
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(5, 4, generator=generator, requires_grad=True)
    targets = torch.rand(5, 4, generator=generator).softmax(dim=1)
    whole = loss(logits, targets)
    rows = [loss(logits[i : i + 1], targets[i : i + 1]) for i in range(5)]
    torch.testing.assert_close(whole.total, sum(row.total for row in rows))
    torch.testing.assert_close(whole.weight, torch.tensor(5.0))
    whole.mean.backward()
    assert logits.grad.abs().sum(dim=1).min() > 0
    low = loss(logits.bfloat16(), targets)
    assert low.total.dtype == torch.float32
