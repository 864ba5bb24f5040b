import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from s2s_asr.decoders.ctc import CtcDecoder
from s2s_asr.interfaces import TokenSpan

BLANK = 3


def logits_of(paths: list[list[int]], frames: int | None = None) -> torch.Tensor:
    """Logits whose best path is the given one; what lies beyond its end would be token 0."""
    frames = max(len(path) for path in paths) if frames is None else frames
    logits = torch.zeros(len(paths), frames, BLANK + 1)
    for row, path in enumerate(paths):
        full = path + [0] * (frames - len(path))
        logits[row, torch.arange(frames), torch.tensor(full, dtype=torch.long)] = 2.0
    return logits


def by_frame(path: list[int]) -> list[int]:
    return [label for label, _ in itertools.groupby(path) if label != BLANK]


@given(st.lists(st.lists(st.integers(0, BLANK), max_size=12), min_size=1, max_size=4), st.integers(0, 3))
def test_greedy_merges_repeats_and_drops_blanks(paths, padding):
    decoder = CtcDecoder(in_features=2, vocab_size=BLANK)
    logits = logits_of(paths, max(len(path) for path in paths) + padding)
    lengths = torch.tensor([len(path) for path in paths])
    assert decoder.greedy(logits, lengths) == [by_frame(path) for path in paths]
    spans = decoder.greedy_spans(logits, lengths)
    assert [[span.token for span in row] for row in spans] == [by_frame(path) for path in paths]
    for row, path in zip(spans, paths, strict=True):
        rebuilt = [BLANK] * len(path)
        for span in row:
            rebuilt[span.start : span.end] = [span.token] * (span.end - span.start)
        assert rebuilt == path


def test_spans_tell_frames_and_the_highest_probability():
    logits = logits_of([[3, 1, 1, 3, 1, 2], [0, 0, 3, 2]])
    logits[0, 2, 1] = 5.0
    spans = CtcDecoder(in_features=2, vocab_size=BLANK).greedy_spans(logits, torch.tensor([6, 4]))
    plain = torch.tensor([0.0, 0, 0, 2]).softmax(0)[3].item()
    sure = torch.tensor([0.0, 0, 0, 5]).softmax(0)[3].item()
    assert [[span[:3] for span in row] for row in spans] == [[(1, 1, 3), (1, 4, 5), (2, 5, 6)], [(0, 0, 2), (2, 3, 4)]]
    torch.testing.assert_close([s.probability for s in spans[0]], [sure, plain, plain])
    assert isinstance(spans[1][0], TokenSpan)


def test_silence_and_empty_utterances_are_empty():
    decoder = CtcDecoder(in_features=2, vocab_size=BLANK)
    logits = logits_of([[3, 3], [1, 1]])
    assert decoder.greedy(logits, torch.tensor([2, 0])) == [[], []]
    assert decoder.greedy_spans(logits, torch.tensor([2, 0])) == [[], []]


def test_scores_are_one_linear_layer_with_the_blank_last():
    decoder = CtcDecoder(in_features=5, vocab_size=7)
    encodings = torch.randn(2, 4, 5)
    logits = decoder(encodings, torch.tensor([4, 3]))
    assert logits.shape == (2, 4, 8)
    torch.testing.assert_close(logits, encodings @ decoder.linear.weight.T + decoder.linear.bias)
    assert decoder.describe()["init_args"] == {"in_features": 5, "vocab_size": 7}


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match="-1"):
        CtcDecoder(in_features=5, vocab_size=-1)
