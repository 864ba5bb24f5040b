import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.utilities import dim_zero_sum

from s2s_core.error_rate import ErrorRate, edit_distance

LONDON = ("london is the capital of great britain", "london capital gret britain")
WORDS = st.lists(st.sampled_from(["a", "b", "c", "dd"]), max_size=9)


def table(a, b) -> int:
    """Wagner and Fischer's table, cell by cell."""
    cells = {(i, 0): i for i in range(len(a) + 1)} | {(0, j): j for j in range(len(b) + 1)}
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            swap = cells[i - 1, j - 1] + (a[i - 1] != b[j - 1])
            cells[i, j] = min(cells[i - 1, j] + 1, cells[i, j - 1] + 1, swap)
    return cells[len(a), len(b)]


def test_the_london_pair_of_openseq2seq():
    assert edit_distance(LONDON[0].split(), LONDON[1].split()) == 4
    assert edit_distance(*LONDON) == 11


@given(WORDS, WORDS)
def test_distance_equals_the_table(a, b):
    assert edit_distance(a, b) == edit_distance(b, a) == table(a, b)


@given(st.text("abc", max_size=150), st.text("abc", max_size=150))
def test_distance_of_sequences_longer_than_a_machine_word(a, b):
    assert edit_distance(a, b) == table(a, b)


def test_word_error_rate_is_the_corpus_total_not_a_mean_of_means():
    """37 errors in 40 words, as in OpenSeq2Seq's own test, while the first utterance alone scores 0.4."""
    references = ["this is a great day", " ".join("w" * 35)]
    hypotheses = ["this is great days", " ".join("v" * 35)]
    metric = ErrorRate()
    metric.update(hypotheses[:1], references[:1])
    torch.testing.assert_close(metric.compute().item(), 0.4)
    metric.update(hypotheses[1:], references[1:])
    torch.testing.assert_close(metric.compute().item(), 37 / 40)


@given(st.lists(st.tuples(WORDS, WORDS), max_size=8), st.integers(1, 5), st.integers(1, 3))
def test_batches_and_ranks_do_not_matter(pairs, batch, ranks):
    texts = [(" ".join(h), " ".join(r)) for h, r in pairs]
    shards = [ErrorRate() for _ in range(ranks)]
    for n, start in enumerate(range(0, len(texts), batch)):
        rows = texts[start : start + batch]
        shards[n % ranks].update([h for h, _ in rows], [r for _, r in rows])
    errors, length = (sum(int(getattr(shard, name)) for shard in shards) for name in ("errors", "length"))
    assert errors == sum(table(h, r) for h, r in pairs)
    assert length == sum(len(r) for _, r in pairs)
    assert shards[0]._reductions == {"errors": dim_zero_sum, "length": dim_zero_sum}


def test_characters_count_the_spaces_between_words():
    metric = ErrorRate("char")
    metric.update([LONDON[1]], [LONDON[0]])
    torch.testing.assert_close(metric.compute().item(), 11 / len(LONDON[0]))


def test_a_second_epoch_starts_from_nothing():
    metric = ErrorRate()
    for _ in range(2):
        metric.update(["a x"], ["a b"])
        assert metric.compute().item() == 0.5
        metric.reset()


def test_no_reference_words_count_the_insertions():
    metric = ErrorRate()
    metric.update([""], [""])
    assert metric.compute().item() == 0
    metric.update(["a b"], [""])
    assert metric.compute().item() == 2


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="phone"):
        ErrorRate("phone")
    with pytest.raises(ValueError, match="1 hypotheses for 2"):
        ErrorRate().update(["a"], ["a", "b"])
