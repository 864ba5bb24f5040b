import itertools

import pytest
import torch

from s2s_asr.interfaces import TokenSpan
from s2s_asr.search.spans import align_tokens

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


def draw(time: int, labels: int = 4, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(time, labels, dtype=torch.float64, generator=generator).mul(2).log_softmax(-1)


def labels_of(spans, frames):
    """The label of each frame, blank included."""
    path = [BLANK] * frames
    for span in spans:
        path[span.start : span.end] = [span.token] * (span.end - span.start)
    return path


@pytest.mark.parametrize("tokens", [[], [0], [1, 1], [0, 1, 2], [2, 2, 2], [0, 1, 0, 1], [1, 1, 1, 1]])
@pytest.mark.parametrize("time", [1, 3, 6])
def test_score_and_path_are_those_of_brute_force(tokens, time):
    log_probs = draw(time, seed=len(tokens) + time)
    found = align_tokens(log_probs, tokens)
    expected = by_brute_force(log_probs, tokens)
    if expected == -torch.inf:
        assert found is None
        return
    assert found.score == pytest.approx(expected, abs=1e-12)
    path = labels_of(found.spans, time)
    assert collapse(path) == tokens
    assert sum(float(log_probs[t, label]) for t, label in enumerate(path)) == pytest.approx(expected)
    assert [span.token for span in found.spans] == tokens


def test_as_many_frames_as_labels():
    found = align_tokens(draw(30, seed=1)[:12], [0, 1, 2] * 4)
    assert [span[1:3] for span in found.spans] == [(t, t + 1) for t in range(12)]


def test_without_frames_there_is_no_path():
    assert align_tokens(torch.zeros(0, BLANK + 1), [0]) is None
    assert align_tokens(torch.zeros(0, BLANK + 1), []) is None


@pytest.mark.parametrize("filler", [torch.nan, -torch.inf, torch.inf])
@pytest.mark.parametrize("frames", [4, 8, 51])
@pytest.mark.parametrize("tokens", [[], [0, 1], [0, 1, 2, 1]])
def test_without_numbers_there_is_no_path(filler, frames, tokens):
    assert align_tokens(torch.full((frames, BLANK + 1), filler), tokens) is None


def test_a_single_possible_path_is_found():
    path = [BLANK, 0, 0, BLANK, 0, 2]
    log_probs = torch.full((6, BLANK + 1), -torch.inf)
    log_probs[torch.arange(6), torch.tensor(path)] = -0.5
    found = align_tokens(log_probs, [0, 0, 2])
    assert labels_of(found.spans, 6) == path
    assert found.score == pytest.approx(-3.0)
    assert align_tokens(log_probs, [0, 2]) is None


def test_spans_by_hand():
    rows = [[0.9, 0.05, 0.0, 0.05], [0.6, 0.1, 0.0, 0.3], [0.1, 0.1, 0.0, 0.8], [0.7, 0.1, 0.0, 0.2], [0, 1.0, 0, 0]]
    log_probs = torch.tensor(rows).clamp(min=1e-9).log()
    found = align_tokens(log_probs, [0, 0, 1])
    expected = [TokenSpan(0, 0, 2, 0.9), TokenSpan(0, 3, 4, 0.7), TokenSpan(1, 4, 5, 1.0)]
    assert [span[:3] for span in found.spans] == [span[:3] for span in expected]
    assert [span.probability for span in found.spans] == pytest.approx([0.9, 0.7, 1.0])
