import pytest
from pydantic import ValidationError

from s2s_core.errors import UserError
from s2s_core.serving.endpoint import Question, TooLong, checked_text, with_choices


class Say(Question):
    """Words."""

    text: str


def test_a_text_is_neither_empty_nor_too_long():
    assert checked_text(" a ", 3) == " a "
    with pytest.raises(TooLong, match="4 characters, expected at most 3"):
        checked_text("abcd", 3)
    with pytest.raises(UserError, match="is empty"):
        checked_text(" \t\n", 3)


def test_choices_that_the_model_knows():
    question = with_choices(Say, "speaker", ["ann", "bob"], "whose voice")
    assert question(text="a").speaker == "ann"
    assert question(text="a", speaker="bob").speaker == "bob"
    with pytest.raises(ValidationError, match="speaker"):
        question(text="a", speaker="eve")
    assert question.model_json_schema()["properties"]["speaker"]["enum"] == ["ann", "bob"]
    assert question.model_json_schema()["description"] == "Words."


def test_a_key_that_no_field_has_is_refused():
    with pytest.raises(ValidationError, match="txet"):
        Say(text="a", txet="b")
