"""Cuts of recordings, and manifests that can move with them."""

import gzip
import json
import shutil

import numpy as np
import pytest
import soundfile

from s2s_core.data.audio_files import inspect_audio
from s2s_core.data.manifests import recording_cut, write_cuts
from s2s_core.data.speech import CutTable

RATE_HZ = 8000


def record(path, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    soundfile.write(path, rng.uniform(-0.5, 0.5, (RATE_HZ, channels)), RATE_HZ)
    return inspect_audio(path)


def named_file(manifest):
    with gzip.open(manifest, "rt", encoding="utf-8") as lines:
        return json.loads(lines.readline())["recording"]["sources"][0]["source"]


@pytest.mark.parametrize("channels", [1, 2])
def test_a_cut_of_a_part_has_its_text_speaker_and_all_channels(tmp_path, channels):
    audio = record(tmp_path / "a.wav", channels)
    cut = recording_cut("a-1", tmp_path / "a.wav", audio, "good morning", "ann", start_s=0.25, duration_s=0.5)
    write_cuts(tmp_path / "cuts.jsonl.gz", [cut])
    table = CutTable.load([tmp_path / "cuts.jsonl.gz"])
    info = table.info(0)
    assert (info.id, info.text, info.speaker, info.duration_s) == ("a-1", "good morning", "ann", 0.5)
    whole, _ = soundfile.read(tmp_path / "a.wav", always_2d=True)
    expected = whole.mean(1)[RATE_HZ // 4 : RATE_HZ * 3 // 4]
    assert table.audio(0, RATE_HZ).numpy() == pytest.approx(expected, abs=1e-6)


def test_without_a_length_it_goes_to_the_end(tmp_path):
    cut = recording_cut("a", tmp_path / "a.wav", record(tmp_path / "a.wav"), "x", start_s=0.25)
    assert cut.duration == 0.75


def test_recordings_below_the_manifest_move_with_it(tmp_path):
    path = tmp_path / "data" / "audio" / "a.wav"
    cut = recording_cut("a", path, record(path), "x")
    write_cuts(tmp_path / "data" / "cuts.jsonl.gz", [cut])
    assert named_file(tmp_path / "data" / "cuts.jsonl.gz") == "audio/a.wav"
    shutil.move(tmp_path / "data", tmp_path / "elsewhere")
    assert len(CutTable.load([tmp_path / "elsewhere" / "cuts.jsonl.gz"]).audio(0, RATE_HZ)) == RATE_HZ


def test_others_keep_their_whole_path_unless_asked_for(tmp_path):
    path = tmp_path / "corpus" / "a.wav"
    cut = recording_cut("a", path, record(path), "x")
    (tmp_path / "data").mkdir()
    write_cuts(tmp_path / "data" / "cuts.jsonl.gz", [cut])
    assert named_file(tmp_path / "data" / "cuts.jsonl.gz") == str(path)
    write_cuts(tmp_path / "data" / "relative.jsonl.gz", [cut], relative=True)
    assert named_file(tmp_path / "data" / "relative.jsonl.gz") == "../corpus/a.wav"


def test_a_manifest_may_be_written_before_it_is_moved_home(tmp_path):
    path = tmp_path / "home" / "a.wav"
    cut = recording_cut("a", path, record(path), "x")
    (tmp_path / "scratch").mkdir()
    write_cuts(tmp_path / "scratch" / "cuts.jsonl.gz", [cut], home=tmp_path / "home")
    assert named_file(tmp_path / "scratch" / "cuts.jsonl.gz") == "a.wav"
