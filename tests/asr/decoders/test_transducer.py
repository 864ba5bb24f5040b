"""The transducer's networks."""

import pytest
import torch

from s2s_asr.decoders.transducer import TransducerDecoder
from s2s_asr.losses.transducer import utterance_losses
from s2s_core.testing import draw_sequences, pad

VOCAB = 2


@torch.no_grad()
def test_steps_give_what_training_computes(transducer):
    built = transducer()
    tokens = torch.tensor([[1, 0, 0], [0, 1, 1]])
    spelt = built.spell(tokens)
    state = built.start(2, spelt)
    for u, ids in enumerate([torch.tensor([VOCAB, VOCAB]), *tokens.T]):
        out, state = built.step(ids, state)
        torch.testing.assert_close(out, spelt[:, u])
    lattice = built.scores(torch.randn(2, 5, 8), torch.tensor([5, 5]), tokens, torch.tensor([3, 3]))
    assert lattice.shape == (2, 5, 4, VOCAB + 1)


@torch.no_grad()
def test_what_comes_later_does_not_change_what_was_spelt(transducer):
    built = transducer()
    spelt, other = built.spell(torch.tensor([[1, 0, 0]])), built.spell(torch.tensor([[1, 0, 1]]))
    torch.testing.assert_close(spelt[:, :3], other[:, :3])
    assert not torch.allclose(spelt[:, 3], other[:, 3])


def test_gradients_reach_every_parameter_and_no_padding(transducer):
    built = transducer().train()
    encodings, lengths = pad(draw_sequences([5, 3], 4), filler=1.0, extra=2)
    encodings.requires_grad_()
    tokens, token_lengths = torch.tensor([[1, 0], [0, 0]]), torch.tensor([2, 1])
    lattice = built.scores(built(encodings, lengths), lengths, tokens, token_lengths)
    utterance_losses(lattice, lengths, tokens, token_lengths).sum().backward()
    for name, parameter in built.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
    assert not encodings.grad[0, 5:].any()
    assert not encodings.grad[1, 3:].any()


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="positive"):
        TransducerDecoder(0, 3)
