"""Who may ask, and in which form: looked at before anything of a request's body is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Guard:
    """Refuses pages of other sites, and bodies of another type than the path takes.

    A page elsewhere may make a browser send requests to this machine. It could read answers only if its name were made
    to point here (DNS rebinding); then the ``Host`` header tells. It could make the model work with a form of its own;
    then the ``Origin`` header tells.

    Args:
        app: what is guarded.
        hosts: names under which the server is known, without ports; all if None.
        types: the content type that each path takes.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None, types: Mapping[str, str]) -> None:
        self.app = app
        self.hosts = None if hosts is None else {host.lower() for host in hosts}
        self.types = types

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self.app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if self.hosts is not None and _name_of(f"//{host}") not in self.hosts:
            return refused(421, f"Host '{host}': this server is not known by that name; see --allow-host")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return refused(403, f"Origin '{origin}': pages of other sites may not ask")
        wanted = self.types.get(scope["path"]) if scope["method"] == "POST" else None
        given = headers.get("content-type", "").partition(";")[0].strip().lower()
        if wanted is not None and given != wanted:
            return refused(415, f"Content-Type '{given}': expected {wanted}")
        return None


def refused(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The form of every refusal: one line of JSON."""
    return JSONResponse({"detail": " ".join(detail.split())}, status, headers)


def _name_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:  # brackets that do not match
        return None
