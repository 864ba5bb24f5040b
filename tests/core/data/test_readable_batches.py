"""Batches of examples, some of which cannot be read."""

import pytest

from s2s_core.data.readable_batches import ReadableBatches
from s2s_core.errors import UserError


class Letters(ReadableBatches):
    """A key is an epoch and a place; a batch joins letters and epochs."""

    example = "letter"

    def __init__(self, letters, broken="", substitute=False):
        super().__init__(len(letters), substitute)
        self.letters, self.broken = letters, broken

    def read(self, key):
        epoch, place = key
        if self.letters[place] in self.broken:
            raise UserError(f"{self.letters[place]} is broken")
        return f"{self.letters[place]}{epoch}"

    def collate(self, found):
        return "".join(found)

    def later(self, key, steps):
        return key[0], (key[1] + steps) % self.count


def test_a_batch_has_its_examples_in_order():
    letters = Letters("abcde")
    loaded = letters.__getitems__([(7, 3), (7, 0), (7, 4)])
    assert (loaded.batch, list(loaded.failures)) == ("d7a7e7", [])
    assert letters[2, 1].batch == "b2"
    assert len(letters) == 5


def test_what_cannot_be_read_is_left_out_and_named():
    loaded = Letters("abcde", broken="a").__getitems__([(0, 3), (0, 0), (0, 4)])
    assert (loaded.batch, list(loaded.failures)) == ("d0e0", ["a is broken"])


def test_a_batch_of_nothing_readable_is_none():
    loaded = Letters("abcde", broken="bc").__getitems__([(0, 1), (0, 2)])
    assert (loaded.batch, list(loaded.failures)) == (None, ["b is broken", "c is broken"])


@pytest.mark.parametrize(("asked", "taken"), [([(3, 1), (3, 2)], "d3"), ([(3, 4)], "a3")])
def test_or_the_next_that_can_be_read_in_training(asked, taken):
    loaded = Letters("abcde", broken="bce", substitute=True).__getitems__(asked)
    assert loaded.batch == taken
    assert len(loaded.failures) == len(asked)


def test_where_none_can_be_read_training_ends_with_the_reason():
    loaded = Letters("abc", broken="abc", substitute=True).__getitems__([(0, 0)])
    assert loaded.batch is None
    assert loaded.fatal == "no letter of a batch can be read, nor any after it; a is broken"
