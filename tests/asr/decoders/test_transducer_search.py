"""The transducer's search against all texts, and against a walk by hand."""

import itertools

import pytest
import torch

from s2s_asr.decoders.transducer_search import TransducerSearch
from s2s_asr.losses.transducer import utterance_losses
from s2s_core.testing import draw_sequences, pad

VOCAB = 2


def texts(most):
    return [list(ids) for n in range(most + 1) for ids in itertools.product(range(VOCAB), repeat=n)]


def log_probability(built, seen, ids):
    tokens, lengths = torch.tensor([ids], dtype=torch.int64), torch.tensor([len(ids)])
    frames = torch.tensor([seen.shape[1]])
    return -float(utterance_losses(built.scores(seen, frames, tokens, lengths), frames, tokens, lengths))


@torch.no_grad()
def test_the_widest_beam_is_an_exhaustive_search(transducer):
    built = transducer()
    sequences = draw_sequences([3, 1, 4], 4)
    encodings, lengths = pad(sequences)
    seen = built(encodings, lengths)
    found = TransducerSearch(beam_width=64, nbest=10)(built, seen, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = seen[row : row + 1, :length]
        expected = sorted(((log_probability(built, alone, ids), ids) for ids in texts(length)), reverse=True)
        assert len(found[row]) == min(10, len(expected))
        for text, (log_prob, ids) in zip(found[row], expected, strict=False):
            assert text.tokens == ids
            assert text.log_probability == pytest.approx(log_prob, abs=1e-4)


def by_hand(built, seen):
    """The label or blank that is likeliest, one after the other."""
    tokens, frames, t = [], [], 0
    spelt, state = built.step(torch.tensor([VOCAB]), built.start(1, seen))
    while t < len(seen):
        scores = built.join(seen[t], spelt[0])
        if len(tokens) == len(seen):
            scores[:VOCAB] = -torch.inf
        best = int(scores.argmax())
        if best == VOCAB:
            t += 1
        else:
            spelt, state = built.step(torch.tensor([best]), state)
            tokens.append(best)
            frames.append(t)
    return tokens, frames


@torch.no_grad()
def test_a_beam_of_one_takes_the_likeliest_step(transducer):
    built = transducer()
    encodings, lengths = pad(draw_sequences([9, 4, 12, 1], 4, seed=3))
    seen = built(encodings, lengths)
    found = TransducerSearch()(built, seen, lengths)
    for row, length in enumerate(lengths.tolist()):
        assert (found[row][0].tokens, found[row][0].frames) == by_hand(built, seen[row, :length])
    assert any(text[0].tokens for text in found)
    spans = built.spans(seen, lengths, [slice(0, None)] * 4)
    assert [[span.token for span in row] for row in spans] == [text[0].tokens for text in found]
    cut = built.spans(seen, lengths, [slice(2, 8)] * 4)
    for row, text in zip(cut, found, strict=True):
        expected = [(k, t - 2) for k, t in zip(text[0].tokens, text[0].frames, strict=True) if 2 <= t < 8]
        assert [(span.token, span.start) for span in row] == expected
        assert all(0 < span.probability <= 1 for span in row)


@torch.no_grad()
@pytest.mark.parametrize("width", [1, 3])
def test_what_is_found_does_not_depend_on_the_batch(transducer, width):
    built = transducer()
    sequences = draw_sequences([9, 4, 0, 12, 1], 4, seed=5)
    search = TransducerSearch(width, nbest=width)
    alone = []
    for sequence in sequences:
        encodings, lengths = pad([sequence], extra=1)
        alone.append(search(built, built(encodings, lengths), lengths)[0])
    for order in ([0, 1, 2, 3, 4], [3, 2, 0, 4, 1]):
        encodings, lengths = pad([sequences[i] for i in order], filler=100.0, extra=4)
        for i, texts_found in zip(order, search(built, built(encodings, lengths), lengths), strict=True):
            assert [text.tokens for text in texts_found] == [text.tokens for text in alone[i]]
            for text, other in zip(texts_found, alone[i], strict=True):
                assert text.log_probability == pytest.approx(other.log_probability, abs=1e-4)
    assert alone[2][0].tokens == []


@torch.no_grad()
def test_a_text_has_no_more_labels_than_allowed(transducer):
    built = transducer()
    built.joint.bias[VOCAB] = -100.0  # blank never comes but where nothing else may
    encodings, lengths = pad(draw_sequences([6, 3], 4))
    for rate, counts in ((1.0, [6, 3]), (0.5, [3, 2])):
        found = TransducerSearch(labels_per_frame=rate)(built, built(encodings, lengths), lengths)
        assert [len(text[0].tokens) for text in found] == counts


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="beam_width"):
        TransducerSearch(0)
    with pytest.raises(ValueError, match="nbest"):
        TransducerSearch(2, nbest=3)
    with pytest.raises(ValueError, match="labels_per_frame"):
        TransducerSearch(labels_per_frame=0.0)
