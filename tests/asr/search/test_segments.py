import itertools

import pytest
import torch

from s2s_asr.search.searcher import Searcher
from s2s_asr.search.segments import RecordingSearch, pause_in
from s2s_asr.search.settings import SearchSettings
from s2s_asr.search.spans import align_tokens
from s2s_core.text.tokenizers import CharTokenizer

LABELS = " ab"
BLANK = len(LABELS)
TOKENIZER = CharTokenizer(LABELS)


def frames_of(path):
    log_probs = torch.full((len(path), BLANK + 1), -5.0)
    log_probs[torch.arange(len(path)), torch.tensor(path)] = 0.0
    return log_probs.log_softmax(-1)


def test_a_pause_is_the_longest_run_of_blanks_in_the_second_half():
    path = [BLANK] * 5 + [1, 2, 1, BLANK, 2, 2, 1, BLANK, BLANK, BLANK, 0, BLANK, 2, 2]
    assert len(path) == 19
    assert pause_in(frames_of(path)) == 14
    assert pause_in(frames_of([1, 2, 1, 2])) == 4


def test_a_long_recording_is_cut_at_pauses_and_its_spans_count_on():
    word = [1, 2, BLANK, 0, BLANK, BLANK, BLANK]  # "ab" and a pause
    path = word * 9
    with Searcher(SearchSettings(nbest=2), TOKENIZER) as searcher:
        whole, cut = RecordingSearch(searcher, 10_000), RecordingSearch(searcher, 20)
        whole.add(frames_of(path))
        for start in range(0, len(path), 5):
            cut.add(frames_of(path)[start : start + 5])
        expected, found = whole.result(), cut.result()
    assert found[0].text == " ".join(["ab"] * 9)
    assert [(s.token, s.start, s.end) for s in found[0].spans if s.token] == [
        (s.token, s.start, s.end) for s in expected[0].spans if s.token
    ]
    assert len(found) == 2
    assert found[0].score > found[1].score


def test_a_recording_without_frames_has_no_hypotheses():
    with Searcher(SearchSettings(), TOKENIZER) as searcher:
        assert RecordingSearch(searcher, 10).result() == []


def test_many_utterances_wait_for_no_result_to_be_taken():
    with Searcher(SearchSettings(), TOKENIZER) as searcher:
        submitted = [searcher.submit(frames_of([1 + i % 2])) for i in range(40)]
        assert [one.hypotheses[0].text for one in submitted] == ["a", "b"] * 20


def test_alignment_is_the_best_of_all_paths():
    log_probs = torch.randn(6, BLANK + 1, generator=torch.Generator().manual_seed(2)).log_softmax(-1)
    tokens = [1, 1, 0]

    def collapsed(path):
        return [label for label, _ in itertools.groupby(path) if label != BLANK]

    paths = [path for path in itertools.product(range(BLANK + 1), repeat=6) if collapsed(path) == tokens]
    best = max(paths, key=lambda path: sum(float(log_probs[t, label]) for t, label in enumerate(path)))
    spans = align_tokens(log_probs, tokens).spans
    rebuilt = [BLANK] * 6
    for span in spans:
        rebuilt[span.start : span.end] = [span.token] * (span.end - span.start)
        peak = log_probs[span.start : span.end, span.token].max().exp()
        assert span.probability == pytest.approx(float(peak))
    assert tuple(rebuilt) == best
    assert align_tokens(log_probs[:3], tokens) is None
    assert align_tokens(log_probs, []).spans == []
