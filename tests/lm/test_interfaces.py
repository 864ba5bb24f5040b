"""Contracts of every body and output layer of a language model, found by their base classes."""

import pytest
import torch

from s2s_core import testing
from s2s_core.testing.contracts import disturb
from s2s_lm.interfaces import IGNORED, LmDecoder, LmEncoder, LmLoss, keep_state, select_rows

ROWS, TIME, VOCAB = 4, 9, 11


def cases(base):
    for cls in testing.find_parts(base):
        for i in range(len(testing.examples_of(cls))):
            yield pytest.param(cls, i, id=f"{cls.__name__}-{i}")


def build(cls, index):
    torch.manual_seed(0)
    return disturb(testing.examples_of(cls)[index])


@pytest.fixture
def tokens():
    return torch.randint(VOCAB, (ROWS, TIME), generator=torch.Generator().manual_seed(1))


ENCODERS, DECODERS, LOSSES = list(cases(LmEncoder)), list(cases(LmDecoder)), list(cases(LmLoss))


@pytest.mark.parametrize(("cls", "index"), ENCODERS)
class TestEncoder:
    def test_segments_give_what_the_whole_gives(self, cls, index, tokens):
        encoder = build(cls, index).double().eval()
        encoder.memory = TIME  # of those that have one
        whole, end = encoder(tokens, encoder.initial_state(ROWS))
        state, parts = encoder.initial_state(ROWS), []
        for piece in tokens.split([1, 4, 2, 2], dim=1):
            out, state = encoder(piece, keep_state(state, torch.zeros(ROWS, dtype=torch.bool)))
            parts.append(out)
        torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-9, atol=1e-9)
        for a, b in zip(state, end, strict=True):
            torch.testing.assert_close(a, b)

    def test_does_not_see_the_future(self, cls, index, tokens):
        encoder = build(cls, index).eval()
        changed = tokens.clone()
        changed[:, 5:] = (changed[:, 5:] + 1) % VOCAB
        a, b = (encoder(x, encoder.initial_state(ROWS))[0] for x in (tokens, changed))
        torch.testing.assert_close(a[:, :5], b[:, :5])
        assert not torch.allclose(a[:, 5:], b[:, 5:])

    def test_rows_end_where_they_end(self, cls, index, tokens):
        encoder = build(cls, index).double().eval()
        encoder.memory = 2 * TIME
        lengths = [3, TIME, 0, 6]
        first, state = encoder(tokens, encoder.initial_state(ROWS))
        ragged, after = encoder(tokens, state, lengths)
        for row, length in enumerate(lengths):
            alone_state = select_rows(state, torch.tensor([row]))
            assert not ragged[row, length:].any()
            if length:
                alone, alone_after = encoder(tokens[row : row + 1, :length], alone_state)
                torch.testing.assert_close(ragged[row : row + 1, :length], alone, rtol=1e-9, atol=1e-9)
            following, _ = encoder(tokens[row : row + 1], alone_after if length else alone_state)
            again, _ = encoder(tokens[row : row + 1], select_rows(after, torch.tensor([row])))
            torch.testing.assert_close(again, following, rtol=1e-9, atol=1e-9)
        assert first.dtype == ragged.dtype == torch.float64

    def test_a_row_that_starts_forgets(self, cls, index, tokens):
        encoder = build(cls, index).eval()
        fresh, _ = encoder(tokens, encoder.initial_state(ROWS))
        _, state = encoder(tokens.flip(1), encoder.initial_state(ROWS))
        out, _ = encoder(tokens, keep_state(state, torch.tensor([True, False, True, False])))
        torch.testing.assert_close(out[::2], fresh[::2])
        assert not torch.allclose(out[1::2], fresh[1::2], atol=1e-3)

    @pytest.mark.parametrize("lengths", [None, [9, 2, 5, 1]])
    def test_gradients_reach_every_parameter(self, cls, index, tokens, lengths):
        encoder = build(cls, index).train()
        state = tuple(torch.randn_like(p) if p.is_floating_point() else p + 2 for p in encoder.initial_state(ROWS))
        out, _ = encoder(tokens, state, lengths)
        (out * torch.randn(out.shape)).sum().backward()
        for name, parameter in encoder.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.any(), name

    def test_half_precision_is_near(self, cls, index, tokens):
        encoder = build(cls, index).eval()
        exact, _ = encoder(tokens, encoder.initial_state(ROWS))
        with torch.autocast("cpu", torch.bfloat16):
            rough, state = encoder(tokens, encoder.initial_state(ROWS))
        assert (rough.float() - exact).norm() < 0.05 * exact.norm()
        assert all(torch.isfinite(part).all() for part in state)

    def test_half_precision_weights_serve(self, cls, index, tokens):
        encoder = build(cls, index).eval()
        exact, _ = encoder(tokens, encoder.initial_state(ROWS))
        rough, _ = (half := encoder.bfloat16())(tokens, half.initial_state(ROWS))
        assert rough.dtype == torch.bfloat16
        assert (rough.float() - exact).norm() < 0.05 * exact.norm()


@pytest.mark.parametrize(("cls", "index"), DECODERS)
class TestDecoder:
    def test_is_a_distribution_and_nll_is_its_log(self, cls, index):
        decoder = build(cls, index).double()
        encodings = torch.randn(50, decoder.in_features, dtype=torch.float64)
        targets = torch.arange(50) % VOCAB
        log_probs = decoder.log_probs(encodings)
        torch.testing.assert_close(log_probs.exp().sum(1), torch.ones(50), check_dtype=False)
        expected = -log_probs[torch.arange(50), targets]
        torch.testing.assert_close(decoder.nll(encodings, targets), expected, check_dtype=False, rtol=1e-5, atol=1e-5)
        targets[7] = IGNORED
        nll = decoder.nll(encodings, targets)
        assert nll[7] == 0
        torch.testing.assert_close(decoder.total_nll(encodings, targets), nll.sum(), check_dtype=False)

    def test_gradients(self, cls, index):
        decoder = build(cls, index)
        decoder.total_nll(torch.randn(60, decoder.in_features), torch.arange(60) % VOCAB).backward()
        assert all(p.grad is not None and p.grad.any() for p in decoder.parameters())


@pytest.mark.parametrize(("cls", "index"), LOSSES)
def test_losses_leave_out_what_is_ignored(cls, index):
    from s2s_lm.decoders.linear import LinearDecoder

    loss, decoder = build(cls, index), LinearDecoder(6, VOCAB, tied=False)
    encodings, targets = torch.randn(8, 6), torch.tensor([1, 2, IGNORED, 4, IGNORED, 0, 10, 3])
    kept = targets >= 0
    torch.manual_seed(3)
    total = loss(decoder, encodings, targets)
    torch.manual_seed(3)
    only = loss(decoder, encodings[kept], targets[kept])
    assert total.weight == only.weight == 6
    torch.testing.assert_close(total.total, only.total)
    assert total.total.dtype == torch.float32
