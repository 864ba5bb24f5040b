import io
from itertools import pairwise

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from s2s_asr.interfaces import TokenSpan
from s2s_asr.words import Word, join_spans, marks, runs, words_of
from s2s_core.text.tokenizers import CharTokenizer, SentencePieceTokenizer

CHARACTERS = CharTokenizer()


def spelt(text: str, tokenizer=CHARACTERS, width: int = 2) -> list[TokenSpan]:
    """Spans of ``width`` frames with one blank between them, a little surer each time."""
    ids = [tokenizer.labels.index(c) for c in text] if isinstance(tokenizer, CharTokenizer) else tokenizer.encode(text)
    return [TokenSpan(t, i * (width + 1), i * (width + 1) + width, 0.5 + i / 100) for i, t in enumerate(ids)]


def test_words_of_characters():
    words = words_of(spelt(" hi  you "), CHARACTERS, frame_s=0.02, duration_s=9.0)
    assert words == [Word("hi", 0.06, 0.16, 0.51), Word("you", 0.3, 0.46, 0.55)]


def test_no_word_ends_after_the_recording():
    (word,) = words_of(spelt("ab"), CHARACTERS, frame_s=0.02, duration_s=0.07)
    assert (word.start_s, word.end_s) == (0.0, 0.07)


@given(st.text(" abc'", max_size=20))
def test_words_are_those_of_the_text(text):
    assert [word.text for word in words_of(spelt(text), CHARACTERS, 0.02, 99.0)] == text.split()


@pytest.fixture(scope="module")
def pieces():
    model = io.BytesIO()
    text = ["the cat sat on the mat", "a dog sat by the door", "the mats and the dogs and the cats"] * 9
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text), model_writer=model, vocab_size=24, minloglevel=2
    )
    tokenizer = SentencePieceTokenizer("absent.model")
    tokenizer.load_assets({"sentencepiece.model": model.getvalue()})
    return tokenizer


def test_words_of_subwords(pieces):
    text = "the dogs sat on the mat"
    spans = spelt(text, pieces)
    words = words_of(spans, pieces, frame_s=0.02, duration_s=99.0)
    assert [word.text for word in words] == text.split()
    assert len(spans) > len(words)
    assert words[0].start_s in (0.0, 0.06)  # a lone word-border piece may come first
    assert words[-1].end_s == pytest.approx(spans[-1].end * 0.02)
    assert all(a.end_s <= b.start_s for a, b in pairwise(words))


def test_a_token_across_the_seam_stays_one():
    spans = [TokenSpan(3, 0, 2, 0.5), TokenSpan(4, 5, 8, 0.6)]
    join_spans(spans, [TokenSpan(4, 8, 9, 0.9), TokenSpan(4, 11, 12, 0.7)])
    assert spans == [TokenSpan(3, 0, 2, 0.5), TokenSpan(4, 5, 9, 0.9), TokenSpan(4, 11, 12, 0.7)]


def test_tokens_that_differ_or_do_not_touch_are_not_joined():
    spans = [TokenSpan(4, 5, 8, 0.6)]
    join_spans(spans, [TokenSpan(5, 8, 9, 0.9)])
    join_spans(spans, [TokenSpan(5, 10, 12, 0.9)])
    join_spans(spans, [])
    assert [span.token for span in spans] == [4, 5, 5]


def test_runs_of_a_label_have_its_highest_probability():
    found = runs([7, 7, 2, 7, 7, 7], [0.5, 0.25, 1.0, 0.125, 0.75, 0.25])
    assert found == [TokenSpan(7, 0, 2, 0.5), TokenSpan(2, 2, 3, 1.0), TokenSpan(7, 3, 6, 0.75)]
    assert runs([], []) == []


@pytest.mark.parametrize(
    ("kept", "expected"),
    [(slice(0, None), [0, 3, 3, 5]), (slice(3, 5), [0, 0]), (slice(2, None), [1, 1, 3]), (slice(0, 0), [])],
)
def test_marks_count_from_the_first_frame_that_is_kept(kept, expected):
    tokens, chances = [4, 6, 6, 5, 9], [0.5, 0.25, 0.75, 1.0, 0.125]
    found = marks(tokens, [0, 3, 3, 5, 8], chances, length=8, kept=kept)
    assert [span.start for span in found] == expected
    assert all(span.end == span.start + 1 for span in found)
    if len(found) == 4:
        assert [(span.token, span.probability) for span in found] == list(zip(tokens, chances, strict=True))[:4]
