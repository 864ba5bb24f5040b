import asyncio
import json

import pytest

from s2s_core.serving.guard import LOOPBACK, Guard


def answer_of(guard, method="GET", path="/", **headers):
    """Status and detail; 200 if the application was reached."""
    sent = []

    async def send(message):
        sent.append(message)

    lines = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": lines}
    asyncio.run(guard(scope, None, send))
    return (sent[0]["status"], json.loads(sent[1]["body"])["detail"]) if sent else (200, "")


@pytest.fixture
def guard():
    async def app(scope, receive, send):
        pass

    return Guard(app, [*LOOPBACK, "speech.example"], {"/say": "application/json"})


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST:1", "speech.example"])
def test_known_names_are_answered(guard, host):
    assert answer_of(guard, host=host) == (200, "")


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8000", "", "[::1", "evil@localhost.x"]
)
def test_other_names_are_not(guard, host):
    status, detail = answer_of(guard, host=host)
    assert status == 421
    assert host in detail


def test_every_name_is_answered_where_none_is_given():
    async def app(scope, receive, send):
        pass

    assert answer_of(Guard(app, None, {}), host="anything.example") == (200, "")


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://localhost:80", 200), ("http://localhost:81", 403), ("https://evil.example", 403), ("null", 403)],
)
def test_pages_of_other_origins_are_refused(guard, origin, status):
    assert answer_of(guard, "POST", host="localhost:80", origin=origin)[0] == status


@pytest.mark.parametrize(
    ("given", "status"),
    [("application/json", 200), ("Application/JSON; charset=utf-8", 200), ("text/plain", 415), ("", 415)],
)
def test_a_path_takes_its_own_content_type(guard, given, status):
    assert answer_of(guard, "POST", "/say", host="localhost", content_type=given)[0] == status
    assert answer_of(guard, "GET", "/say", host="localhost", content_type=given)[0] == 200
