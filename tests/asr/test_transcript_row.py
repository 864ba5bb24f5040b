from s2s_asr.search.hypotheses import Hypothesis
from s2s_asr.transcribe import Transcript
from s2s_asr.transcript_row import transcript_row
from s2s_asr.words import Word

WORD = Word("hi", 0.5, 0.75, 0.912345)
ROW = {"text": "hi", "start_s": 0.5, "end_s": 0.75, "confidence": 0.9123}


def test_greedy_transcripts_have_words_and_no_list():
    row = transcript_row(Transcript("a.wav", "hi", [WORD], 1.5))
    assert row == {"text": "hi", "duration_s": 1.5, "words": [ROW]}


def test_searched_ones_have_their_scores_and_what_rescored_them_if_anything_did():
    plain = Hypothesis("hi", -1.23456, 0.5, words=[WORD])
    rescored = Hypothesis("ho", -2.0, 0.25, rescoring=-4.0, rescore_weight=0.5)
    rows = transcript_row(Transcript("a.wav", "hi", [WORD], 1.5, [plain, rescored]))["nbest"]
    assert rows[0] == {"text": "hi", "score": -0.7346, "acoustic": -1.2346, "lm": 0.5, "words": [ROW]}
    assert rows[1] == {"text": "ho", "score": -3.75, "acoustic": -2.0, "lm": 0.25, "rescoring": -4.0, "words": []}
