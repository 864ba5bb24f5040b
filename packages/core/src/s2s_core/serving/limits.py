"""How much is taken: bytes of a request, requests at a time, seconds between two pieces of a body."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from s2s_core.serving.guard import refused

PATIENCE_S = 30.0
"""A sender that is silent for longer in the middle of a body gives its place up."""
CLOSE = {"Connection": "close"}
"""What is still on its way is not read, so the connection is of no more use."""


class Limits:
    """Refuses what is too large with 413, what is too much at a time with 503, and what is too slow with 408.

    Args:
        app: what is protected.
        most_bytes: of a body, whether its length is announced or not.
        most_requests: that send something, at a time: uploading, waiting and in work together.
        patience_s: see `PATIENCE_S`.
        uploading: where the tasks are kept that wait for a body; one that is cancelled answers that the server stops.
    """

    def __init__(
        self,
        app: ASGIApp,
        most_bytes: int,
        most_requests: int,
        patience_s: float = PATIENCE_S,
        uploading: set[asyncio.Task[Any]] | None = None,
    ) -> None:
        self.app = app
        self.most_bytes, self.most_requests, self.patience_s = most_bytes, most_requests, patience_s
        self.uploading = set() if uploading is None else uploading
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdecimal() or int(announced) > self.most_bytes:
            await _too_large(self.most_bytes)(scope, receive, send)
        elif self._inside >= self.most_requests:
            full = refused(503, f"busy with {self._inside} requests; try again", {"Retry-After": "1"})
            await full(scope, receive, send)
        else:
            self._inside += 1
            try:
                await _Body(self, receive, send).serve(scope)
            finally:
                self._inside -= 1


def _too_large(most_bytes: int) -> JSONResponse:
    return refused(413, f"larger than {most_bytes / 1e6:g} MB", CLOSE)


class _Body:
    """A request's body as it comes in.

    Once it breaks a rule the application sees a sender that has hung up, and what it says to that is not sent.
    """

    def __init__(self, limits: Limits, receive: Receive, send: Send) -> None:
        self.limits = limits
        self._receive, self._send = receive, send
        self._taken, self._whole = 0, False
        self._refusal: JSONResponse | None = None

    async def serve(self, scope: Scope) -> None:
        try:
            await self.limits.app(scope, self.receive, self.send)
        except Exception:
            if self._refusal is None:
                raise
        if self._refusal is not None:
            await self._refusal(scope, self._receive, self._send)

    async def receive(self) -> Message:
        if self._whole:  # nothing comes any more but the news that the sender has hung up
            return await self._receive()
        try:
            message = await self._piece()
        except asyncio.TimeoutError:
            return self._refuse(refused(408, f"nothing came for {self.limits.patience_s:g} s", CLOSE))
        except asyncio.CancelledError:
            return self._refuse(refused(503, "the server is being stopped", CLOSE))
        self._taken += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._taken > self.limits.most_bytes:
            return self._refuse(_too_large(self.limits.most_bytes))
        return message

    async def _piece(self) -> Message:
        task = asyncio.current_task()
        assert task is not None
        self.limits.uploading.add(task)
        try:
            return await asyncio.wait_for(self._receive(), self.limits.patience_s)
        finally:
            self.limits.uploading.discard(task)

    def _refuse(self, refusal: JSONResponse) -> Message:
        self._refusal = refusal
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self._refusal is None:
            await self._send(message)
