import pytest

from s2s_asr.search.labels import Labels, same_case, spellings, words_of_model
from s2s_asr.search.settings import NO_LEXICON, SearchSettings
from s2s_core.errors import UserError
from s2s_core.text.tokenizers import CharTokenizer

CHARACTERS = Labels([("", True), ("a", False), ("b", False)])
PIECES = Labels([("a", True), ("b", False)])


def test_characters_have_a_separator_and_pieces_mark_where_words_begin():
    assert (CHARACTERS.separator, CHARACTERS.are_pieces, CHARACTERS.names) == (0, False, [" ", "a", "b"])
    assert (PIECES.separator, PIECES.are_pieces, PIECES.names) == (None, True, ["\u2581a", "b"])


def test_spellings_end_in_the_separator_and_leave_out_what_has_no_labels():
    tokenizer = CharTokenizer(" ab")
    assert spellings(["ab", "xy", "b"], tokenizer, CHARACTERS) == [("ab", [1, 2, 0]), ("b", [2, 0])]


def test_words_are_the_lexicons_first_column_or_none(tmp_path):
    file = tmp_path / "words.txt"
    file.write_text("ab a b\n\nba b a\n")
    assert words_of_model(SearchSettings(lexicon=str(file))) == ["ab", "ba"]
    assert words_of_model(SearchSettings("flashlight", lexicon=NO_LEXICON)) is None
    assert words_of_model(SearchSettings()) is None
    file.write_text("\n")
    with pytest.raises(UserError, match=r"words\.txt: the lexicon holds no words"):
        words_of_model(SearchSettings(lexicon=str(file)))


def test_case_is_that_of_the_majority_and_marks_do_not_count():
    assert same_case(["<s>", "<UNK>", "ab", "ba"], str.lower)
    assert not same_case(["AB", "BA", "c"], str.lower)
