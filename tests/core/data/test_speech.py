import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from lhotse import CutSet, MonoCut, Recording, SupervisionSegment
from lhotse.audio.backend import audio_backend

from s2s_core.data.manifests import write_cuts
from s2s_core.data.speech import CutTable
from s2s_core.errors import UserError

RATE = 16000


@pytest.fixture
def cuts(tmp_path) -> list[MonoCut]:
    """Six recordings of 0.5 to 1.5 s, each with two supervisions."""
    rng = np.random.default_rng(0)
    made = []
    for i in range(6):
        samples = int(rng.integers(8000, 24000))
        path = tmp_path / f"r{i}.wav"
        soundfile.write(path, rng.uniform(-0.5, 0.5, samples).astype(np.float32), RATE, subtype="PCM_16")
        recording = Recording.from_file(path, recording_id=f"r{i}")
        half = recording.duration / 2
        texts = [
            SupervisionSegment(f"r{i}-b", f"r{i}", half, half, text="second half"),
            SupervisionSegment(f"r{i}-a", f"r{i}", 0.0, half, text="first half"),
        ]
        made.append(MonoCut(f"cut{i}", 0.0, recording.duration, 0, supervisions=texts, recording=recording))
    return made


def write(cuts, path) -> str:
    CutSet.from_cuts(cuts).to_file(path)
    return str(path)


def write_shar(cuts, folder, shard_size=1000) -> None:
    folder.mkdir()
    with audio_backend("LibsndfileBackend"):
        CutSet.from_cuts(cuts).to_shar(folder, fields={"recording": "flac"}, shard_size=shard_size)


def reference(cut) -> np.ndarray:
    with audio_backend("LibsndfileBackend"):
        return cut.load_audio().mean(axis=0)


@pytest.mark.parametrize("name", ["cuts.jsonl", "cuts.jsonl.gz"])
def test_table_tells_what_lhotse_tells(cuts, tmp_path, name):
    table = CutTable.load([write(cuts, tmp_path / name)])
    assert len(table) == 6
    for i, cut in enumerate(cuts):
        info = table.info(i)
        assert (info.id, info.text, info.duration_s) == (cut.id, "first half second half", cut.duration)
        np.testing.assert_array_equal(table.audio(i, RATE), reference(cut))
    assert table.durations_s.tolist() == [cut.duration for cut in cuts]


def test_selection(cuts, tmp_path):
    table = CutTable.load([write(cuts, tmp_path / "c.jsonl")]).select([4, 1])
    assert [table.info(i).id for i in range(2)] == ["cut4", "cut1"]
    assert table.durations_s.tolist() == [cuts[4].duration, cuts[1].duration]


def test_cuts_that_are_more_than_a_file(cuts, tmp_path):
    """Stretches, speed perturbation, padding, mixes and a second channel."""
    stereo = tmp_path / "stereo.wav"
    soundfile.write(stereo, np.random.default_rng(1).uniform(-0.5, 0.5, (8000, 2)), RATE, subtype="PCM_16")
    both = Recording.from_file(stereo, recording_id="stereo")
    special = [
        cuts[0].truncate(offset=0.1, duration=0.3),
        cuts[1].perturb_speed(1.1),
        cuts[2].pad(duration=2.0),
        cuts[3].mix(cuts[4], offset_other_by=0.2, snr=10),
        cuts[0].append(cuts[5]),
        both.to_cut(),
        MonoCut("right", 0.0, both.duration, 1, recording=both),
    ]
    table = CutTable.load([write(special, tmp_path / "special.jsonl")])
    for i, cut in enumerate(special):
        expected = reference(cut)
        assert table.durations_s[i] == pytest.approx(cut.duration)
        assert len(table.audio(i, RATE)) == len(expected)
        np.testing.assert_allclose(table.audio(i, RATE), expected, atol=1e-6)
    assert table.info(4).text == "first half second half first half second half"


def test_resampling_to_the_rate_asked_for(cuts, tmp_path):
    table = CutTable.load([write([cuts[0], cuts[1].perturb_speed(1.1)], tmp_path / "c.jsonl")])
    for i in range(2):
        assert len(table.audio(i, 8000)) == -(-len(table.audio(i, RATE)) // 2)


def test_shar_is_the_same_in_any_order(cuts, tmp_path):
    folder = tmp_path / "shar"
    trimmed = [*cuts[:5], cuts[5].truncate(offset=0.1, duration=0.3)]
    write_shar(trimmed, folder, shard_size=4)
    assert len(list(folder.glob("recording.*.tar"))) == 2
    table = CutTable.load([folder])
    assert [table.info(i).id for i in range(6)] == [cut.id for cut in trimmed]
    with audio_backend("LibsndfileBackend"):
        theirs = {cut.id: cut.load_audio()[0] for cut in CutSet.from_shar(in_dir=folder)}
    for i in (5, 0, 4, 2, 1, 3):
        np.testing.assert_array_equal(table.audio(i, RATE), theirs[trimmed[i].id])
        np.testing.assert_allclose(table.audio(i, RATE), reference(trimmed[i]), atol=1e-4)


def test_manifest_and_shar_together(cuts, tmp_path):
    write_shar(cuts[:2], tmp_path / "shar")
    table = CutTable.load([tmp_path / "shar", write(cuts[2:], tmp_path / "c.jsonl.gz")])
    assert [table.info(i).id for i in range(6)] == [cut.id for cut in cuts]
    assert torch.equal(table.select([0]).audio(0, RATE), table.audio(0, RATE))


def test_broken_shar(cuts, tmp_path):
    folder = tmp_path / "shar"
    write_shar(cuts, folder, shard_size=3)
    shutil.copy(folder / "recording.000000.tar", tmp_path / "whole.tar")
    content = (tmp_path / "whole.tar").read_bytes()
    (folder / "recording.000000.tar").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"recording\.000000\.tar: (\d recordings for the 3 cuts|cannot be read)"):
        CutTable.load([folder])
    (folder / "recording.000000.tar").unlink()
    with pytest.raises(UserError, match=r"recording\.000000\.tar: no such archive"):
        CutTable.load([folder])
    with pytest.raises(UserError, match="neither a manifest nor a Lhotse Shar folder"):
        CutTable.load([tmp_path])


def test_bad_recordings_are_named_with_their_cut(cuts, tmp_path):
    special = [cuts[0], cuts[1], cuts[2].perturb_speed(0.9)]
    table = CutTable.load([write(special, tmp_path / "c.jsonl")])
    (tmp_path / "r0.wav").unlink()
    (tmp_path / "r1.wav").write_bytes((tmp_path / "r1.wav").read_bytes()[:8000])
    (tmp_path / "r2.wav").write_text("noise")
    for i, message in enumerate([r"cut 'cut0': .*r0\.wav: no such file", r"r1\.wav: truncated", r"r2\.wav"]):
        with pytest.raises(UserError, match=message) as caught:
            table.audio(i, RATE)
        assert "\n" not in str(caught.value)


def test_a_cut_names_its_speaker(tmp_path):
    rows = [
        {"id": "a", "type": "MonoCut", "duration": 1.0, "supervisions": [{"start": 0, "text": "x", "speaker": "ann"}]},
        {"id": "b", "type": "MonoCut", "duration": 1.0, "supervisions": [{"start": 0, "text": "y"}]},
    ]
    (tmp_path / "cuts.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    table = CutTable.load([tmp_path / "cuts.jsonl"])
    assert [table.info(i).speaker for i in range(2)] == ["ann", None]


def relative(cuts, folder) -> None:
    for cut in cuts:
        cut.recording.sources[0].source = Path(cut.recording.sources[0].source).relative_to(folder).as_posix()


def test_file_names_are_relative_to_the_manifest_or_to_the_working_directory(cuts, tmp_path, monkeypatch):
    expected = [reference(cut) for cut in cuts]
    relative(cuts, tmp_path)
    write(cuts, tmp_path / "cuts.jsonl.gz")
    (tmp_path / "elsewhere").mkdir()
    write(cuts, tmp_path / "elsewhere" / "cuts.jsonl.gz")
    monkeypatch.chdir("/")
    for i, audio in enumerate(expected):
        np.testing.assert_array_equal(CutTable.load([tmp_path / "cuts.jsonl.gz"]).audio(i, RATE), audio)
    lost = CutTable.load([tmp_path / "elsewhere" / "cuts.jsonl.gz"])
    with pytest.raises(UserError, match=f"cut 'cut0': {tmp_path}/elsewhere/r0.wav: no such file"):
        lost.audio(0, RATE)
    monkeypatch.chdir(tmp_path)  # as Lhotse has it
    np.testing.assert_array_equal(lost.audio(0, RATE), expected[0])


def test_what_is_written_moves_with_its_recordings(cuts, tmp_path):
    home, other = tmp_path / "home", tmp_path / "other"
    home.mkdir()
    (tmp_path / "r0.wav").rename(home / "r0.wav")
    cuts[0].recording.sources[0].source = str(home / "r0.wav")
    write_cuts(home / "plain.jsonl.gz", cuts, home)
    write_cuts(home / "relative.jsonl.gz", cuts, home, relative=True)
    for name in ("plain", "relative"):
        sources = [cut.recording.sources[0].source for cut in CutSet.from_file(home / f"{name}.jsonl.gz")]
        assert sources[0] == "r0.wav"
        assert sources[1] == (str(tmp_path / "r1.wav") if name == "plain" else "../r1.wav")
    home.rename(other)
    for i, cut in enumerate(cuts):
        cut.recording.sources[0].source = str((other if i == 0 else tmp_path) / f"r{i}.wav")
        np.testing.assert_array_equal(CutTable.load([other / "relative.jsonl.gz"]).audio(i, RATE), reference(cut))
