"""A model that shouts, served by uvicorn on a thread of the tests' own process, and a client for it."""

import http.client
import json
import threading
import time
from dataclasses import dataclass
from typing import Any

import pytest

from s2s_core.errors import UserError
from s2s_core.serving.app import Serving, make_app
from s2s_core.serving.batcher import Batcher
from s2s_core.serving.endpoint import Answer, Endpoint, Field, Question, checked_text


class ShoutQuestion(Question):
    """A text."""

    text: str
    times: int = Field(1, ge=1, le=3, description="how often")
    loud: bool = True


class ShoutAnswer(Answer):
    """The text in capitals."""

    text: str
    times: int | None = None


class Shout(Endpoint[ShoutQuestion]):
    """Says what it is told in capitals; what it does with ``bug`` and ``sorry`` is another matter."""

    name = "shout"
    summary = "Text to louder text"
    answers = ShoutAnswer

    def __init__(self):
        self.asks = ShoutQuestion
        self.batches = []
        self.free = threading.Event()
        self.free.set()

    def prepare(self, asked):
        checked_text(asked.text, 20)
        return asked

    def key(self, prepared):
        return prepared.times

    def run(self, batch):
        self.batches.append([one.text for one in batch])
        self.free.wait(10)
        if any(one.text == "bug" for one in batch):
            raise RuntimeError("a bug, secrets and all")
        return [UserError("cannot\nshout") if one.text == "sorry" else {"text": one.text.upper()} for one in batch]


class Measure(Endpoint[bytes]):
    """Hears a file of bytes, and plays it back."""

    name = "measure"
    summary = "A recording to itself"
    answers = "wav"

    def __init__(self):
        self.asks = "audio"
        self.names = []

    def prepare(self, asked):
        self.names.append(asked.name)
        return asked.file.read()

    def run(self, batch):
        return list(batch)


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    def __init__(self, port):
        self.port = port

    def send(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        reply = connection.getresponse()
        found = Reply(reply.status, {key.lower(): value for key, value in reply.getheaders()}, reply.read())
        connection.close()
        return found

    def get(self, path, **headers):
        return self.send("GET", path, **headers)

    def ask(self, path, **question):
        return self.send("POST", path, json.dumps(question), Content_Type="application/json")

    def upload(self, path, content, name="a.wav", field="file", **headers):
        line = f'--b\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
        body = line.encode() + content + b"\r\n--b--\r\n"
        return self.send("POST", path, body, Content_Type="multipart/form-data; boundary=b", **headers)


@pytest.fixture
def shout():
    return Shout()


@pytest.fixture
def measure():
    return Measure()


@pytest.fixture
def batcher():
    made = Batcher(max_batch=4, max_wait_s=0.2)
    yield made
    assert made.close(5)


@pytest.fixture
def serve():
    """Serves an application until the test ends; returns a client."""
    import uvicorn

    from s2s_core.serving.server import bind

    running = []

    def start(app):
        taken = bind("127.0.0.1", 0)
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", ws="none", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]}, daemon=True)
        thread.start()
        running.append((server, thread))
        while not server.started:
            time.sleep(0.01)
        return Client(taken.getsockname()[1])

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def app(shout, measure, batcher):
    serving = Serving("toy", "toy<b>.ckpt", max_requests=6, max_upload_mb=0.2, hosts=["127.0.0.1"])
    return make_app(serving, [shout, measure], batcher)


@pytest.fixture
def client(serve, app):
    return serve(app)
