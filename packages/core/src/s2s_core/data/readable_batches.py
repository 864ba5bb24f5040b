"""Batches of what can be read: what cannot is left out, and named."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

from torch.utils.data import Dataset

from s2s_core.data.loader import Loaded
from s2s_core.errors import UserError

Key = TypeVar("Key")
Item = TypeVar("Item")
Batch = TypeVar("Batch")

_SUBSTITUTES = 32
"""Examples tried in place of a batch that cannot be read."""


class ReadableBatches(Dataset[Loaded[Batch]], ABC, Generic[Key, Item, Batch]):
    """Loads whole batches by the keys of their examples.

    Args:
        count: how many examples there are.
        substitute: where no example of a batch can be read, take the next one in the table that can, because all
            ranks need the same number of training batches; otherwise there is no batch.
    """

    example: ClassVar[str]
    """What an example is called."""

    def __init__(self, count: int, substitute: bool) -> None:
        self.count, self.substitute = count, substitute

    @abstractmethod
    def read(self, key: Key) -> Item:
        """Read an example.

        Raises:
            UserError: if it cannot be read; names it.
        """

    @abstractmethod
    def collate(self, found: list[Item]) -> Batch:
        """Make a batch of examples."""

    @abstractmethod
    def later(self, key: Key, steps: int) -> Key:
        """The key of the example so many places later in the table, which begins anew at its end."""

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, key: Key) -> Loaded[Batch]:
        return self.__getitems__([key])

    def __getitems__(self, keys: list[Key]) -> Loaded[Batch]:
        failures: list[str] = []
        found = self._readable(keys, failures)
        if not found and self.substitute:
            found = self._substitute(keys[0])
            if not found:
                return Loaded(None, fatal=f"no {self.example} of a batch can be read, nor any after it; {failures[-1]}")
        return Loaded(self.collate(found) if found else None, failures)

    def _readable(self, keys: list[Key], failures: list[str]) -> list[Item]:
        found: list[Item] = []
        for key in keys:
            try:
                found.append(self.read(key))
            except UserError as error:
                failures.append(str(error))
        return found

    def _substitute(self, key: Key) -> list[Item]:
        for steps in range(1, min(_SUBSTITUTES, self.count)):
            found = self._readable([self.later(key, steps)], [])
            if found:
                return found
        return []


class IndexedBatches(ReadableBatches[int, Item, Batch]):
    """Those whose keys are places in the table."""

    def later(self, key: int, steps: int) -> int:
        return (key + steps) % self.count
