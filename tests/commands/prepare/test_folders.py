import wave

import numpy as np
import pytest

import stand_ins
from s2s_commands.prepare.folders import read_folders, read_fsdd, read_tables
from s2s_commands.prepare.sounds import prepare_sounds
from s2s_core.errors import UserError
from s2s_core.testing import shared_data


def write_wav(path, samples=800):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(np.zeros(samples, "<i2").tobytes())


def splits(corpus):
    return {
        split: [c.name for c in corpus.clips if c.split == split]
        for split in ("train", "validation", "test")
        if any(c.split == split for c in corpus.clips)
    }


def test_fsdd_s_first_takes_are_its_test_split(tmp_path):
    stand_ins.fsdd(tmp_path, [7], ["jackson"], (0, 4, 5, 11))
    stand_ins.fsdd(tmp_path, [0], ["theo"], (0, 4, 5, 11))
    corpus = read_fsdd(tmp_path)
    assert splits(corpus) == {
        "train": ["0_theo_5", "7_jackson_5"],
        "validation": ["0_theo_11", "7_jackson_11"],
        "test": ["0_theo_0", "0_theo_4", "7_jackson_0", "7_jackson_4"],
    }
    assert {(clip.label, clip.speaker) for clip in corpus.clips} == {("7", "jackson"), ("0", "theo")}
    with pytest.raises(UserError, match="DIGIT_SPEAKER_TAKE"):
        read_fsdd(tmp_path.parent)


def test_the_official_split_of_the_shared_copy():
    sizes = {split: len(names) for split, names in splits(read_fsdd(shared_data("fsdd"))).items()}
    assert sizes == {"train": 240, "validation": 60, "test": 300}


def test_folders_of_classes(tmp_path):
    names = [f"{cls}/{i:03d}" for cls in ("cat", "dog") for i in range(60)]
    for name in names:
        write_wav(tmp_path / f"{name}.wav", 8)
    write_wav(tmp_path / "_noise" / "x.wav", 8)
    corpus = read_folders(tmp_path)
    found = splits(corpus)
    assert sorted(name for here in found.values() for name in here) == names
    assert 3 <= len(found["validation"]) <= 25
    assert 3 <= len(found["test"]) <= 25
    assert found == splits(read_folders(tmp_path))
    assert all(clip.label == clip.name.split("/")[0] for clip in corpus.clips)


def test_folders_of_splits(tmp_path):
    for name in ("train/cat/a", "train/dog/sub/b", "val/cat/c", "testing/dog/d"):
        write_wav(tmp_path / f"{name}.wav", 8)
    assert splits(read_folders(tmp_path)) == {
        "train": ["cat/a", "dog/sub/b"],
        "validation": ["cat/c"],
        "test": ["dog/d"],
    }


def test_tables(tmp_path):
    (tmp_path / "dev.csv").write_text("wav_filename,label\nx/a.wav,up\nx/b.wav,down\n")
    (tmp_path / "all.csv").write_text("wav_filename,label,split,speaker\nc.wav,up,training,s1\nd.wav,up,test,s2\n")
    corpus = read_tables(tmp_path)
    assert splits(corpus) == {"train": ["c"], "validation": ["x/a", "x/b"], "test": ["d"]}
    assert corpus.clips[0].audio == tmp_path / "c.wav"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wav_filename\na.wav\n", "no column label"),
        ("wav_filename,label\na.wav,\n", r"train.csv:2: label is empty"),
        ("wav_filename,label,split\na.wav,up,train\nb.wav,up,later\n", r"train.csv:3: split is 'later'"),
        ("wav_filename,label\n", "no rows"),
    ],
)
def test_mistakes_in_tables_are_named(tmp_path, text, message):
    (tmp_path / "train.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        read_tables(tmp_path / "train.csv")


def test_what_cannot_be_read_is_listed(tmp_path):
    for name in ("train/cat/a", "train/dog/b"):
        write_wav(tmp_path / "in" / f"{name}.wav")
    (tmp_path / "in" / "train" / "dog" / "bad.wav").write_bytes(b"RIFFnothing")
    summary = prepare_sounds("folders", tmp_path / "in", tmp_path / "out", jobs=2)
    assert summary.rejected == 1
    assert "left out: 1" in summary.lines()[-1]
    (row,) = (tmp_path / "out" / "rejected.tsv").read_text().splitlines()[1:]
    assert row.startswith("train\tdog/bad\t")
    with pytest.raises(UserError, match="--overwrite"):
        prepare_sounds("folders", tmp_path / "in", tmp_path / "out")


def test_a_name_may_stand_once(tmp_path):
    write_wav(tmp_path / "train" / "a" / "x.wav")
    write_wav(tmp_path / "training" / "a" / "x.wav")
    with pytest.raises(UserError, match="a/x: named 2 times in split train"):
        prepare_sounds("folders", tmp_path, tmp_path / "out")
