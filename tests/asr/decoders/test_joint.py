"""Joint decoding against all texts, and its two ends: attention alone and CTC alone."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from s2s_asr.decoders.attention import AttentionDecoder, Location
from s2s_asr.decoders.attention_search import AttentionSearch
from s2s_asr.decoders.joint import JointDecoder
from s2s_asr.losses.joint import JointLoss
from s2s_core.nn.recurrent_stack import RecurrentLayers
from s2s_core.testing import draw_sequences, pad

VOCAB = 2


def decoder(ctc_weight=0.3, **options):
    torch.manual_seed(0)
    attention = AttentionDecoder(4, VOCAB, 5, RecurrentLayers(6, 1), Location(5, 3, 5))
    built = JointDecoder(attention, AttentionSearch(32, nbest=4, ctc_weight=ctc_weight, **options)).eval()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.normal_(std=0.7)
        attention.output.weight *= 2
    return built


def log_probabilities(built, seen, lengths, ids):
    """Of one text: CTC's, and that of attention."""
    tokens, count = torch.tensor([ids], dtype=torch.int64), torch.tensor([len(ids)])
    scores = built.scores(seen, lengths, tokens, count)
    frames = scores.frames.double().log_softmax(-1).transpose(0, 1)
    ctc = -F.ctc_loss(frames, tokens, lengths, count, blank=VOCAB, reduction="sum")
    labels = scores.labels[0].detach().double().log_softmax(-1)
    return float(ctc.detach()), sum(float(labels[i, k]) for i, k in enumerate([*ids, VOCAB]))


@torch.no_grad()
@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_the_widest_beam_is_an_exhaustive_search(weight):
    built = decoder(weight)
    encodings, lengths = pad(draw_sequences([5, 3], 4))
    seen = built(encodings, lengths)
    found = built.search(built.attention, seen.listened, lengths, seen.logits)
    for row, length in enumerate(lengths.tolist()):
        alone = built(encodings[row : row + 1, :length], lengths[row : row + 1])
        texts = [list(ids) for n in range(length) for ids in itertools.product(range(VOCAB), repeat=n)]
        scores = []
        for ids in texts:
            ctc, attention = log_probabilities(built, alone, lengths[row : row + 1], ids)
            scores.append(
                ((0 if weight == 0 else weight * ctc) + (0 if weight == 1 else (1 - weight) * attention), ids)
            )
        for text, (score, ids) in zip(found[row], sorted(scores, reverse=True)[:4], strict=True):
            assert text.tokens == ids
            assert text.score == pytest.approx(score, abs=1e-4)
    assert built.recognise(seen, lengths) == [hypotheses[0].tokens for hypotheses in found]


def test_the_loss_weighs_both():
    built = decoder().train()
    encodings, lengths = pad(draw_sequences([6, 5], 4), filler=5.0, extra=3)
    encodings.requires_grad_()
    tokens, counts = torch.tensor([[1, 0, 1], [0, 1, 9]]), torch.tensor([3, 2])
    tokens[1, 2] = 0
    seen = built(encodings, lengths)
    scores = built.scores(seen, lengths, tokens, counts)
    ctc = attention = 0.0
    for row, ids in enumerate(([1, 0, 1], [0, 1])):
        length = lengths[row : row + 1]
        one = built(encodings[row : row + 1, : int(length)], length)
        of_ctc, of_attention = log_probabilities(built, one, length, ids)
        ctc, attention = ctc - of_ctc, attention - of_attention
    loss = JointLoss(0.25)(scores, lengths, tokens, counts)
    assert float(loss.total) == pytest.approx(0.25 * ctc + 0.75 * attention, rel=1e-4)
    assert float(loss.weight) == 3 + 2 + 2
    assert float(JointLoss(0.25, reduction="utterance")(scores, lengths, tokens, counts).weight) == 2
    assert loss.total.dtype == torch.float32
    loss.mean.backward()
    for name, parameter in built.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
    for row, length in zip(encodings.grad, (6, 5), strict=True):
        assert row[:length].any()
        assert not row[length:].any()


def test_a_weight_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="ctc_weight"):
        JointLoss(1.5)
