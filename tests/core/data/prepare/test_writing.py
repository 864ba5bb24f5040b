"""Checked utterances to manifests and reports."""

import json

import numpy as np
import pytest
import soundfile

from s2s_core.data.audio_files import inspect_audio
from s2s_core.data.prepare.checks import Utterance
from s2s_core.data.prepare.rows import Rejected, Row
from s2s_core.data.prepare.summary import Summary, summarise_split, summary_from_json
from s2s_core.data.prepare.writing import to_cut, write_rejected, write_split, write_summary
from s2s_core.data.speech import CutTable

pytest.importorskip("lhotse", reason="manifests are Lhotse's")


@pytest.fixture
def utterances(tmp_path):
    found = []
    for number in range(3):
        path = tmp_path / f"u{number}.wav"
        soundfile.write(path, np.full(800 * (number + 1), 0.1 * (number + 1)), 8000)
        row = Row("train", f"u{number}", path, f"TEXT {number}", f"t:{number}", "x")
        found.append(Utterance(row, f"text {number}", inspect_audio(path)))
    return found


@pytest.mark.parametrize(("shar_size", "name"), [(None, "train.jsonl.gz"), (2, "train-shar")])
def test_a_split_comes_back_as_it_was_checked(tmp_path, utterances, shar_size, name):
    assert write_split(tmp_path, "train", utterances, shar_size) == name
    cuts = CutTable.load([str(tmp_path / name)])
    order = sorted(range(3), key=lambda index: cuts.info(index).id)
    assert [(cuts.info(i).id, cuts.info(i).text, cuts.info(i).speaker) for i in order] == [
        (f"u{n}", f"text {n}", "x") for n in range(3)
    ]
    for number, index in enumerate(order):
        audio = cuts.audio(index, 8000)
        assert len(audio) == 800 * (number + 1)
        assert float(audio.mean()) == pytest.approx(0.1 * (number + 1), abs=1e-3)


def test_a_recipes_cut_keeps_its_part_and_takes_the_checked_text(utterances):
    row, audio = utterances[2].row, utterances[2].audio
    part = to_cut(utterances[2]).truncate(offset=0.1, duration=0.1)
    given = Utterance(Row(**{**row.__dict__, "id": "part", "cut": part.to_dict()}), "checked", audio)
    for _ in range(2):  # the description is not used up
        cut = to_cut(given)
        assert (cut.id, cut.start, cut.duration, cut.supervisions[0].text) == ("part", 0.1, 0.1, "checked")


def test_what_is_left_out_is_a_line_each(tmp_path):
    write_rejected(
        tmp_path, [Rejected("t:1", "bad", "two\nlines\tand a tab", "u1"), Rejected("t:2", "worse", "\udcff")]
    )
    assert (tmp_path / "rejected.tsv").read_text().splitlines() == [
        "where\treason\tid\tdetail",
        "t:1\tbad\tu1\ttwo lines and a tab",
        "t:2\tworse\t\t\\udcff",
    ]


def test_the_summary_comes_back(tmp_path, utterances):
    summary = Summary({"train": summarise_split(utterances)}, {"bad": 1}, ["train.jsonl.gz"])
    write_summary(tmp_path, summary)
    assert summary_from_json(json.loads((tmp_path / "summary.json").read_text())) == summary
