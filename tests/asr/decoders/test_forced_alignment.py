import itertools

import pytest
import torch
from torchaudio.functional import forced_align

from s2s_asr.decoders.ctc import TokenSpan
from s2s_asr.decoders.forced_alignment import align_ctc

BLANK = 3


def collapse(path):
    return [label for label, _ in itertools.groupby(path) if label != BLANK]


def by_brute_force(log_probs: torch.Tensor, tokens: list[int]) -> float:
    scores = [
        sum(float(log_probs[t, label]) for t, label in enumerate(path))
        for path in itertools.product(range(log_probs.size(1)), repeat=len(log_probs))
        if collapse(path) == tokens
    ]
    return max(scores, default=-torch.inf)


def draw(batch: int, time: int, labels: int = 4, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, time, labels, dtype=torch.float64, generator=generator).mul(2).log_softmax(-1)


@pytest.mark.parametrize("tokens", [[], [0], [1, 1], [0, 1, 2], [2, 2, 2], [0, 1, 0, 1], [1, 1, 1, 1]])
@pytest.mark.parametrize("time", [1, 3, 6])
def test_score_and_path_are_those_of_brute_force(tokens, time):
    log_probs = draw(1, time, seed=len(tokens) + time)
    lengths = torch.tensor([len(tokens)])
    found = align_ctc(log_probs, torch.tensor([time]), torch.tensor([tokens], dtype=torch.int64), lengths, BLANK)
    expected = by_brute_force(log_probs[0], tokens)
    assert float(found.scores[0]) == pytest.approx(expected, abs=1e-12)
    if expected == -torch.inf:
        assert found.spans == [None]
        return
    path = found.labels[0].tolist()
    assert collapse(path) == tokens
    assert sum(float(log_probs[0, t, label]) for t, label in enumerate(path)) == pytest.approx(expected)
    assert [span.token for span in found.spans[0]] == tokens


def test_agrees_with_torchaudio():
    log_probs = draw(1, 60, 9, seed=5)
    tokens = torch.randint(1, 9, (1, 17), generator=torch.Generator().manual_seed(2))
    tokens[0, 5] = tokens[0, 4]
    found = align_ctc(log_probs, torch.tensor([60]), tokens, torch.tensor([17]), 0)
    labels, scores = forced_align(log_probs.float(), tokens.int(), blank=0)
    assert found.labels[0].tolist() == labels[0].tolist()
    assert float(found.scores[0]) == pytest.approx(float(scores.sum()), rel=1e-5)


def test_an_utterance_is_aligned_alike_alone_and_in_a_batch():
    sizes = [(20, 6), (7, 0), (30, 11), (3, 5), (12, 12)]
    log_probs = draw(5, 30, seed=1)
    tokens = torch.randint(0, 3, (5, 12), generator=torch.Generator().manual_seed(3))
    tokens[4] = torch.tensor([0, 1, 2] * 4)
    lengths, token_lengths = torch.tensor(sizes).unbind(1)
    together = align_ctc(log_probs, lengths, tokens, token_lengths, BLANK)
    for row, (time, count) in enumerate(sizes):
        alone = align_ctc(
            log_probs[row : row + 1, :time], lengths[[row]], tokens[row : row + 1, :count], token_lengths[[row]], BLANK
        )
        assert together.spans[row] == alone.spans[0]
        assert float(together.scores[row]) == float(alone.scores[0])
        assert not (together.labels[row, time:] != BLANK).any()
    assert together.spans[3] is None
    assert together.spans[1] == []
    assert [span[1:3] for span in together.spans[4]] == [(t, t + 1) for t in range(12)]


def test_spans_by_hand():
    rows = [[0.9, 0.05, 0.0, 0.05], [0.6, 0.1, 0.0, 0.3], [0.1, 0.1, 0.0, 0.8], [0.7, 0.1, 0.0, 0.2], [0, 1.0, 0, 0]]
    log_probs = torch.tensor(rows).clamp(min=1e-9).log()[None]
    found = align_ctc(log_probs, torch.tensor([5]), torch.tensor([[0, 0, 1]]), torch.tensor([3]), BLANK)
    expected = [TokenSpan(0, 0, 2, 0.9), TokenSpan(0, 3, 4, 0.7), TokenSpan(1, 4, 5, 1.0)]
    assert [span[:3] for span in found.spans[0]] == [span[:3] for span in expected]
    assert [span.probability for span in found.spans[0]] == pytest.approx([0.9, 0.7, 1.0])
