import itertools

import pytest
import torch

from s2s_asr.replabel import pack_repeats, unpack_repeats
from s2s_core.testing import pad

VOCAB = 3


def pack(rows, replabels):
    tokens, lengths = pad([torch.tensor(row, dtype=torch.int64) for row in rows], extra=2)
    packed, counts = pack_repeats(tokens.long(), lengths, VOCAB, replabels)
    assert not any(row[count:].any() for row, count in zip(packed, counts.tolist(), strict=True))
    return [row[:count].tolist() for row, count in zip(packed, counts.tolist(), strict=True)]


def test_repetitions_become_labels():
    assert pack([[0, 1, 1, 2], [2, 2, 2], [1, 1, 1, 1], [0], []], 2) == [[0, 1, 3, 2], [2, 4], [1, 4, 1], [0], []]
    assert pack([[1, 1, 1, 1, 1, 0]], 1) == [[1, 3, 1, 3, 1, 0]]
    assert pack([[1, 1, 1, 0, 0]], 0) == [[1, 0]]


@pytest.mark.parametrize("replabels", [1, 2, 3])
def test_every_text_comes_back_and_has_no_label_twice_in_a_row(replabels):
    texts = [list(ids) for n in range(7) for ids in itertools.product(range(2), repeat=n)]
    for text, packed in zip(texts, pack(texts, replabels), strict=True):
        assert [token for token, _ in unpack_repeats(packed, VOCAB)] == text
        assert all(a != b for a, b in itertools.pairwise(packed))


def test_places_are_those_that_spell():
    assert unpack_repeats([0, 4, 1], VOCAB) == [(0, 0), (0, 1), (0, 1), (1, 2)]
    assert unpack_repeats([3, 1], VOCAB) == [(1, 1)]
