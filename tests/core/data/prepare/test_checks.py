"""Rows that are good to train on, and why others are not."""

import numpy as np
import pytest
import soundfile

from s2s_core.data.prepare.checks import CheckOptions, Utterance, check_row, check_rows
from s2s_core.data.prepare.rows import Rejected, Row

RATE_HZ = 8000
LETTERS = " abcdefghijklmnopqrstuvwxyz'"


@pytest.fixture
def row(tmp_path):
    """A recording of a second, and any transcript."""
    soundfile.write(tmp_path / "a.wav", np.zeros(RATE_HZ), RATE_HZ)

    def with_text(text, name="a", audio="a.wav", split="train"):
        return Row(split, name, tmp_path / audio, text, f"rows.csv:{name}")

    return with_text


def test_a_good_row_is_normalised_and_measured(row):
    found = check_row(row("Good morning!"), CheckOptions(LETTERS))
    assert isinstance(found, Utterance)
    assert found.text == "good morning"
    assert (found.duration_s, found.audio.sample_rate_hz) == (1.0, RATE_HZ)


@pytest.mark.parametrize(
    ("text", "audio", "reason", "detail"),
    [
        ("  ", "a.wav", "empty transcript", "'  '"),
        ("route 66", "a.wav", "unknown characters", "'6'"),
        ("good morning", "b.wav", "missing audio", "b.wav"),
        ("good morning", "text.wav", "unreadable audio", "text.wav"),
    ],
)
def test_a_bad_one_says_where_and_why(row, tmp_path, text, audio, reason, detail):
    (tmp_path / "text.wav").write_text("no sound")
    found = check_row(row(text, audio=audio), CheckOptions(LETTERS))
    assert isinstance(found, Rejected)
    assert (found.where, found.reason, found.id) == ("rows.csv:a", reason, "a")
    assert detail in found.detail


def test_a_transcript_needs_a_frame_for_each_label_and_a_blank_between_equal_ones(row):
    # 25 letters with one pair of equal neighbours: 26 frames
    text = "abcdefghijkl" + "lmnopqrstuvwx"
    assert isinstance(check_row(row(text), CheckOptions(LETTERS, ctc_frame_ms=1000 / 26)), Utterance)
    found = check_row(row(text), CheckOptions(LETTERS, ctc_frame_ms=1000 / 25))
    assert isinstance(found, Rejected)
    assert found.reason == "too long for CTC"
    assert found.detail.startswith("26 labels and blanks in 25 frames of 40 ms")
    assert isinstance(check_row(row(text), CheckOptions(LETTERS, ctc_frame_ms=0)), Utterance)


@pytest.mark.parametrize("jobs", [1, 3])
def test_rows_are_checked_in_order_and_an_id_is_used_once_in_a_split(row, jobs):
    torn = Rejected("rows.csv:9", "torn", "a quote is open")
    rows = [row("one"), row("two", "b"), torn, row("three"), row("four", split="test")]
    found = list(check_rows(rows, CheckOptions(LETTERS), jobs))
    assert [one.text for one in found if isinstance(one, Utterance)] == ["one", "two", "four"]
    assert found[2] is torn
    assert (found[3].reason, found[3].detail) == ("duplicate id", "'a' is rows.csv:a already")
