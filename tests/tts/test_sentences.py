"""Long texts in pieces: nothing lost, nothing too long, nothing cut at a title."""

import pytest

from s2s_tts.sentences import split_sentences


def test_sentences_end_where_they_do():
    text = 'He met Dr. Lee. "Is it J. Smith?" she asked! Yes; it was.\n\nA new paragraph'
    assert split_sentences(text) == [
        "He met Dr. Lee.", '"Is it J. Smith?', "she asked!", "Yes;", "it was.", "A new paragraph"
    ]  # fmt: skip


@pytest.mark.parametrize("title", ["Gov.", "Sgt.", "Sen.", "dr."])
def test_a_title_ends_no_sentence(title):
    assert split_sentences(f"Ask {title} Lee.") == [f"Ask {title} Lee."]


@pytest.mark.parametrize("longest", [10, 17, 40])
def test_long_sentences_are_cut_and_whole(longest):
    text = "a long sentence, with commas, but also with a stretch of words that has none of them at all"
    pieces = split_sentences(text, longest)
    assert " ".join(pieces) == text
    assert all(len(piece) <= longest for piece in pieces)
    assert len(pieces) <= 2.5 * len(text) / longest


def test_a_word_is_never_cut():
    assert split_sentences("supercalifragilistic expialidocious", 8) == ["supercalifragilistic", "expialidocious"]
    assert split_sentences("  \n ") == []
