from s2s_asr.search.hypotheses import Hypothesis, joined


def test_joined_parts_are_the_best_pairs():
    first = [Hypothesis("a", -1.0, 0.0), Hypothesis("b", -1.5, 0.0)]
    second = [Hypothesis("c", -2.0, 0.5), Hypothesis("", -2.1, 0.0)]
    assert [(one.text, one.score) for one in joined(first, second, 3)] == [("a c", -2.5), ("b c", -3.0), ("a", -3.1)]
