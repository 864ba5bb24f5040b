import shutil
import subprocess
import threading
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi import Request
from fastapi.responses import HTMLResponse, PlainTextResponse

from s2s_core.serving.page import POLICY, render

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
STATIC = Path(__file__).parents[3] / "packages/core/src/s2s_core/serving/static"


class Tags(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def of(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture
def page(shout, measure):
    return render("toy", "<b>.ckpt", [shout, measure])


def test_a_form_for_each_endpoint_made_from_its_question(page):
    found = Tags(page)
    assert [form["action"] for form in found.of("form")] == ["shout", "measure"]
    assert [area["id"] for area in found.of("textarea")] == ["shout-text"]
    inputs = {attrs["id"]: attrs for attrs in found.of("input")}
    assert set(inputs) == {"shout-times", "shout-loud", "measure-file"}
    times = inputs["shout-times"]
    assert (times["type"], times["min"], times["max"], times["value"]) == ("number", "1", "3", "1")
    assert "checked" in inputs["shout-loud"]
    assert inputs["measure-file"]["accept"].startswith("audio/*")
    assert {label["for"] for label in found.of("label")} == {"shout-text", *inputs}


def test_names_that_are_markup_are_text(page):
    assert not Tags(page).of("b")
    assert "&lt;b&gt;.ckpt" in page


def test_the_page_needs_nothing_from_elsewhere(page):
    links = [attrs[name] for _, attrs in Tags(page).tags for name in ("src", "href", "action") if name in attrs]
    assert len(links) > 5
    texts = [page, *(file.read_text() for file in STATIC.iterdir())]
    assert not [link for link in links if "//" in link or link.startswith("/")], "it works under any path"
    assert not [text for text in texts if "https://" in text or "@import" in text]
    assert "script-src 'self';" in POLICY
    assert "unsafe" not in POLICY


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_a_person_types_drops_and_records(serve, app, shout, measure, page, tmp_path):
    """The page in Chromium, with its policy in force and a microphone that beeps."""
    told, done = {}, threading.Event()

    @app.get("/probe")
    def probe():
        watched = page.replace("</body>", '<script type="module" src="probe.js"></script></body>')
        return HTMLResponse(watched, headers={"Content-Security-Policy": POLICY})

    @app.get("/probe.js")
    def script():
        return PlainTextResponse(Path(__file__).with_name("probe.js").read_text(), media_type="text/javascript")

    @app.post("/probed")
    async def probed(request: Request):
        told.update(await request.json())
        done.set()

    client = serve(app)
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--remote-debugging-port=0", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with subprocess.Popen([*command, f"http://127.0.0.1:{client.port}/probe"], stderr=subprocess.DEVNULL) as browser:
        try:
            assert done.wait(90), "the page never came to the end of the test"
        finally:
            browser.terminate()
    assert told.pop("errors") == []
    assert (told["said"], shout.batches) == ("HELLO", [["hello"]])
    assert told["wrong"] == "text: 21 characters, expected at most 20"
    assert told["nothing"] == "choose, drop or record something first"
    assert told["dropped_s"] == 0.5
    assert 0.2 < told["recorded_s"] < 60
    assert measure.names == ["half.wav", "recording.wav"]
    assert told["unlabelled"] == []
    assert not told["wider"], "nothing is beyond the right edge"
