"""Dynamic batching: requests that wait together go through the model as one batch."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from s2s_core.errors import UserError
from s2s_core.serving.endpoint import Endpoint

LOGGER = logging.getLogger(__name__)


class Stopping(Exception):
    """The server ends before the answer is there."""


@dataclass
class _Waiting:
    key: Hashable
    endpoint: Endpoint[Any]
    item: Any
    answer: asyncio.Future[Any]
    since: float = field(default_factory=time.monotonic)


class Batcher:
    """Gathers requests and hands them to the model, which runs on one thread.

    A batch holds requests of one endpoint with equal keys. It goes as soon as the model is free and the batch is full
    or its oldest request has waited long enough; while the model works, the next one fills by itself. The oldest
    request is always in the next batch, so none starves.

    Args:
        max_batch: requests at once.
        max_wait_s: how long a request waits for company.

    Raises:
        ValueError: if a number is out of its range.
    """

    def __init__(self, max_batch: int = 8, max_wait_s: float = 0.005) -> None:
        if max_batch < 1 or max_wait_s < 0:
            raise ValueError(f"expected max_batch from 1 and max_wait_s from 0, got {max_batch} and {max_wait_s}")
        self.max_batch, self.max_wait_s = max_batch, max_wait_s
        self.preparing = asyncio.Semaphore(max(2, os.cpu_count() or 1))
        """Held while a question is prepared: decoding takes memory, and more at a time than processors is no faster."""
        self.batches = 0
        """How many the model was given."""
        self._stopping = False
        self._waiting: list[_Waiting] = []
        self._unanswered: set[asyncio.Future[Any]] = set()
        self._arrived = asyncio.Event()
        self._thread = _ModelThread()

    @property
    def waiting(self) -> int:
        """Requests that no batch holds yet."""
        return len(self._waiting)

    async def ask(self, endpoint: Endpoint[Any], item: Any) -> Any:
        """Return what ``endpoint`` answers to ``item``.

        Raises:
            UserError: if that is the answer.
            Stopping: if the server ends before.
            Exception: what the model raised on this item.
        """
        if self._stopping:
            raise Stopping
        one = _Waiting((endpoint.name, endpoint.key(item)), endpoint, item, asyncio.get_running_loop().create_future())
        self._waiting.append(one)
        self._unanswered.add(one.answer)
        self._arrived.set()
        try:
            answer = await one.answer
        finally:
            self._unanswered.discard(one.answer)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def work(self) -> None:
        """Form batches until cancelled."""
        while True:
            batch = await self._next()
            self.batches += 1
            answers = await self._thread.answers(batch[0].endpoint, [one.item for one in batch])
            for one, answer in zip(batch, answers, strict=True):
                if not one.answer.done():
                    one.answer.set_result(answer)

    async def _next(self) -> list[_Waiting]:
        while True:
            # a sender that hung up has cancelled its request
            self._waiting = [one for one in self._waiting if not one.answer.done()]
            left_s = None
            if self._waiting:
                first = self._waiting[0]
                batch = [one for one in self._waiting if one.key == first.key][: self.max_batch]
                left_s = first.since + self.max_wait_s - time.monotonic()
                if len(batch) == self.max_batch or left_s <= 0:
                    taken = {id(one) for one in batch}
                    self._waiting = [one for one in self._waiting if id(one) not in taken]
                    return batch
            self._arrived.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), left_s)

    def abandon(self) -> None:
        """Tell all who wait, and all who come, that there will be no answer."""
        self._stopping = True
        for answer in self._unanswered:
            if not answer.done():
                answer.set_result(Stopping())

    def close(self, patience_s: float = 1.0) -> bool:
        """End the thread; returns whether it has ended, which it has not while a long batch goes on."""
        return self._thread.close(patience_s)


class _ModelThread:
    """Runs batches one after the other. A daemon: a batch that takes minutes does not keep a stopped server alive."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Any, ...] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    async def answers(self, endpoint: Endpoint[Any], items: list[Any]) -> list[Any]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Any]] = loop.create_future()
        self._jobs.put((loop, future, endpoint, items))
        return await future

    def close(self, patience_s: float) -> bool:
        self._jobs.put(None)
        self._thread.join(patience_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            loop, future, endpoint, items = job
            answers = answers_of(endpoint, items)
            with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits
                loop.call_soon_threadsafe(_tell, future, answers)


def _tell(future: asyncio.Future[list[Any]], answers: list[Any]) -> None:
    if not future.done():
        future.set_result(answers)


def answers_of(endpoint: Endpoint[Any], items: Sequence[Any]) -> list[Any]:
    """What an endpoint answers to a batch, errors among the answers.

    If the model raises, each is tried by itself, so that only the one it cannot do fails.
    """
    try:
        answers = list(endpoint.run(items))
        if len(answers) != len(items):
            raise RuntimeError(f"{endpoint.name}: {len(answers)} answers to {len(items)} questions")
        return answers
    except Exception as error:
        if len(items) > 1:
            return [answers_of(endpoint, [item])[0] for item in items]
        if not isinstance(error, UserError):
            LOGGER.exception("%s failed", endpoint.name)
        return [error]
