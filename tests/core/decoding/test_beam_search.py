"""Beam search against exhaustive search, greedy search and itself, on models that are tables."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from s2s_core.decoding.beam_search import BeamSearch
from s2s_core.errors import UserError
from s2s_core.testing.table_stepper import TableState, TableStepper

END = 1


def limits(depth):
    return {"max_length_ratio": 0.0, "max_length_extra": depth}


def run(search, stepper, sentences=None, source_lengths=None, **options):
    state = stepper.start(sentences)
    if source_lengths is None:
        source_lengths = torch.zeros(len(state.nodes), dtype=torch.int64)
    return search(stepper, state, source_lengths, start_token=0, end_token=END, **options)


def answers(found):
    return [[(h.tokens, round(h.score, 9), round(h.log_probability, 9), h.finished) for h in row] for row in found]


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0, 3.0, -0.5])
def test_a_beam_as_wide_as_the_space_is_an_exhaustive_search(alpha):
    vocab, depth = 4, 5
    stepper = TableStepper(vocab, depth, sentences=3)
    found = run(BeamSearch(vocab**depth, length_penalty=alpha, nbest=20, **limits(depth)), stepper)
    for sentence in range(3):
        every = [
            (tokens, log_prob / ((5 + len(tokens) + 1) / 6) ** alpha, log_prob)
            for tokens, log_prob, _ in stepper.sequences(sentence, END)
        ]
        every.sort(key=lambda item: -item[1])
        assert [h.tokens for h in found[sentence]] == [tokens for tokens, _, _ in every[:20]]
        for hypothesis, (_, score, log_prob) in zip(found[sentence], every, strict=False):
            assert hypothesis.finished
            assert hypothesis.score == pytest.approx(score, abs=1e-9)
            assert hypothesis.log_probability == pytest.approx(log_prob, abs=1e-9)


def test_the_coverage_penalty_is_gnmts():
    vocab, depth, beta, alpha = 3, 4, 0.7, 0.9
    stepper = TableStepper(vocab, depth, sentences=2, source_time=3)
    search = BeamSearch(vocab**depth, length_penalty=alpha, coverage_penalty=beta, nbest=5, **limits(depth))
    lengths = torch.tensor([3, 2])
    found = run(search, stepper, source_lengths=lengths)
    for sentence in range(2):
        every = []
        for tokens, log_prob, attention in stepper.sequences(sentence, END):
            covered = torch.stack(attention).sum(dim=0)[: lengths[sentence]]
            penalty = beta * sum(math.log(min(float(p), 1.0)) for p in covered)
            every.append((tokens, log_prob / ((5 + len(tokens) + 1) / 6) ** alpha + penalty))
        every.sort(key=lambda item: -item[1])
        assert [h.tokens for h in found[sentence]] == [tokens for tokens, _ in every[:5]]
        # the attention is kept in float32
        assert [h.score for h in found[sentence]] == pytest.approx([score for _, score in every[:5]], abs=1e-6)


def test_attention_is_that_of_each_token_and_of_real_source_positions():
    stepper = TableStepper(4, 5, source_time=6)
    [[best]] = run(BeamSearch(4, **limits(5)), stepper, source_lengths=torch.tensor([4]))
    node, expected = 0, []
    for token in best.tokens:
        expected.append(stepper.attention[0, node, :4])
        node = node * 4 + token + 1
    assert best.attention.shape == (len(best.tokens), 4)
    torch.testing.assert_close(best.attention, torch.stack(expected).float())
    assert best.alignment == [int(row.argmax()) for row in expected]


def greedy(stepper, sentence, depth):
    node, tokens, total = 0, [], 0.0
    for _ in range(depth):
        scores = stepper.table[sentence, node].log_softmax(dim=0)
        token = int(scores.argmax())
        total += float(scores[token])
        if token == END:
            return tokens, total, True
        tokens.append(token)
        node = node * stepper.vocab_size + token + 1
    return tokens, total, False


def test_a_beam_of_one_is_greedy():
    stepper = TableStepper(6, 6, sentences=20, seed=1)
    found = run(BeamSearch(1, **limits(6)), stepper)
    results = [(h.tokens, pytest.approx(h.log_probability), h.finished) for [h] in found]
    assert results == [greedy(stepper, sentence, 6) for sentence in range(20)]
    assert {finished for _, _, finished in results} == {True, False}


def test_the_batch_does_not_matter():
    stepper = TableStepper(5, 6, sentences=24, seed=2)
    search = BeamSearch(3, nbest=3, max_length_ratio=1.0, max_length_extra=2)
    lengths = torch.arange(24) % 4 + 1
    together = answers(run(search, stepper, source_lengths=lengths))
    alone = [answers(run(search, stepper, [i], lengths[i : i + 1]))[0] for i in range(24)]
    order = torch.randperm(24, generator=torch.Generator().manual_seed(0)).tolist()
    shuffled = answers(run(search, stepper, order, lengths[order]))
    assert together == alone
    assert shuffled == [together[i] for i in order]
    assert len({len(row[0][0]) for row in together}) > 2  # they leave the batch at different times


def test_finished_sentences_leave_the_batch():
    class Counting(TableStepper):
        rows = ()

        def step(self, tokens, state):
            self.rows = (*self.rows, len(tokens))
            return super().step(tokens, state)

    stepper = Counting(4, 6, sentences=8)
    run(BeamSearch(2, max_length_ratio=1.0, max_length_extra=0), stepper, source_lengths=torch.arange(8) % 6 + 1)
    assert stepper.rows[0] == 16
    assert list(stepper.rows) == sorted(stepper.rows, reverse=True)
    assert stepper.rows[-1] <= 4


@given(
    seed=st.integers(0, 10_000),
    width=st.integers(1, 6),
    nbest=st.integers(1, 6),
    alpha=st.sampled_from([-0.5, 0.0, 0.6, 1.0, 2.0]),
    beta=st.sampled_from([0.0, 0.5]),
    depth=st.integers(1, 6),
    spread=st.sampled_from([0.0, 0.5, 2.0, 6.0]),
    min_length=st.integers(0, 3),
)
@settings(max_examples=150, deadline=None)
def test_stopping_early_never_changes_the_answer(seed, width, nbest, alpha, beta, depth, spread, min_length):
    stepper = TableStepper(4, depth, sentences=3, seed=seed, source_time=3 if beta else None, spread=spread)
    settings_ = {"nbest": min(nbest, width), "min_length": min_length, **limits(depth)}
    lengths = torch.tensor([3, 2, 1])
    early, full = (
        run(BeamSearch(width, alpha, beta, early_stop=stop, **settings_), stepper, source_lengths=lengths * bool(beta))
        for stop in (True, False)
    )
    assert answers(early) == answers(full)


def test_stopping_early_takes_fewer_steps():
    class Counting(TableStepper):
        steps = 0

        def step(self, tokens, state):
            self.steps += 1
            return super().step(tokens, state)

    taken = []
    for early_stop in (True, False):
        stepper = Counting(3, 8, seed=3, spread=4.0)
        run(BeamSearch(4, length_penalty=0.0, early_stop=early_stop, **limits(8)), stepper)
        taken.append(stepper.steps)
    assert taken[0] < taken[1]


def test_a_prefix_is_kept_and_the_rest_is_the_best_after_it():
    vocab, depth = 4, 5
    stepper = TableStepper(vocab, depth, sentences=3)
    prefixes = [[2, 3], [], [0]]
    found = run(BeamSearch(vocab**depth, nbest=3, **limits(depth)), stepper, prefixes=prefixes, banned=[0])
    for sentence, prefix in enumerate(prefixes):
        every = [
            (log_prob / ((5 + len(tokens) + 1) / 6) ** 0.6, tokens)
            for tokens, log_prob, _ in stepper.sequences(sentence, END)
            if tokens[: len(prefix)] == prefix and 0 not in tokens[len(prefix) :]
        ]
        every.sort(reverse=True)
        assert [h.tokens for h in found[sentence]] == [tokens for _, tokens in every[:3]]
        assert found[sentence][0].score == pytest.approx(every[0][0])


@pytest.mark.parametrize(
    ("prefixes", "message"),
    [([[2]], "1 prefixes for 2"), ([[2], [END]], "token 1"), ([[2], [9]], "token 9")],
)
def test_a_prefix_that_cannot_be_is_refused(prefixes, message):
    with pytest.raises(ValueError, match=message):
        run(BeamSearch(2), TableStepper(4, 3, sentences=2), prefixes=prefixes)


def test_minimum_and_maximum_length():
    stepper = TableStepper(4, 7, sentences=10, spread=1.0)
    stepper.table[:, :, END] += 3.0
    short = run(BeamSearch(3, max_length_ratio=0.0, max_length_extra=7), stepper)
    assert min(len(h.tokens) for [h] in short) == 0
    long = run(BeamSearch(3, min_length=4, max_length_ratio=0.0, max_length_extra=7), stepper)
    assert min(len(h.tokens) for [h] in long) == 4
    assert all(h.finished for [h] in long)
    stepper.table[:, :, END] -= 100.0
    lengths = torch.arange(10) % 3
    endless = run(BeamSearch(3, max_length_ratio=1.5, max_length_extra=2), stepper, source_lengths=lengths)
    assert [len(h.tokens) for [h] in endless] == [math.ceil(1.5 * n) + 2 for n in lengths.tolist()]
    assert not any(h.finished for [h] in endless)


def test_what_the_limit_cuts_off_ranks_behind_what_ended():
    stepper = TableStepper(3, 2)
    stepper.table[0, :, END] = -20.0
    [found] = run(BeamSearch(9, nbest=9, length_penalty=0.0, **limits(2)), stepper)
    assert [h.finished for h in found] == [True] * 3 + [False] * 4
    assert found[0].log_probability < found[-1].log_probability


@pytest.mark.parametrize("n", [1, 2, 3])
def test_no_ngram_comes_twice(n):
    stepper = TableStepper(4, 7, sentences=10, seed=4)
    stepper.table[:, :, END] -= 3.0
    stepper.table[:, :, 3] += 3.0  # without the constraint it would be 3 3 3 3
    blocked = run(BeamSearch(3, no_repeat_ngram=n, nbest=3, **limits(7)), stepper)
    free = run(BeamSearch(3, nbest=3, **limits(7)), stepper)

    def repeats(tokens):
        ngrams = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
        return len(ngrams) != len(set(ngrams))

    assert not any(repeats(h.tokens) for row in blocked for h in row)
    assert any(repeats(h.tokens) for row in free for h in row)


def test_blocking_repeats_keeps_the_models_probabilities_and_all_else_possible():
    vocab, depth = 3, 5
    stepper = TableStepper(vocab, depth, seed=5)
    [found] = run(BeamSearch(vocab**depth, nbest=100, length_penalty=0.0, no_repeat_ngram=2, **limits(depth)), stepper)
    expected = [
        (log_prob, tokens)
        for tokens, log_prob, _ in stepper.sequences(0, END)
        if len({*itertools.pairwise(tokens)}) == max(0, len(tokens) - 1)
    ]
    expected.sort(reverse=True)
    ended = [h for h in found if h.finished]
    assert [h.tokens for h in ended] == [tokens for _, tokens in expected]
    assert [h.log_probability for h in ended] == pytest.approx([log_prob for log_prob, _ in expected])


def test_a_wider_beam_finds_what_greedy_misses():
    # the first token that looks best leads nowhere
    stepper = TableStepper(4, 2)
    stepper.table[0, 0] = torch.tensor([-9.0, -9.0, 1.0, 0.9]).double()
    stepper.table[0, 3] = torch.zeros(4).double()
    stepper.table[0, 4] = torch.tensor([0.0, 9.0, 0.0, 0.0]).double()
    assert run(BeamSearch(1, **limits(2)), stepper)[0][0].tokens[0] == 2
    assert run(BeamSearch(2, **limits(2)), stepper)[0][0].tokens == [3]


def test_an_empty_batch_gives_nothing():
    assert run(BeamSearch(2), TableStepper(3, 2), []) == []


def test_coverage_needs_a_model_that_tells_its_attention():
    with pytest.raises(UserError, match=r"coverage_penalty is 0\.2.*attention"):
        run(BeamSearch(2, coverage_penalty=0.2), TableStepper(3, 2))


@pytest.mark.parametrize(
    "options",
    [
        {"beam_width": 0},
        {"beam_width": 2, "nbest": 3},
        {"nbest": 0},
        {"coverage_penalty": -0.1},
        {"length_penalty": math.nan},
        {"min_length": -1},
        {"no_repeat_ngram": -1},
        {"max_length_ratio": 0.0, "max_length_extra": 0},
    ],
)
def test_settings_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=next(reversed(options))):
        BeamSearch(**options)


def test_the_state_is_told_to_keep_sentences_together(monkeypatch):
    seen = []
    select = TableState.select
    monkeypatch.setattr(TableState, "select", lambda state, rows: seen.append(rows) or select(state, rows))
    run(BeamSearch(3, **limits(5)), TableStepper(5, 5, sentences=6))
    assert len(seen) > 2
    for rows in seen[1:]:  # the first is that of `expand`
        sentences = (rows // 3).view(-1, 3)
        assert (sentences == sentences[:, :1]).all()
        assert (sentences[1:, 0] > sentences[:-1, 0]).all()


class Sure:
    """Says 0 three times and then ends, with a probability of almost one; what comes second is the end."""

    vocab_size = 3

    def step(self, tokens, state):
        length = state.nodes + 1
        logits = torch.full((len(tokens), 3), -9.0, dtype=torch.float64)
        logits[:, END] = torch.where(length == 3, 9.0, 0.0)
        logits[:, 0] = torch.where(length == 3, 0.0, 9.0)
        return logits, TableState(state.sentences, length)


def test_a_patient_search_waits_for_the_best():
    def found(**options):
        search = BeamSearch(beam_width=2, length_penalty=0.0, max_length_extra=9, **options)
        state = TableState(torch.tensor([0]), torch.tensor([-1]))
        return search(Sure(), state, torch.tensor([0]), END, END)[0][0]

    assert found(patient=True).tokens == [0, 0, 0]
    assert found(patient=True).log_probability > -0.01
    assert found().tokens != [0, 0, 0], "the second end that nobody believes in stops the search"
