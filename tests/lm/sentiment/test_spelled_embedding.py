import math

import pytest
import torch

from s2s_lm.sentiment.spelled_embedding import SpelledEmbedding


@pytest.fixture
def embedding():
    torch.manual_seed(0)
    return SpelledEmbedding(words=5, ngrams=4, size=3).eval()


def test_a_word_is_itself_and_its_ngrams(embedding):
    tokens = torch.tensor([[0, 2, 6, 8, 6, 1, 5], [3, 4, 7, 0, 0, 0, 0]])
    vectors, words = embedding(tokens, [7, 3])
    assert words == [3, 2]
    assert vectors.shape == (2, 3, 3)
    own, ngrams = embedding.own.weight, embedding.ngrams.weight
    expected = [
        own[0],
        own[2] + (2 * ngrams[1] + ngrams[3]) / math.sqrt(3),
        own[1] + ngrams[0],
        own[3],
        own[4] + ngrams[2],
    ]
    torch.testing.assert_close(torch.cat([vectors[0], vectors[1, :2]]), torch.stack(expected) / math.sqrt(2))
    assert not vectors[1, 2].any()  # the padding's words are none


def test_every_vector_learns_what_it_was_used_for(embedding):
    vectors, _ = embedding(torch.tensor([[2, 6, 6, 3]]), [4])
    vectors.sum().backward()
    assert embedding.own.weight.grad.ne(0).any(1).tolist() == [False, False, True, True, False]
    assert embedding.ngrams.weight.grad.ne(0).any(1).tolist() == [False, True, False, False]


def test_texts_of_words_alone(embedding):
    vectors, words = embedding(torch.tensor([[1, 2], [3, 0]]), [2, 1])
    assert words == [2, 1]
    torch.testing.assert_close(vectors[0], embedding.own.weight[1:3] / math.sqrt(2))


def test_word_and_spelling_are_dropped_by_themselves():
    torch.manual_seed(0)
    embedding = SpelledEmbedding(words=500, ngrams=1, size=1, word_dropout=0.5).train()
    torch.nn.init.constant_(embedding.own.weight, 1.0)
    torch.nn.init.constant_(embedding.ngrams.weight, 10.0)
    tokens = torch.stack([torch.arange(500), torch.full((500,), 500)], 1).reshape(1, -1)
    values = (embedding(tokens, [1000])[0].flatten() * math.sqrt(2)).round().int().tolist()
    assert set(values) == {0, 2, 20, 22}
    assert all(80 < values.count(value) < 170 for value in (0, 2, 20, 22))


def test_half_precision_is_close(embedding):
    tokens = torch.tensor([[0, 2, 6, 8, 6, 1, 5]])
    exact, _ = embedding(tokens, [7])
    half, _ = embedding.to(torch.bfloat16)(tokens, [7])
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), exact, rtol=0.02, atol=0.02)
    half.sum().backward()


def test_sizes_are_checked():
    with pytest.raises(ValueError, match="words"):
        SpelledEmbedding(10, 0, 3)
