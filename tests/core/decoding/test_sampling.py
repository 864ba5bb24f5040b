"""Sampling against the distribution that it draws from."""

import math

import pytest
import torch

from s2s_core.decoding.sampling import Sampling
from s2s_core.testing.table_stepper import TableStepper

END = 1


def run(search, stepper, sentences=None, **options):
    state = stepper.start(sentences)
    lengths = options.pop("source_lengths", torch.zeros(len(state.nodes), dtype=torch.int64))
    return search(stepper, state, lengths, start_token=0, end_token=END, **options)


def first_token_share(stepper, **options):
    """How often each token was drawn first, the end token included."""
    [found] = run(Sampling(samples=20_000, max_length_ratio=0.0, max_length_extra=1, **options), stepper)
    counts = torch.zeros(stepper.vocab_size)
    for hypothesis in found:
        counts[END if hypothesis.finished else hypothesis.tokens[0]] += 1
    return counts / len(found)


def test_tokens_are_drawn_with_their_probabilities_under_the_temperature():
    stepper = TableStepper(6, 1, spread=1.0)
    for temperature in (0.5, 1.0, 2.0):
        expected = (stepper.table[0, 0] / temperature).softmax(dim=0).float()
        share = first_token_share(stepper, temperature=temperature)
        assert (share - expected).abs().max() < 0.012  # some 3.5 standard deviations at one half


def test_top_k_draws_from_the_k_likeliest():
    stepper = TableStepper(6, 1, spread=1.0)
    values, tokens = stepper.table[0, 0].topk(3)
    expected = torch.zeros(6).scatter(0, tokens, values.softmax(dim=0).float())
    share = first_token_share(stepper, top_k=3)
    assert (share - expected).abs().max() < 0.012
    assert (share[expected == 0] == 0).all()


def test_top_p_draws_from_the_fewest_tokens_that_reach_p():
    stepper = TableStepper(5, 1)
    probabilities = torch.tensor([0.4, 0.05, 0.1, 0.15, 0.3]).double()
    stepper.table[0, 0] = probabilities.log()
    expected = torch.tensor([0.4, 0.0, 0.0, 0.15, 0.3]) / 0.85
    share = first_token_share(stepper, top_p=0.75)
    assert (share - expected).abs().max() < 0.012
    assert share[1] == share[2] == 0
    assert first_token_share(stepper, top_p=0.01)[0] == 1.0
    # within the top k the probabilities are those of the k alone: 4/7 and 3/7, and the first reaches a half
    assert first_token_share(stepper, top_p=0.5, top_k=2)[0] == 1.0


def test_whole_sequences_come_as_often_as_the_model_says():
    stepper = TableStepper(3, 4, spread=1.0)
    [found] = run(Sampling(samples=20_000, max_length_ratio=0.0, max_length_extra=4), stepper)
    for tokens, log_prob, _ in stepper.sequences(0, END):
        same = [h for h in found if h.finished and h.tokens == tokens]
        assert len(same) / len(found) == pytest.approx(math.exp(log_prob), abs=0.012)
        assert all(h.log_probability == pytest.approx(log_prob) == h.score for h in same)


def as_rows(found):
    return [[(h.tokens, h.finished) for h in row] for row in found]


def test_the_batch_does_not_matter_and_the_seed_does():
    stepper = TableStepper(5, 6, sentences=12, spread=1.0)
    search = Sampling(samples=3, seed=7, max_length_ratio=0.0, max_length_extra=6)
    keys = [100 + i for i in range(12)]
    together = as_rows(run(search, stepper, keys=keys))
    alone = [as_rows(run(search, stepper, [i], keys=[100 + i]))[0] for i in range(12)]
    assert together == alone == as_rows(run(search, stepper, keys=keys))
    other = as_rows(run(Sampling(samples=3, seed=8, max_length_ratio=0.0, max_length_extra=6), stepper, keys=keys))
    assert other != together


def test_sentences_that_are_alike_are_drawn_apart():
    stepper = TableStepper(8, 3, spread=0.5)
    found = run(Sampling(max_length_ratio=0.0, max_length_extra=3), stepper, [0] * 50)
    assert len({tuple(h.tokens) for [h] in found}) > 20


def test_limits_prefixes_and_bans_hold():
    stepper = TableStepper(6, 6, sentences=4, spread=1.0)
    search = Sampling(samples=20, min_length=2, max_length_ratio=1.0, max_length_extra=3, no_repeat_ngram=1)
    prefixes = [[2], [], [0, 3], [4]]
    lengths = torch.tensor([3, 2, 3, 1])
    found = run(search, stepper, source_lengths=lengths, prefixes=prefixes, banned=[0])
    for prefix, length, row in zip(prefixes, lengths.tolist(), found, strict=True):
        assert len(row) == 20
        for hypothesis in row:
            tokens = hypothesis.tokens
            assert tokens[: len(prefix)] == prefix
            assert 0 not in tokens[len(prefix) :]
            assert len(set(tokens)) == len(tokens)
            assert 2 <= len(tokens) <= length + 3
            assert hypothesis.finished or len(tokens) == length + 3


def test_attention_goes_with_the_tokens():
    stepper = TableStepper(4, 4, source_time=5)
    [row] = run(
        Sampling(samples=4, max_length_ratio=0.0, max_length_extra=4), stepper, source_lengths=torch.tensor([5])
    )
    for hypothesis in row:
        node, expected = 0, []
        for token in hypothesis.tokens:
            expected.append(stepper.attention[0, node])
            node = node * 4 + token + 1
        assert hypothesis.attention.shape == (len(hypothesis.tokens), 5)
        if expected:
            torch.testing.assert_close(hypothesis.attention, torch.stack(expected).float())


@pytest.mark.parametrize(
    "options", [{"samples": 0}, {"temperature": 0.0}, {"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.1}]
)
def test_settings_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Sampling(**options)
