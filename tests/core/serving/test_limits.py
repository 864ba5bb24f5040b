import asyncio
import json

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse

from s2s_core.serving.limits import Limits


async def measure(scope, receive, send):
    """Answers how long the body was."""
    body = await Request(scope, receive).body()
    await PlainTextResponse(str(len(body)))(scope, receive, send)


async def forgiving(scope, receive, send):
    """Has an answer of its own to a sender that hangs up, as FastAPI does."""
    try:
        await measure(scope, receive, send)
    except ClientDisconnect:
        await PlainTextResponse("bad", 400)(scope, receive, send)


def send_to(limits, pieces, announced=None, pause_s=0.0, method="POST"):
    sent = []

    async def main():
        waiting = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        waiting.append({"type": "http.request", "body": b"", "more_body": False})

        async def receive():
            await asyncio.sleep(pause_s)
            return waiting.pop(0)

        async def send(message):
            sent.append(message)

        headers = [] if announced is None else [(b"content-length", str(announced).encode())]
        await limits({"type": "http", "method": method, "path": "/", "headers": headers}, receive, send)

    asyncio.run(main())
    return sent[0]["status"], sent[1]["body"].decode()


@pytest.mark.parametrize("app", [measure, forgiving])
def test_a_body_up_to_the_limit_is_taken_and_no_more(app):
    limits = Limits(app, most_bytes=10, most_requests=1)
    assert send_to(limits, [b"12345", b"67890"]) == (200, "10")
    status, body = send_to(limits, [b"12345", b"67890", b"1"])
    assert (status, json.loads(body)["detail"]) == (413, "larger than 1e-05 MB")
    assert send_to(limits, [b"1"]) == (200, "1"), "its place is free again"


@pytest.mark.parametrize("announced", [11, 10**12, "-1", "x"])
def test_what_announces_too_much_is_not_read(announced):
    async def unreachable(scope, receive, send):
        raise AssertionError

    assert send_to(Limits(unreachable, 10, 1), [], announced)[0] == 413


@pytest.mark.parametrize("app", [measure, forgiving])
def test_who_falls_silent_gives_the_place_up(app):
    limits = Limits(app, most_bytes=10, most_requests=1, patience_s=0.05)
    assert send_to(limits, [b"1"], pause_s=1.0)[0] == 408
    assert send_to(limits, [b"1"]) == (200, "1")


def test_an_error_of_the_application_is_its_own():
    async def broken(scope, receive, send):
        raise RuntimeError("broken")

    limits = Limits(broken, 10, 1)
    for _ in range(2):  # the place is free again
        with pytest.raises(RuntimeError, match="broken"):
            send_to(limits, [])


def test_only_what_sends_something_is_limited():
    assert send_to(Limits(measure, 1, 0), [b"12"], method="GET") == (200, "2")
    assert send_to(Limits(measure, 1, 0), [b"1"])[0] == 503


def test_an_upload_that_is_cancelled_is_told_that_the_server_stops():
    uploading, sent = set(), []
    limits = Limits(forgiving, 10, 1, uploading=uploading)

    async def main():
        async def receive():
            await asyncio.sleep(60)

        async def send(message):
            sent.append(message)

        asked = asyncio.create_task(limits({"type": "http", "method": "POST", "headers": []}, receive, send))
        while not uploading:
            await asyncio.sleep(0.01)
        assert uploading == {asked}
        asked.cancel()
        await asked

    asyncio.run(main())
    assert sent[0]["status"] == 503
    assert not uploading
