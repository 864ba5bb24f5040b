"""The contracts of the parts of synthesis: batch-mates and padding change no utterance, gradients reach all of them."""

import pytest
import torch

from s2s_core import testing
from s2s_core.testing.contracts import disturb
from s2s_tts.interfaces import Loss, Memory, Prediction, Spectrogram, SpectrogramDecoder, StyleEncoder, TextEncoder

TOKENS = [[0, 3, 1, 1, 5, 2, 4], [2, 2], [5, 0, 1, 4], [3]]
FRAMES = [13, 4, 9, 2]


def cases(base):
    return [
        pytest.param(cls, index, id=f"{cls.__name__}-{index}")
        for cls in testing.find_parts(base)
        for index in range(len(cls.examples()))
    ]


def build(cls, index):
    torch.manual_seed(0)
    part = testing.examples_of(cls)[index]
    return disturb(part) if isinstance(part, torch.nn.Module) else part


def tokens_of(rows, extra=0, filler=0):
    lengths = torch.tensor([len(TOKENS[row]) for row in rows])
    tokens = torch.full((len(rows), int(lengths.max()) + extra), filler)
    for place, row in enumerate(rows):
        tokens[place, : lengths[place]] = torch.tensor(TOKENS[row])
    return tokens, lengths


def memory_of(decoder, rows, extra=0):
    values, lengths = testing.pad(
        [testing.draw_sequences([len(TOKENS[r])], decoder.in_features, seed=r)[0] for r in rows]
    )
    return Memory(torch.nn.functional.pad(values, (0, 0, 0, extra)), lengths)


def spectrogram_of(bands, rows, bins=None, extra=0, filler=0.0):
    mel, lengths = testing.pad([testing.draw_sequences([FRAMES[r]], bands, seed=r)[0] for r in rows], filler, extra)
    magnitude = None
    if bins:
        drawn = [testing.draw_sequences([FRAMES[r]], bins, seed=r + 9)[0] for r in rows]
        magnitude = testing.pad(drawn, filler, extra)[0]
    return Spectrogram(mel, lengths, magnitude)


BATCHES = [([0, 1, 2, 3], 0), ([3, 2, 1, 0], 5), ([1, 3], 3)]
SEEDS = torch.tensor([11, 7, 2**40, 0])


@pytest.mark.parametrize(("cls", "index"), cases(TextEncoder))
def test_an_encoding_does_not_depend_on_the_batch(cls, index):
    encoder = build(cls, index).eval()
    with torch.no_grad():
        alone = [encoder(*tokens_of([row]))[0] for row in range(4)]
        for rows, extra in BATCHES:
            for filler in (0, 3):
                encodings = encoder(*tokens_of(rows, extra, filler))
                assert encodings.shape[2] == encoder.out_features
                for place, row in enumerate(rows):
                    length = len(TOKENS[row])
                    torch.testing.assert_close(encodings[place, :length], alone[row], atol=1e-5, rtol=1e-5)
                    assert not encodings[place, length:].any()


@pytest.mark.parametrize(("cls", "index"), cases(TextEncoder))
def test_gradients_reach_every_parameter_of_an_encoder(cls, index):
    encoder = build(cls, index).train()
    encodings = encoder(*tokens_of([0, 1, 2, 3], 4))
    (encodings * torch.randn(encodings.shape)).sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


@pytest.mark.parametrize(("cls", "index"), cases(StyleEncoder))
def test_a_style_does_not_depend_on_the_batch(cls, index):
    encoder = build(cls, index).eval()
    with torch.no_grad():
        alone = [encoder(spectrogram_of(4, [row]))[0] for row in range(4)]
        for rows, extra in BATCHES:
            styles = encoder(spectrogram_of(4, rows, extra=extra, filler=100.0))
            for place, row in enumerate(rows):
                torch.testing.assert_close(styles[place], alone[row], atol=1e-5, rtol=1e-5)


def parts_of(prediction, row):
    mel = prediction.spectrogram.mel
    steps = -(-int(prediction.spectrogram.lengths[row]) * prediction.stop_logits.shape[1] // mel.shape[1])
    frames = int(prediction.spectrogram.lengths[row])
    found = [mel[row, :frames]]
    if prediction.coarse is not None:
        found.append(prediction.coarse[row, :frames])
    if prediction.spectrogram.magnitude is not None:
        found.append(prediction.spectrogram.magnitude[row, :frames])
    return [*found, prediction.stop_logits[row, :steps]]


def assert_same(found, alone, decoder, row):
    frames = int(alone.spectrogram.lengths[0])
    steps = -(-frames // decoder.reduction_factor)
    assert int(found.spectrogram.lengths[row]) == frames
    for name in ("coarse", "mel", "magnitude"):
        a, b = (getattr(p.spectrogram if name != "coarse" else p, name) for p in (found, alone))
        if b is not None:
            torch.testing.assert_close(a[row, :frames], b[0, :frames], atol=2e-5, rtol=1e-5)
            assert not a[row, frames:].any(), f"{name} after the end is not zero"
    torch.testing.assert_close(found.stop_logits[row, :steps], alone.stop_logits[0, :steps], atol=2e-5, rtol=1e-5)
    tokens = alone.alignments.shape[2]
    torch.testing.assert_close(
        found.alignments[row, :steps, :tokens], alone.alignments[0, :steps], atol=2e-5, rtol=1e-5
    )
    assert not found.alignments[row, :steps, tokens:].any()


@pytest.mark.parametrize(("cls", "index"), cases(SpectrogramDecoder))
def test_a_spectrogram_does_not_depend_on_the_batch(cls, index):
    decoder = build(cls, index).eval()
    limits = torch.tensor([9, 12, 5, 7])
    with torch.no_grad():
        for rows, extra in BATCHES:
            target = spectrogram_of(4, rows, extra=extra, filler=50.0)
            forced = decoder(memory_of(decoder, rows, extra), target, SEEDS[rows])
            made = decoder.generate(memory_of(decoder, rows, extra), SEEDS[rows], limits[rows])
            for place, row in enumerate(rows):
                alone = decoder(memory_of(decoder, [row]), spectrogram_of(4, [row]), SEEDS[[row]])
                assert_same(forced, alone, decoder, place)
                alone = decoder.generate(memory_of(decoder, [row]), SEEDS[[row]], limits[[row]])
                assert_same(made, alone, decoder, place)


@pytest.mark.parametrize(("cls", "index"), cases(SpectrogramDecoder))
def test_training_gives_every_parameter_a_gradient_and_ignores_padding(cls, index):
    decoder = build(cls, index).train()
    start = {name: value.clone() for name, value in decoder.state_dict().items()}
    results = []
    for extra, filler in ((0, 0.0), (6, 100.0)):
        decoder.load_state_dict(start)
        decoder.zero_grad()
        torch.manual_seed(0)
        target = spectrogram_of(4, [0, 1, 2, 3], extra=extra * decoder.reduction_factor, filler=filler)
        prediction = decoder(memory_of(decoder, [0, 1, 2, 3], extra), target, SEEDS)
        pieces = [piece for row in range(4) for piece in parts_of(prediction, row)]
        torch.manual_seed(1)
        sum((piece * torch.randn(piece.shape)).sum() for piece in pieces).backward()
        results.append({name: parameter.grad for name, parameter in decoder.named_parameters()})
    for name, gradient in results[0].items():
        assert gradient is not None, name
        assert gradient.any(), name
        torch.testing.assert_close(results[1][name], gradient, atol=1e-4, rtol=1e-3, msg=lambda m, n=name: f"{n}: {m}")


def prediction_of(rows, extra=0, filler=0.0):
    """A prediction of two frames a step."""
    target = spectrogram_of(4, rows, 5, extra, filler)
    steps = -(-target.mel.shape[1] // 2)
    draw = [testing.draw_sequences([50], 12, seed=20 + r)[0] for r in rows]
    coarse = torch.stack([d[: target.mel.shape[1], :4] for d in draw]).requires_grad_()
    mel = torch.stack([d[: target.mel.shape[1], 4:8] for d in draw]).requires_grad_()
    magnitude = torch.stack([d[: target.mel.shape[1], :5] for d in draw]).requires_grad_()
    tokens = max(len(TOKENS[r]) for r in rows)
    alignments = torch.stack([d[:steps].softmax(1)[:, :tokens] for d in draw]).requires_grad_()
    stop = torch.stack([d[:steps, 9] for d in draw]).requires_grad_()
    ended = torch.ones(len(rows), dtype=torch.bool)
    return Prediction(coarse, Spectrogram(mel, target.lengths, magnitude), stop, alignments, ended, 2), target


@pytest.mark.parametrize(("cls", "index"), cases(Loss))
def test_a_loss_is_the_sum_of_its_rows_and_ignores_padding(cls, index):
    loss = build(cls, index)
    token_lengths = torch.tensor([len(row) for row in TOKENS])
    rows = [loss(*prediction_of([row]), token_lengths[[row]]) for row in range(4)]
    for extra, filler in ((0, 0.0), (8, 100.0)):
        prediction, target = prediction_of([0, 1, 2, 3], extra, filler)
        found = loss(prediction, target, token_lengths)
        assert float(found.sum.weight) == sum(FRAMES)
        assert float(found.sum.total.detach()) == pytest.approx(
            sum(float(row.sum.total.detach()) for row in rows), rel=1e-5
        )
        assert float(sum(found.parts.values()).detach()) == pytest.approx(float(found.sum.total.detach()), rel=1e-5)
        found.sum.mean.backward()
        for row, frames in enumerate(FRAMES):
            assert prediction.coarse.grad[row, :frames].any()
            assert not prediction.coarse.grad[row, frames:].any()
            assert not prediction.spectrogram.mel.grad[row, frames:].any()
            assert not prediction.stop_logits.grad[row, -(-frames // 2) :].any()
