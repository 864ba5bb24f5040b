"""Sources in batches, whatever they are: here numbers, whose class is their sign."""

import pytest
import torch
from torch import nn

from s2s_commands.classify_each import EachClassifier
from s2s_core.errors import UserError


class Signs(nn.Module):
    classes = ("negative", "positive")

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))


class SignClassifier(EachClassifier):
    kind = "numbers"
    batch_size = 2

    def __init__(self, **options):
        super().__init__(Signs(), **options)
        self.batches = []

    def _open(self, name, source):
        if source == 0:
            raise UserError(f"{name}: has no sign")
        return torch.tensor(float(source))

    def _probabilities_of(self, opened):
        self.batches.append(len(opened))
        positive = torch.sigmoid(torch.stack(opened))
        return torch.stack([1 - positive, positive], dim=1)

    def _answer(self, name, ranked, opened):
        return name, ranked, float(opened)


def test_answers_come_in_order_ranked_and_with_what_could_not_be_opened_between():
    found = list(SignClassifier().classify_each([3.0, 0, -1.0, 2.0]))
    assert [type(one) for one in found] == [tuple, UserError, tuple, tuple]
    assert [one[2] for one in found if isinstance(one, tuple)] == [3.0, -1.0, 2.0]
    assert str(found[1]) == "#1: has no sign"
    assert [list(found[i][1]) for i in (0, 2)] == [["positive", "negative"], ["negative", "positive"]]
    assert found[2][1]["negative"] == pytest.approx(1 / (1 + torch.e**-1))


@pytest.mark.parametrize(("size", "batches"), [(None, [2, 2, 1]), (1, [1] * 5), (9, [5])])
def test_batches_have_the_size_asked_for_and_change_no_result(size, batches):
    classifier = SignClassifier()
    found = classifier.classify([1, -2, 3, -4, 5], size)
    assert classifier.batches == batches
    assert [one[2] for one in found] == [1, -2, 3, -4, 5]
    assert [next(iter(one[1])) for one in found] == ["positive", "negative", "positive", "negative", "positive"]


def test_a_stream_is_answered_while_the_rest_is_still_to_come():
    given = []

    def numbers():
        for number in (1, 2, 3, 4):
            given.append(number)
            yield number

    answers = SignClassifier().classify_each(numbers())
    next(answers)
    assert given == [1, 2]


def test_the_first_unreadable_source_ends_a_list():
    with pytest.raises(UserError, match="#1: has no sign"):
        SignClassifier().classify([1, 0, 2])


def test_a_path_a_batch_of_nothing_and_an_unknown_precision_are_refused():
    with pytest.raises(TypeError, match="a list of numbers, got the one path 'a'"):
        list(SignClassifier().classify_each("a"))
    with pytest.raises(ValueError, match="at least 1, got 0"):
        list(SignClassifier().classify_each([1], batch_size=0))
    with pytest.raises(ValueError, match="half"):
        SignClassifier(precision="half")
