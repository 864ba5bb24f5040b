import pytest

from s2s_core.cli import status_line
from s2s_core.cli.status_line import StatusLine, clock


@pytest.fixture
def line(monkeypatch):
    monkeypatch.setattr(status_line.sys.stderr, "isatty", lambda: True, raising=False)
    return StatusLine()


def test_a_terminal_is_drawn_over(line, capsys):
    line.show("1 of 2")
    line.show("2 of 2")
    line.clear()
    assert capsys.readouterr().err == "\r\033[K1 of 2\r\033[K2 of 2\r\033[K"


def test_a_file_gets_nothing(capsys):
    line = StatusLine()
    line.show("1 of 2")
    line.clear()
    assert capsys.readouterr().err == ""


def test_the_clock_runs_from_the_start(line, monkeypatch):
    began = line._began
    monkeypatch.setattr(status_line.time, "monotonic", lambda: began + 2.5)
    assert line.elapsed_s == pytest.approx(2.5)
    monkeypatch.setattr(status_line.time, "monotonic", lambda: began)
    assert line.elapsed_s > 0


@pytest.mark.parametrize(("seconds", "told"), [(0.4, "0:00"), (59.6, "1:00"), (754, "12:34"), (3725, "1:02:05")])
def test_clock(seconds, told):
    assert clock(seconds) == told
