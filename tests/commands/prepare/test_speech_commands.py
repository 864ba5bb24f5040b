import json

import pytest

import stand_ins
from s2s_commands.prepare.sounds import prepare_sounds
from s2s_commands.prepare.speech_commands import COMMAND_WORDS, LISTS, read_speech_commands, which_set
from s2s_core.data.speech import CutTable
from s2s_core.errors import UserError
from s2s_core.testing import shared_data


@pytest.fixture
def layout(tmp_path):
    """The official layout of V2, in small: lists, noise, 35 words by 8 speakers."""
    words = [*stand_ins.COMMANDS, *stand_ins.OTHER_WORDS.split(), *stand_ins.NEW_WORDS.split()]
    assert len(words) == 35
    stand_ins.speech_commands(tmp_path / "speech_commands_v0.02", words)
    return tmp_path / "speech_commands_v0.02"


def test_the_hash_decides_as_the_official_lists():
    # four of each list of V1 and four of neither
    assert {which_set(f"bed/{name}_nohash_0.wav") for name in ("0c40e715", "0ea0e2f4")} == {"test"}
    root = shared_data("speech_commands_v0.01")
    for split, file in LISTS.items():
        names = (root / file).read_text().split()
        assert len(names) > 6000
        assert {which_set(name) for name in names} == {split}


def test_speakers_stay_together_and_shares_are_as_asked():
    assert which_set("yes/1a2b_nohash_0.wav") == which_set("no/1a2b_nohash_17.wav")
    found = [which_set(f"{i:08x}_nohash_0.wav", 20, 5) for i in range(4000)]
    assert found.count("validation") == pytest.approx(800, abs=100)
    assert found.count("test") == pytest.approx(200, abs=60)


def test_all_words_by_the_lists_and_the_absent_are_counted_once(layout):
    corpus = read_speech_commands(layout)
    assert len({clip.label for clip in corpus.clips}) == 35
    speakers = {
        split: {c.speaker for c in corpus.clips if c.split == split} for split in ("train", "validation", "test")
    }
    assert speakers["validation"] == {"00000006"}
    assert speakers["test"] == {"00000007"}
    assert len(speakers["train"]) == 6
    assert len(corpus.notes) == 2
    assert "testing_list.txt: 2 of its 37 files are absent, the first is bed/ffffffff_nohash_0.wav" in corpus.notes


def test_without_lists_the_hash_decides(layout):
    (layout / "testing_list.txt").unlink()
    corpus = read_speech_commands(layout)
    assert all(clip.split == which_set(clip.audio.name) for clip in corpus.clips)
    assert any("by the hash" in note for note in corpus.notes)


def test_twelve_classes(layout, tmp_path):
    summary = prepare_sounds("speech-commands-12", layout, tmp_path / "out")
    for split, commands in (("train", 60), ("validation", 10), ("test", 10)):
        classes = summary.splits[split]
        assert sorted(classes) == sorted([*COMMAND_WORDS, "unknown", "silence"])
        assert sum(classes[word] for word in COMMAND_WORDS) == commands
    assert summary.splits["train"]["unknown"] == 25 * 6
    assert summary.splits["validation"]["unknown"] == summary.splits["test"]["silence"] == 1
    # two recordings, of whose first 12 s every slice of a second is taken that starts at a multiple of 2000 samples
    assert summary.splits["train"]["silence"] == 2 * ((12 * 16000 - 16000) // 2000 + 1)
    cuts = CutTable.load([tmp_path / "out" / "train.jsonl.gz"])
    silent = [i for i in range(len(cuts)) if cuts.info(i).text == "silence"]
    assert len(cuts.audio(silent[5], 16000)) == 16000
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["splits"] == summary.splits


def test_silence_of_the_splits_does_not_overlap(layout, tmp_path):
    prepare_sounds("speech-commands-12", layout, tmp_path / "out")
    ends = {}
    for split in ("train", "validation", "test"):
        lines = CutTable.load([tmp_path / "out" / f"{split}.jsonl.gz"])._rows
        rows = [json.loads(row.line) for row in lines]
        starts = [row["start"] for row in rows if row["supervisions"][0]["text"] == "silence"]
        ends[split] = (min(starts), max(starts) + 1)
    assert ends["train"][1] <= ends["validation"][0]
    assert ends["validation"][1] <= ends["test"][0]


def test_silence_needs_noise_and_words_their_folders(layout, tmp_path):
    for path in (layout / "_background_noise_").iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r"_background_noise_: no recordings of noise"):
        prepare_sounds("speech-commands-12", layout, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no WORD/\*.wav"):
        prepare_sounds("speech-commands", tmp_path / "empty", tmp_path / "out")


def test_the_subset_runs_through_the_official_lists(tmp_path):
    summary = prepare_sounds("speech-commands", shared_data("speech_commands_v0.01"), tmp_path)
    assert sum(sum(classes.values()) for classes in summary.splits.values()) == 120
    assert len(summary.splits["train"]) == 30
    assert [note.split(",")[0] for note in summary.notes] == [
        "validation_list.txt: 6772 of its 6798 files are absent",
        "testing_list.txt: 6816 of its 6835 files are absent",
    ]
