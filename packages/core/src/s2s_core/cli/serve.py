"""``serve``: a checkpoint behind HTTP, with a page for people and an API for programs."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2s_core.cli.arguments import VerbParser, add_device, chosen_device, number_in
from s2s_core.cli.tasks import TaskInfo, load_object
from s2s_core.errors import UserError

if TYPE_CHECKING:
    from s2s_core.serving.batcher import Batcher
    from s2s_core.serving.endpoint import Endpoint

NEEDED = ("fastapi", "uvicorn", "python_multipart")
INTERRUPTED = 130

EPILOG = """\
Opens a web page at / where a person records, types or drops a file; programs find each verb at its path (POST
/{verbs}), the description of them all at /openapi.json and /docs, and the state at /health.

Requests that wait together go through the model as one batch, which changes no answer. The server is reachable from
this machine alone unless --host says otherwise, and knows no passwords: put it behind a proxy that does.

Needs FastAPI and uvicorn: pip install 's2s-core[serve]'.
"""


def main(task: TaskInfo, argv: list[str]) -> int:
    """Serve until Ctrl-C; returns the exit status."""
    if task.serving is None:
        raise UserError(f"task '{task.name}' has no verb that could be served")
    options = _parser(task).parse_args(argv)
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise UserError(f"serve needs {', '.join(missing)}: pip install 's2s-core[serve]'")
    from s2s_core.serving.batcher import Batcher
    from s2s_core.serving.server import address_of, bind

    options.device = chosen_device(options.device)
    with bind(options.host, options.port) as taken:  # before the model is loaded, which takes a while
        endpoints: list[Endpoint[Any]] = load_object(task.serving.endpoints)(options)
        batcher = Batcher(options.max_batch, options.max_wait_ms / 1000)
        gc.freeze()  # what is loaded stays: no collection, nor the end of the process, need look at it again
        taken.listen(128)
        print(f"{task.name} {options.checkpoint.name}: {address_of(taken)} (Ctrl-C ends it)", flush=True)
        _listen(task, options, endpoints, batcher, taken)
    return 0


def _listen(
    task: TaskInfo, options: argparse.Namespace, endpoints: Sequence[Endpoint[Any]], batcher: Batcher, taken: Any
) -> None:
    from s2s_core.serving.app import Serving, make_app
    from s2s_core.serving.guard import LOOPBACK
    from s2s_core.serving.server import is_loopback, listen

    hosts = [*LOOPBACK, options.host, *options.allow_host] if is_loopback(options.host) or options.allow_host else None
    if not is_loopback(options.host):
        print(f"--host {options.host}: whoever reaches this machine may ask", file=sys.stderr)
    serving = Serving(
        task.name,
        options.checkpoint.name,
        options.max_batch,
        options.max_wait_ms / 1000,
        options.max_requests,
        options.max_upload_mb,
        hosts,
    )
    try:
        listen(make_app(serving, endpoints, batcher), taken)
    finally:
        if not batcher.close(patience_s=0.2):
            print("\ninterrupted", file=sys.stderr, flush=True)
            os._exit(INTERRUPTED)  # the thread of a model in the middle of a batch cannot be ended otherwise
        for endpoint in endpoints:
            endpoint.close()


def _parser(task: TaskInfo) -> argparse.ArgumentParser:
    assert task.serving is not None
    parser = VerbParser(
        prog=f"lightning run {task.name} serve",
        description="Serve a checkpoint: a web page and an HTTP API.",
        epilog=EPILOG.format(verbs=", /".join(task.serving.verbs)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("checkpoint", type=Path, metavar="CHECKPOINT", help="as `fit` wrote it")
    add("--host", default="127.0.0.1", help="address to listen at (default: %(default)s, this machine alone)")
    add("--port", type=number_in(0, 65535, int), default=8000, metavar="N", help="0 finds a free one (%(default)s)")
    add("--allow-host", action="append", default=[], metavar="NAME", help="answer to this name, too; may be repeated")
    add_device(parser)
    group = parser.add_argument_group("batches and limits")
    add = group.add_argument
    add("--max-batch", type=number_in(1, 4096, int), default=8, metavar="N", help="requests at once (%(default)s)")
    add("--max-wait-ms", type=number_in(0, 60_000), default=5, metavar="MS", help="to wait for company (%(default)s)")
    add("--max-requests", type=number_in(1, 100_000, int), default=64, metavar="N", help="at a time; more get 503 (64)")
    add("--max-upload-mb", type=number_in(0.001, 100_000), default=32, metavar="MB", help="of a request (%(default)s)")
    load_object(task.serving.add_options)(parser)
    return parser


def add_text_limit(parser: argparse.ArgumentParser, most: int = 5000) -> None:
    """Add ``--max-characters`` for endpoints that read text."""
    add = parser.add_argument
    add("--max-characters", type=number_in(1, 10**9, int), default=most, metavar="N", help="of a text (%(default)s)")


def add_audio_limit(parser: argparse.ArgumentParser, most_s: float = 600.0) -> None:
    """Add ``--max-audio-s`` for endpoints that hear."""
    parser.add_argument(
        "--max-audio-s", type=number_in(0.01, 10**6), default=most_s, metavar="S", help="of a recording (%(default)g)"
    )
