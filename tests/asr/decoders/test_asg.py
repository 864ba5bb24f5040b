"""The best path with transitions, against all paths."""

import itertools

import pytest
import torch

from s2s_asr.decoders.asg import AsgDecoder, best_paths
from s2s_core.testing import draw_sequences, pad


def test_the_best_of_all_paths():
    logits, lengths = pad(draw_sequences([5, 3, 1], 3), filler=9.0, extra=1)
    moves = torch.randn(3, 3, generator=torch.Generator().manual_seed(1))
    found = best_paths(logits, moves, lengths)
    for row, length in enumerate(lengths.tolist()):

        def score(path, row=row):
            frames = sum(float(logits[row, t, label]) for t, label in enumerate(path))
            return frames + sum(float(moves[a, b]) for a, b in itertools.pairwise(path))

        best = max(itertools.product(range(3), repeat=length), key=score)
        assert tuple(found[row, :length].tolist()) == best


def test_repetitions_are_spelt_out_and_placed():
    decoder = AsgDecoder(in_features=2, vocab_size=3)
    path = [3, 1, 1, 4, 4, 0, 3]  # a repetition of nothing; b b b; a a
    logits = torch.nn.functional.one_hot(torch.tensor([path]), 5).float() * 9
    lengths = torch.tensor([7])
    assert decoder.greedy(logits, lengths) == [[1, 1, 1, 0, 0]]
    places = [(span.start, span.end) for span in decoder.greedy_spans(logits, lengths)[0]]
    assert places == [(1, 3), (3, 5), (3, 5), (5, 6), (6, 7)]
    chance = float(logits[0, 0].softmax(-1).max())
    assert [span.probability for span in decoder.greedy_spans(logits, lengths)[0]] == pytest.approx([chance] * 5)


def test_transitions_decide():
    decoder = AsgDecoder(in_features=2, vocab_size=2, replabels=0)
    logits = torch.tensor([[[1.0, 0.0], [0.0, 0.5], [1.0, 0.0]]])
    assert decoder.greedy(logits, torch.tensor([3])) == [[0, 1, 0]]
    with torch.no_grad():
        decoder.transitions[0, 1] = -1.0
    assert decoder.greedy(logits, torch.tensor([3])) == [[0]]
    assert decoder.greedy(logits, torch.tensor([0])) == [[]]


def test_wrong_sizes_are_named():
    with pytest.raises(ValueError, match="replabels not negative, got 2, 3 and -1"):
        AsgDecoder(2, 3, -1)
