"""Lhotse's recipes by name; one on a real layout is run in tests/asr/prepare."""

import numpy as np
import pytest
import soundfile

from s2s_core.data.prepare.recipes import read_lhotse_recipe
from s2s_core.errors import UserError

lhotse = pytest.importorskip("lhotse", reason="the recipes are Lhotse's")


@pytest.fixture
def recipe(monkeypatch):
    """Puts a function in a recipe's place."""

    def put(function):
        from lhotse import recipes

        monkeypatch.setattr(recipes, "prepare_yesno", function)

    return put


@pytest.fixture
def manifests(tmp_path):
    path = tmp_path / "r.wav"
    soundfile.write(path, np.zeros(8000), 8000)
    recording = lhotse.Recording.from_file(path, recording_id="r")
    parts = [("s1", 0.0, 0.4, "one"), ("s2", 0.5, 0.5, None)]
    supervisions = [
        lhotse.SupervisionSegment(name, "r", start, length, text=text, speaker="x")
        for name, start, length, text in parts
    ]
    return {
        "recordings": lhotse.RecordingSet.from_recordings([recording]),
        "supervisions": lhotse.SupervisionSet.from_segments(supervisions),
    }


def test_every_supervision_is_a_row(recipe, manifests, tmp_path):
    recipe(lambda corpus_dir, output_dir: {"dev": manifests})
    rows = list(read_lhotse_recipe("yesno", tmp_path))
    assert [(row.split, row.id, row.text, row.where, row.speaker) for row in rows] == [
        ("validation", "s1", "one", "dev:1", "x"),
        ("validation", "s2", "", "dev:2", "x"),
    ]
    assert rows[0].audio == tmp_path / "r.wav"
    assert (rows[1].cut["start"], rows[1].cut["duration"]) == (0.5, 0.5)


def test_parts_of_parts_are_splits_of_their_own(recipe, manifests, tmp_path):
    recipe(lambda corpus_dir: {"clean": {"train": manifests, "test": manifests}})
    assert {row.split for row in read_lhotse_recipe("yesno", tmp_path)} == {"clean-train", "clean-test"}
    recipe(lambda corpus_dir: manifests)
    assert {row.split for row in read_lhotse_recipe("yesno", tmp_path)} == {"train"}


def failing(_corpus_dir):
    raise AssertionError  # as recipes' assertions do, without a word


def test_a_recipe_that_fails_says_why(recipe, tmp_path):
    recipe(failing)
    with pytest.raises(UserError, match=r"recipe 'yesno' failed: raise AssertionError .*line \d+ of test_recipes\.py"):
        list(read_lhotse_recipe("yesno", tmp_path))

    def lost(_corpus_dir):
        raise FileNotFoundError("no\nwaves")

    recipe(lost)
    with pytest.raises(UserError, match="failed: no waves"):
        list(read_lhotse_recipe("yesno", tmp_path))


def test_what_gives_no_utterances_is_told(recipe, manifests, tmp_path):
    recipe(lambda corpus_dir: {"train": {"recordings": manifests["recordings"], "supervisions": None}})
    with pytest.raises(UserError, match="no transcripts for 'train'"):
        list(read_lhotse_recipe("yesno", tmp_path))
    recipe(lambda corpus_dir: [manifests])
    with pytest.raises(UserError, match="no recordings and supervisions but a list"):
        list(read_lhotse_recipe("yesno", tmp_path))


def test_an_unknown_recipe_is_answered_with_near_ones(tmp_path):
    with pytest.raises(UserError, match=r"no recipe 'librispeach'; it has librispeech"):
        list(read_lhotse_recipe("librispeach", tmp_path))
