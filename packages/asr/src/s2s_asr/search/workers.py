"""Who searches: processes for the libraries, which hold Python's lock; threads for our own kernel, which does not."""

from __future__ import annotations

import os
import signal
from abc import ABC, abstractmethod
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import numpy as np

from s2s_asr.search.flashlight import FlashlightSearch
from s2s_asr.search.pyctc import PyctcSearch, RawFound
from s2s_asr.search.settings import EXTRA, SearchSettings
from s2s_core.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from s2s_asr.search.tensors import TensorSearch

Weights = tuple[float, float]
"""Alpha and beta."""
DIED = "a searching process died; is there enough memory? --jobs 1 searches in this one"


class Workers(ABC):
    """Searches utterances, some at a time."""

    jobs: int

    @abstractmethod
    def submit(self, log_probs: Tensor, weights: Weights | None = None) -> Future[list[RawFound]]:
        """Have ``(time, labels + 1)`` on the host searched, with other weights if given."""

    @abstractmethod
    def close(self) -> None:
        """End what was started."""


@dataclass(frozen=True)
class LibrarySearch:
    """How to build a search of a library; crosses to other processes."""

    settings: SearchSettings
    names: list[str]
    separator: int | None
    lm: str | None
    words: list[str] | None
    spellings: list[tuple[str, list[int]]] | None

    def check(self) -> None:
        """Raise UserError, saying what to install, unless the libraries are there; loads nothing."""
        needed = ["pyctcdecode" if self.settings.chosen_decoder == "pyctcdecode" else "flashlight"]
        for package in [*needed, *(["kenlm"] if self.lm is not None else [])]:
            if find_spec(package) is None:
                raise UserError(f"--decoder {self.settings.chosen_decoder} needs the package {package}: {EXTRA}")

    def build(self) -> PyctcSearch | FlashlightSearch:
        """Load what it needs; raises UserError where that cannot be."""
        if self.settings.chosen_decoder == "pyctcdecode":
            return PyctcSearch(self.names, self.settings, self.lm, self.words)
        return FlashlightSearch(self.names, self.separator, self.settings, self.lm, self.spellings)


class Inline(Workers):
    """A library in this process, at once."""

    def __init__(self, library: LibrarySearch) -> None:
        self.jobs = 1
        self._search = library.build()

    def submit(self, log_probs: Tensor, weights: Weights | None = None) -> Future[list[RawFound]]:
        future: Future[list[RawFound]] = Future()
        if weights is not None:
            self._search.set_weights(*weights)
        future.set_result(self._search.search(log_probs.numpy()))
        return future

    def close(self) -> None:
        """Nothing was started."""


class Processes(Workers):
    """A library in processes of their own; a failure to load it comes with the first result."""

    def __init__(self, library: LibrarySearch, jobs: int) -> None:
        self.jobs = jobs
        # whoever forks a process that has threads may wait for ever
        self._pool = ProcessPoolExecutor(jobs, get_context("spawn"), _begin, (library,))

    def submit(self, log_probs: Tensor, weights: Weights | None = None) -> Future[list[RawFound]]:
        try:
            return self._pool.submit(_search, log_probs.numpy(), weights)
        except BrokenProcessPool:
            raise UserError(DIED) from None

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


class Threads(Workers):
    """Our own search, an utterance a thread."""

    def __init__(self, search: TensorSearch, jobs: int) -> None:
        self.jobs = jobs
        self._search = search
        self._pool = ThreadPoolExecutor(jobs)

    def submit(self, log_probs: Tensor, weights: Weights | None = None) -> Future[list[RawFound]]:
        return self._pool.submit(self._search.search, log_probs, weights)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


def result_of(future: Future[list[RawFound]]) -> list[RawFound]:
    """Wait for what a search found.

    Raises:
        UserError: if its process died.
    """
    try:
        return future.result()
    except BrokenProcessPool:
        raise UserError(DIED) from None


_current: PyctcSearch | FlashlightSearch | str | None = None
"""A searching process's search, or why it has none."""


def _begin(library: LibrarySearch) -> None:
    global _current  # noqa: PLW0603
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it ends it
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        _current = library.build()
    except UserError as error:
        _current = str(error)


def _search(log_probs: np.ndarray[Any, Any], weights: Weights | None) -> list[RawFound]:
    if isinstance(_current, str):
        raise UserError(_current)
    assert _current is not None
    if weights is not None:
        _current.set_weights(*weights)
    return _current.search(log_probs)
