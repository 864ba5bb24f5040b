"""The application over real HTTP on loopback."""

import asyncio
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest


def test_an_answer(client, shout):
    reply = client.ask("/shout", text="hello")
    assert (reply.status, reply.json) == (200, {"text": "HELLO"}), "a field that is not set is not sent"
    assert shout.batches == [["hello"]]


def test_requests_at_the_same_time_are_one_batch(client, shout):
    texts = ["a", "b", "c", "d"]
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda text: client.ask("/shout", text=text), texts))
    assert [reply.json["text"] for reply in replies] == ["A", "B", "C", "D"]
    assert [sorted(batch) for batch in shout.batches] == [texts]


def test_one_failure_fails_only_its_own_request(client, caplog):
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda text: client.ask("/shout", text=text), ["a", "bug", "sorry", "b"]))
    assert [reply.status for reply in replies] == [200, 500, 422, 200]
    assert replies[1].json == {"detail": "the server failed at this request; its log says why"}
    assert "secrets" in caplog.text, "the log says why"
    assert replies[2].json == {"detail": "cannot shout"}
    assert client.ask("/shout", text="still there").status == 200


@pytest.mark.parametrize(
    ("question", "status", "detail"),
    [
        ({"text": " \n"}, 422, "text: is empty"),
        ({}, 422, "text: field required"),
        ({"text": "x" * 21}, 413, "text: 21 characters, expected at most 20"),
        ({"text": "a", "tmies": 2}, 422, "tmies: extra inputs are not permitted"),
        ({"text": "a", "times": 9}, 422, "times: input should be less than or equal to 3"),
        ({"text": 3}, 422, "text: input should be a valid string"),
    ],
)
def test_what_cannot_be_answered_is_said_in_a_line(client, shout, question, status, detail):
    reply = client.ask("/shout", **question)
    assert (reply.status, reply.json) == (status, {"detail": detail})
    assert not shout.batches, "the model was not asked"


@pytest.mark.parametrize("body", ["", "{", "[1]", "\xff", "null", "[" * 50_000])
def test_a_body_that_is_no_question(client, body):
    reply = client.send("POST", "/shout", body.encode("latin-1"), Content_Type="application/json")
    assert 400 <= reply.status < 500
    assert set(reply.json) == {"detail"}
    assert "\n" not in reply.json["detail"]
    assert "Traceback" not in reply.json["detail"]


def test_other_content_types_are_refused(client):
    reply = client.send("POST", "/shout", "text=a", Content_Type="application/x-www-form-urlencoded")
    assert (reply.status, reply.json["detail"]) == (
        415,
        "Content-Type 'application/x-www-form-urlencoded': expected application/json",
    )
    assert client.ask("/measure", text="a").status == 415


def test_a_file_comes_in_and_a_sound_goes_out(client, measure):
    reply = client.upload("/measure", b"RIFF", name="né.wav")
    assert (reply.status, reply.headers["content-type"], reply.body) == (200, "audio/wav", b"RIFF")
    assert measure.names == ["né.wav"]
    assert client.upload("/measure", b"", field="other").json == {"detail": "file: field required"}
    bare = client.send("POST", "/measure", b"RIFF", Content_Type="multipart/form-data")
    assert bare.status == 400
    assert "boundary" in bare.json["detail"]


def test_health_says_what_is_served_and_who_waits(client, shout):
    assert client.get("/health").json == {"task": "toy", "checkpoint": "toy<b>.ckpt", "ready": True, "waiting": 0}


def test_more_requests_than_the_bound_get_503_and_the_others_their_answers(client, shout):
    shout.free.clear()
    with ThreadPoolExecutor(10) as pool:
        asked = [pool.submit(client.ask, "/shout", text=str(number)) for number in range(10)]
        refused = []
        while len(refused) < 4:
            refused = [one.result() for one in asked if one.done()]
        health = client.get("/health")
        shout.free.set()
        replies = [one.result() for one in asked]
    assert sorted(reply.status for reply in replies) == [200] * 6 + [503] * 4
    assert all(reply.headers["retry-after"] == "1" for reply in refused)
    assert health.status == 200, "a monitor is answered all the same"
    assert client.ask("/shout", text="again").status == 200


def test_the_description_is_openapi(client):
    described = client.get("/openapi.json").json
    assert described["openapi"].startswith("3.")
    assert set(described["paths"]) == {"/shout", "/measure", "/health"}
    shout = described["paths"]["/shout"]["post"]
    assert shout["summary"] == "Text to louder text"
    assert {"200", "413", "415", "422", "503"} == set(shout["responses"])
    assert described["components"]["schemas"]["ShoutQuestion"]["properties"]["times"]["maximum"] == 3
    body = described["paths"]["/measure"]["post"]["requestBody"]["content"]
    assert list(body) == ["multipart/form-data"]
    assert "audio/wav" in described["paths"]["/measure"]["post"]["responses"]["200"]["content"]
    assert client.get("/docs").status == 200


def test_the_page_and_all_it_needs_come_from_here(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for name in ("page.css", "page.js", "answer.js", "sound.js", "icon.svg"):
        found = client.get(f"/static/{name}")
        assert found.status == 200, name
        assert found.headers["x-content-type-options"] == "nosniff"
    assert client.get("/static/../app.py").status == 404
    assert client.get("/nowhere").json == {"detail": "Not Found"}


def test_no_other_site_may_read(client):
    for reply in (client.get("/health"), client.ask("/shout", text="a")):
        assert not [name for name in reply.headers if name.startswith("access-control")]
    assert client.send("POST", "/shout", json.dumps({"text": "a"}), Origin="http://evil.example").status == 403
    assert client.get("/health", Host="evil.example").status == 421


def test_no_more_questions_are_prepared_at_a_time_than_processors_can(client, shout, batcher):
    at_once, most, lock = [], [], threading.Lock()
    prepare = shout.prepare

    def slow(asked):
        with lock:
            at_once.append(asked)
            most.append(len(at_once))
        time.sleep(0.1)
        with lock:
            at_once.pop()
        return prepare(asked)

    shout.prepare = slow
    batcher.preparing = asyncio.Semaphore(2)
    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda number: client.ask("/shout", text=str(number)), range(6)))
    assert [reply.status for reply in replies] == [200] * 6
    assert max(most) == 2
