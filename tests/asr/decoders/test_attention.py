"""The attending decoder: its search and its training compute the same."""

import pytest
import torch

from s2s_asr.decoders.attention import AttentionDecoder
from s2s_asr.decoders.attention_search import AttentionSearch
from s2s_asr.interfaces import FoundText
from s2s_asr.losses.cross_entropy import CrossEntropyLoss
from s2s_core.testing import draw_sequences, pad

VOCAB = END = 2
FEATURES = 4


@torch.no_grad()
@pytest.mark.parametrize("max_positions", [0, 3])
def test_steps_give_what_training_computes(attention, max_positions):
    built = attention(max_positions=max_positions)
    encodings, lengths = pad(draw_sequences([6, 4], FEATURES), filler=9.0, extra=2)
    seen = built(encodings, lengths)
    tokens = torch.tensor([[1, 0, 0, 1], [0, 1, 1, 0]])
    logits, weights = built.spell(seen, tokens)
    state = built.start(seen)
    for u, ids in enumerate([torch.tensor([END, END]), *tokens.T]):
        out, state = built.step(ids, state)
        torch.testing.assert_close(out, logits[:, u])
        torch.testing.assert_close(state.attention, weights[:, u])
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 5))
    assert not weights[1, :, 4:].any()


@torch.no_grad()
def test_places_beyond_the_last_share_its_vector(attention):
    built = attention(max_positions=3)
    seen = built(*pad(draw_sequences([6], FEATURES)))
    embedded = built._embedded(torch.zeros(5, dtype=torch.int64), torch.arange(5))
    assert not torch.equal(embedded[1], embedded[2])
    assert torch.equal(embedded[2], embedded[4])
    assert built.scores(seen, torch.tensor([6]), torch.zeros(1, 5, dtype=torch.int64), torch.tensor([5])).shape[1] == 6


@torch.no_grad()
def test_labels_are_where_attention_looks(attention):
    built = attention()
    encodings, lengths = pad(draw_sequences([7, 5], FEATURES))
    seen = built(encodings, lengths)
    text = [[1, 0, 1], [0]]
    rows = built.locate([FoundText(ids, 0.0) for ids in text], seen, lengths, [slice(0, None), slice(2, 4)])
    for row, ids in enumerate(text):
        logits, weights = built.spell(seen, torch.tensor([ids, ids]))
        places = weights[row, : len(ids)].argmax(-1).cummax(0).values.tolist()
        chances = logits[row, : len(ids)].softmax(-1).gather(1, torch.tensor(ids)[:, None])[:, 0].tolist()
        expected = list(zip(ids, places, chances, strict=True))
        if row == 1:
            expected = [(k, t - 2, p) for k, t, p in expected if 2 <= t < 4]
        assert [(span.token, span.start) for span in rows[row]] == [(k, t) for k, t, _ in expected]
        assert [span.probability for span in rows[row]] == pytest.approx([p for _, _, p in expected], abs=1e-5)


def test_gradients_reach_every_parameter_and_no_padding(attention):
    built = attention(max_positions=4).train()
    encodings, lengths = pad(draw_sequences([5, 3, 0], FEATURES), filler=1.0, extra=2)
    encodings.requires_grad_()
    tokens, token_lengths = torch.tensor([[1, 0, 1], [0, 1, 0], [0, 0, 0]]), torch.tensor([3, 2, 0])
    scores = built.scores(built(encodings, lengths), lengths, tokens, token_lengths)
    CrossEntropyLoss()(scores, lengths, tokens, token_lengths).mean.backward()
    for name, parameter in built.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name
    for row, length in zip(encodings.grad[:2], (5, 3), strict=True):
        assert row[:length].any()
        assert not row[length:].any()


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="positive"):
        AttentionDecoder(4, 0)
    with pytest.raises(ValueError, match=r"ctc_weight is 0\.3, but there is no CTC"):
        AttentionDecoder(4, 3, search=AttentionSearch(ctc_weight=0.3))
