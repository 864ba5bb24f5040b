from s2s_asr.interfaces import TokenSpan
from s2s_asr.search.hypotheses import Hypothesis, joined


def test_joined_parts_are_the_best_pairs():
    first = [Hypothesis("a", -1.0, 0.0), Hypothesis("b", -1.5, 0.0)]
    second = [Hypothesis("c", -2.0, 0.5), Hypothesis("", -2.1, 0.0)]
    assert [(one.text, one.score) for one in joined(first, second, 3)] == [("a c", -2.5), ("b c", -3.0), ("a", -3.1)]


def test_joined_parts_have_different_texts():
    first = [Hypothesis("a b", -1.0, 0.0), Hypothesis("a", -1.1, 0.0)]
    second = [Hypothesis("c", -1.0, 0.0), Hypothesis("b c", -1.05, 0.0)]
    assert [one.text for one in joined(first, second, 9)] == ["a b c", "a b b c", "a c"]


def test_a_word_goes_on_across_a_border_where_labels_are_written_anew():
    first = [Hypothesis("ab", -1.0, 0.0, spans=[TokenSpan(1, 0, 1, 0.5), TokenSpan(2, 3, 4, 0.5)])]
    second = [Hypothesis("b a", -2.0, 0.0, spans=[TokenSpan(2, 0, 1, 0.9), TokenSpan(0, 1, 2, 0.9)]).later(4)]
    (found,) = joined(first, second, 3, lambda ids: "".join(" ab"[k] for k in ids))
    assert found.text == "ab "
    assert found.spans == [TokenSpan(1, 0, 1, 0.5), TokenSpan(2, 3, 5, 0.9), TokenSpan(0, 5, 6, 0.9)]
    assert found.score == -3.0
