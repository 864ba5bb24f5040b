"""The process that listens: a socket taken before the model is loaded, uvicorn, and an end without delay."""

from __future__ import annotations

import asyncio
import errno
import socket

import uvicorn
from fastapi import FastAPI

from s2s_core.errors import UserError
from s2s_core.serving.guard import LOOPBACK

GRACE_S = 1
"""What requests in work are given to end after Ctrl-C."""


def bind(host: str, port: int) -> socket.socket:
    """Take an address; nobody is answered until it is listened to.

    Raises:
        UserError: if it cannot be had; says why.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise UserError(f"--host {host}: {error.strerror}") from None
    taken = socket.socket(family, kind, protocol)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind(address)
    except OSError as error:
        taken.close()
        if error.errno == errno.EADDRINUSE:
            raise UserError(f"--port {port}: in use on {host}; --port 0 finds a free one") from None
        raise UserError(f"--host {host} --port {port}: {error.strerror}") from None
    return taken


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    return host in LOOPBACK or host.startswith("127.")


def address_of(taken: socket.socket) -> str:
    """The URL of a taken address."""
    host, port = taken.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._abandon = app.state.abandon

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().call_later(GRACE_S, self._abandon)
        await super().shutdown(sockets)


def listen(app: FastAPI, taken: socket.socket) -> None:
    """Answer until Ctrl-C or a termination; requests in work then have a second to finish.

    Raises:
        KeyboardInterrupt: after Ctrl-C.
    """
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=GRACE_S + 2,  # the last resort, for who does not read the answer
    )
    _Server(config, app).run(sockets=[taken])
