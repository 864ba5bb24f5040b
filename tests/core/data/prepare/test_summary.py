"""Figures of a prepared corpus, by hand."""

from pathlib import Path

import pytest

from s2s_core.data.audio_files import AudioInfo
from s2s_core.data.prepare.checks import Utterance
from s2s_core.data.prepare.rows import Rejected, Row
from s2s_core.data.prepare.summary import Summary, count_reasons, summarise_split


def utterance(seconds, text, rate=8000, speaker=None):
    row = Row("train", text, Path(f"{text}.wav"), text, "t:1", speaker)
    return Utterance(row, text, AudioInfo(int(seconds * rate), rate, 1))


UTTERANCES = [
    utterance(1.0, "aab", speaker="x"),
    utterance(3.0, "b a", rate=16000, speaker="y"),
    utterance(8.0, "b", speaker="x"),
]


def test_a_splits_figures():
    split = summarise_split(UTTERANCES)
    assert (split.utterances, split.speakers) == (3, 2)
    assert split.hours == pytest.approx(12 / 3600)
    assert split.duration_s == {"min": 1.0, "median": 3.0, "max": 8.0}
    assert list(split.characters.items()) == [("a", 3), ("b", 3), (" ", 1)]
    assert split.sample_rates_hz == {"8000": 2, "16000": 1}


def test_reasons_are_counted_the_most_frequent_first():
    rejected = [Rejected("t:1", reason, "") for reason in ("short", "empty", "short")]
    assert list(count_reasons(rejected).items()) == [("short", 2), ("empty", 1)]


def test_a_person_reads_a_table():
    summary = Summary({"train": summarise_split(UTTERANCES)}, {"short": 2, "empty": 1})
    heads, row, left_out = summary.lines()
    assert heads.split() == ["split", "utterances", "hours", "speakers", "shortest", "median", "longest", "characters"]
    assert row.split("  ")[0] == "train"
    assert "1.00 s" in row
    assert row.endswith("' ab'")
    assert left_out == "left out: 3 (2 short, 1 empty); see rejected.tsv"
    nameless = Summary({"test": summarise_split([utterance(1.0, "a")])})
    assert nameless.lines()[1].split()[3] == "?"
    assert len(nameless.lines()) == 2


def test_many_characters_are_cut_short():
    letters = "".join(chr(0x4E00 + n) for n in range(60))
    line = Summary({"train": summarise_split([utterance(1.0, letters)])}).lines()[1]
    assert line.endswith(f"'{letters[:48]}... (60)'")
