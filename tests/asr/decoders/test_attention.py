"""The attending decoder: training and search agree, and the search finds the best text."""

import itertools

import pytest
import torch

from s2s_asr.decoders.attention import AttentionDecoder, Location
from s2s_asr.decoders.attention_search import AttentionSearch
from s2s_asr.losses.cross_entropy import CrossEntropyLoss
from s2s_core.nn.recurrent_stack import RecurrentLayers
from s2s_core.testing import draw_sequences, pad

VOCAB = END = 2
FEATURES = 4


def decoder(**options):
    torch.manual_seed(0)
    built = AttentionDecoder(FEATURES, VOCAB, 5, RecurrentLayers(6, 2), Location(5, 3, 5), **options).eval()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.normal_(std=0.7)
        built.output.weight *= 2
    return built


def log_probability(built, seen, ids):
    tokens, lengths = torch.tensor([ids], dtype=torch.int64), torch.tensor([len(ids)])
    scores = built.scores(seen, torch.tensor([seen.values.shape[1]]), tokens, lengths)
    return -float(CrossEntropyLoss()(scores, lengths, tokens, lengths).total)


def texts(most):
    return [list(ids) for n in range(most + 1) for ids in itertools.product(range(VOCAB), repeat=n)]


@torch.no_grad()
@pytest.mark.parametrize("max_positions", [0, 3])
def test_steps_give_what_training_computes(max_positions):
    built = decoder(max_positions=max_positions)
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
def test_places_beyond_the_last_share_its_vector():
    built = decoder(max_positions=3)
    seen = built(*pad(draw_sequences([6], FEATURES)))
    embedded = built._embedded(torch.zeros(5, dtype=torch.int64), torch.arange(5))
    assert not torch.equal(embedded[1], embedded[2])
    assert torch.equal(embedded[2], embedded[4])
    assert built.scores(seen, torch.tensor([6]), torch.zeros(1, 5, dtype=torch.int64), torch.tensor([5])).shape[1] == 6


@torch.no_grad()
def test_the_widest_beam_is_an_exhaustive_search():
    built = decoder(search=AttentionSearch(beam_width=32, nbest=5))
    encodings, lengths = pad(draw_sequences([4, 3], FEATURES))
    seen = built(encodings, lengths)
    found = built.search(built, seen, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = built(encodings[row : row + 1, :length], lengths[row : row + 1])
        expected = sorted(((log_probability(built, alone, ids), ids) for ids in texts(length - 1)), reverse=True)
        for text, (log_prob, ids) in zip(found[row], expected[:5], strict=True):
            assert text.tokens == ids
            assert text.log_probability == pytest.approx(log_prob, abs=1e-4)


@torch.no_grad()
def test_labels_are_where_attention_looks():
    built = decoder()
    encodings, lengths = pad(draw_sequences([7, 5], FEATURES))
    seen = built(encodings, lengths)
    text = [[1, 0, 1], [0]]
    rows = built.located(text, seen, lengths, [slice(0, None), slice(2, 4)])
    for row, ids in enumerate(text):
        logits, weights = built.spell(seen, torch.tensor([ids, ids]))
        places = weights[row, : len(ids)].argmax(-1).cummax(0).values.tolist()
        chances = logits[row, : len(ids)].softmax(-1).gather(1, torch.tensor(ids)[:, None])[:, 0].tolist()
        expected = list(zip(ids, places, chances, strict=True))
        if row == 1:
            expected = [(k, t - 2, p) for k, t, p in expected if 2 <= t < 4]
        assert [(span.token, span.start) for span in rows[row]] == [(k, t) for k, t, _ in expected]
        assert [span.probability for span in rows[row]] == pytest.approx([p for _, _, p in expected], abs=1e-5)


@torch.no_grad()
def test_coverage_changes_the_ranks():
    built = decoder()
    seen, lengths = built(*pad(draw_sequences([6], FEATURES, seed=2))), torch.tensor([6])
    plain = AttentionSearch(8, nbest=8)(built, seen, lengths)[0]
    covered = AttentionSearch(8, nbest=8, coverage_penalty=5.0)(built, seen, lengths)[0]
    assert [text.tokens for text in plain] != [text.tokens for text in covered]
    assert plain[0].score == pytest.approx(plain[0].log_probability)
    assert covered[0].score < covered[0].log_probability


class Constant:
    """A language model that always thinks the same of the next token; its tokens are letters by their code."""

    begin_id, end_id, vocab_size = 1, 0, 128

    def __init__(self, **chances):
        self.log_probs = torch.full((self.vocab_size,), -20.0)
        for letter, value in chances.items():
            self.log_probs[self.end_id if letter == "end" else ord(letter)] = value

    def encode(self, text):
        return [ord(letter) for letter in text]

    def start(self, rows):
        return Rows(rows)

    def step(self, tokens, state):
        return self.log_probs.expand(len(tokens), -1).clone(), state


class Rows:
    attention = None

    def __init__(self, count):
        self.count = count

    def expand(self, width):
        return Rows(self.count * width)

    def select(self, rows):
        return Rows(len(rows))


class Letters:
    vocab_size = VOCAB

    def decode(self, ids):
        return "".join("ab"[i] for i in ids)


@torch.no_grad()
def test_a_language_model_has_its_say():
    built = decoder()
    seen, lengths = built(*pad(draw_sequences([4], FEATURES))), torch.tensor([4])
    search = AttentionSearch(beam_width=32, nbest=3)
    model = {"a": -2.0, "b": -0.5, "end": -1.0}
    search.fuse(Constant(**model), Letters(), 0.6)

    def score(ids):
        language = sum(model["ab"[i]] for i in ids) + model["end"]
        return log_probability(built, seen, ids) + 0.6 * language

    expected = sorted(((score(ids), ids) for ids in texts(3)), reverse=True)
    for text, (value, ids) in zip(search(built, seen, lengths)[0], expected, strict=False):
        assert text.tokens == ids
        assert text.score == pytest.approx(value, abs=1e-4)


def test_gradients_reach_every_parameter_and_no_padding():
    built = decoder(max_positions=4).train()
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
    with pytest.raises(ValueError, match="ctc_weight"):
        AttentionSearch(ctc_weight=1.5)
    with pytest.raises(ValueError, match=r"coverage_penalty is 0\.2, but with a ctc_weight of 1 nothing attends"):
        AttentionSearch(ctc_weight=1.0, coverage_penalty=0.2)
    with pytest.raises(ValueError, match="labels_per_frame"):
        AttentionSearch(labels_per_frame=0.0)
    with pytest.raises(ValueError, match="weight"):
        AttentionSearch().fuse(Constant(), Letters(), -1.0)
