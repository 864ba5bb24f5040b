import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest

from s2s_core.cli.main import main
from s2s_core.report.page import render
from s2s_core.report.run_files import read_run

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def page(run):
    return render(read_run(run), "asr", "val/wer", higher_is_better=False)


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def parsed(page):
    tags = Tags()
    tags.feed(page)
    return tags


def test_the_page_shows_results_curves_samples_machine_and_config(page):
    text = " ".join(parsed(page).text)
    for piece in ("Best val/wer:", "0.25", "at step 19", "best.ckpt", "better <b>", "abc", "then", "<script>alert(1)"):
        assert piece in text, piece


def test_the_page_needs_nothing_else_and_runs_nothing(page):
    tags = parsed(page).tags
    assert not {"script", "link", "iframe", "b"} & {tag for tag, _ in tags}
    sources = [attrs[name] for _, attrs in tags for name in ("src", "href") if name in attrs]
    assert len(sources) == 2
    assert all(source.startswith("data:") for source in sources)
    policy = next(attrs["content"] for tag, attrs in tags if tag == "meta" and "http-equiv" in attrs)
    assert "default-src 'none'" in policy


def test_curves_of_training_and_validation_share_a_chart(run):
    (run / "csv" / "version_1" / "metrics.csv").write_text("step,val/loss\n9,3.0\n19,1.0\n")
    page = render(read_run(run), "asr", "val/wer", higher_is_better=False)
    charts = {
        match[1]: ET.fromstring(match[0]) for match in re.finditer(r'<svg[^>]*aria-label="([^"]*)".*?</svg>', page)
    }
    lines = [line for line in charts["loss"] if line.tag == "polyline"]
    assert len(lines) == 2
    points = [tuple(map(float, point.split(","))) for point in lines[1].get("points").split()]
    (x0, y0), (x1, y1) = points
    assert x0 < x1
    assert y0 < y1, "a falling curve goes down, where y is larger"


def test_the_command_writes_the_page(run, capsys):
    assert main(["run", "asr", "report", str(run)]) == 0
    assert (run / "report.html").read_text().startswith("<!doctype html>")
    assert "2 figures, 3 samples" in capsys.readouterr().out
    assert main(["run", "asr", "report", str(run / "csv")]) == 2
    assert "expected a run's folder" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_a_browser_shows_it(run, page, tmp_path):
    """The page as Chromium lays it out: images decoded, audio of its length, curves with an extent; no errors."""
    probe = """<pre id="probe"></pre><script>addEventListener("load", () => setTimeout(() => {
      const image = document.querySelector("img");
      const box = [...document.querySelectorAll("polyline")].pop().getBoundingClientRect();
      document.getElementById("probe").textContent = JSON.stringify({
        image: [image.naturalWidth, image.naturalHeight], audio: document.querySelector("audio").duration,
        curve: box.width > 50, errors: window.errors || 0});
    }, 300)); addEventListener("error", () => window.errors = 1, true)</script></body>"""
    watched = re.sub(r"<meta http-equiv[^>]*>", "", page).replace("</body>", probe)  # whose policy allows no script
    (tmp_path / "watched.html").write_text(watched)
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--virtual-time-budget=4000", "--dump-dom", (tmp_path / "watched.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    probed = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout)[1]
    assert '"image":[6,4]' in probed
    assert '"audio":0.05' in probed
    assert '"curve":true' in probed
    assert '"errors":0' in probed
