"""The ASGI application: each endpoint at its path, the page, and what a monitor asks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI, File, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response

from s2s_core import __version__
from s2s_core.errors import UserError
from s2s_core.serving.batcher import Batcher, Stopping
from s2s_core.serving.endpoint import Endpoint, TooLong, Upload
from s2s_core.serving.guard import Guard, refused
from s2s_core.serving.limits import Limits
from s2s_core.serving.page import POLICY, render

STATIC = Path(__file__).parent / "static"
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Serving:
    """What is served, and how much of it at a time."""

    task: str
    checkpoint: str
    max_batch: int = 8
    max_wait_s: float = 0.005
    max_requests: int = 64
    max_upload_mb: float = 32.0
    hosts: Collection[str] | None = None
    """Names that the server answers to; all if None."""


class Health(BaseModel):
    """Whether the server can answer."""

    task: str
    checkpoint: str
    ready: bool
    waiting: int
    """Requests that no batch holds yet."""


class Problem(BaseModel):
    """Why a request was refused, in one line."""

    detail: str


PROBLEMS = {
    413: "larger or longer than the server takes",
    415: "another content type than expected",
    422: "cannot be answered",
    503: "too many requests at a time",
}


def make_app(serving: Serving, endpoints: Sequence[Endpoint[Any]], batcher: Batcher | None = None) -> FastAPI:
    """Build the application; its ``state.abandon()`` tells all who wait that the server stops.

    Args:
        serving: see there.
        endpoints: of the loaded model.
        batcher: made by the settings if None.
    """
    batcher = batcher or Batcher(serving.max_batch, serving.max_wait_s)
    uploading: set[asyncio.Task[Any]] = set()

    def abandon() -> None:
        batcher.abandon()
        for task in list(uploading):
            task.cancel()

    @contextlib.asynccontextmanager
    async def batching(app: FastAPI) -> AsyncIterator[None]:
        app.state.work = asyncio.create_task(batcher.work())
        yield
        app.state.work.cancel()

    app = FastAPI(
        title=f"s2s {serving.task}",
        summary=f"{serving.task} with the checkpoint {serving.checkpoint}",
        version=__version__,
        lifespan=batching,
        exception_handlers=HANDLERS,
    )
    app.state.abandon = abandon
    for endpoint in endpoints:
        _add(app, endpoint, batcher)
    _add_page(app, serving, endpoints)
    _add_health(app, serving, batcher)
    types = {f"/{one.name}": "multipart/form-data" if _takes_file(one) else "application/json" for one in endpoints}
    most_bytes = int(serving.max_upload_mb * MEGABYTE)
    # the one that is added last is met first
    app.add_middleware(Limits, most_bytes=most_bytes, most_requests=serving.max_requests, uploading=uploading)
    app.add_middleware(Guard, hosts=serving.hosts, types=types)
    return app


def _add_health(app: FastAPI, serving: Serving, batcher: Batcher) -> None:
    @app.get("/health", summary="Whether the server can answer", tags=["server"])
    def health() -> Health:
        ready = not app.state.work.done()
        return Health(task=serving.task, checkpoint=serving.checkpoint, ready=ready, waiting=batcher.waiting)


def _takes_file(endpoint: Endpoint[Any]) -> bool:
    return isinstance(endpoint.asks, str)


def _add(app: FastAPI, endpoint: Endpoint[Any], batcher: Batcher) -> None:
    responses: dict[int | str, dict[str, Any]] = {
        status: {"model": Problem, "description": why} for status, why in PROBLEMS.items()
    }
    sounds = endpoint.answers == "wav"
    if sounds:
        responses[200] = {"content": {"audio/wav": {"schema": {"type": "string", "format": "binary"}}}}
    app.add_api_route(
        f"/{endpoint.name}",
        _handler(endpoint, batcher),
        methods=["POST"],
        name=endpoint.name,
        summary=endpoint.summary,
        tags=["model"],
        responses=responses,
        response_class=Response if sounds else JSONResponse,
        response_model=None if sounds else endpoint.answers,
        response_model_exclude_unset=True,
    )


def _handler(endpoint: Endpoint[Any], batcher: Batcher) -> Callable[..., Any]:
    async def answer(asked: Any) -> Any:
        async with batcher.preparing:
            prepared = await run_in_threadpool(endpoint.prepare, asked)
        found = await batcher.ask(endpoint, prepared)
        if isinstance(found, bytes):
            place = {"Content-Disposition": f'inline; filename="{endpoint.name}.wav"'}
            return Response(found, media_type="audio/wav", headers=place)
        return found

    async def answer_file(file: Any) -> Any:
        return await answer(Upload(file.filename or "upload", file.file))

    # FastAPI reads what a request holds from the annotations, and these are known only here
    if _takes_file(endpoint):
        answer_file.__annotations__ = {"file": UploadFile}
        answer_file.__defaults__ = (File(description=f"{endpoint.asks}"),)
        return answer_file
    answer.__annotations__ = {"asked": endpoint.asks}
    return answer


def _add_page(app: FastAPI, serving: Serving, endpoints: Sequence[Endpoint[Any]]) -> None:
    html = render(serving.task, serving.checkpoint, endpoints)
    headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}

    @app.get("/", include_in_schema=False)
    def page() -> HTMLResponse:
        return HTMLResponse(html, headers=headers)

    for file in sorted(STATIC.iterdir()):
        app.add_api_route(f"/static/{file.name}", _sender(file, headers), include_in_schema=False)


def _sender(file: Path, headers: dict[str, str]) -> Callable[[], FileResponse]:
    def send() -> FileResponse:
        return FileResponse(file, headers=headers)

    send.__annotations__ = {}
    return send


async def _malformed(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    return refused(422, f"{place or 'body'}: {first['msg'][:1].lower()}{first['msg'][1:]}")


async def _unanswerable(_: Request, error: Exception) -> JSONResponse:
    return refused(413 if isinstance(error, TooLong) else 422, str(error))


async def _stopping(_: Request, error: Exception) -> JSONResponse:
    return refused(503, "the server is being stopped")


async def _broken(_: Request, error: Exception) -> JSONResponse:
    return refused(500, "the server failed at this request; its log says why")


HANDLERS: dict[Any, Any] = {
    RequestValidationError: _malformed,
    UserError: _unanswerable,
    Stopping: _stopping,
    Exception: _broken,
}
