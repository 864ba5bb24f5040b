"""Where rows come from, and what becomes of good and bad ones; all corpora: ``tests/asr/prepare``."""

import numpy as np
import pytest
import soundfile

from s2s_core.data.prepare.checks import CheckOptions
from s2s_core.data.prepare.run import read_rows, split_rows, summarise
from s2s_core.errors import UserError

CHECKS = CheckOptions(labels="ab ", lower_case=True, strip_punctuation=True, decode=True, ctc_frame_ms=0.0)


def table(folder, *texts):
    for text in texts:
        soundfile.write(folder / f"{text}.wav", np.zeros(1600, dtype=np.float32), 16000)
    rows = "".join(f"{text}.wav,,{text}\n" for text in texts)
    (folder / "train.csv").write_text(f"wav_filename,wav_filesize,transcript\n{rows}")
    return folder


def test_good_rows_are_split_and_others_counted(tmp_path):
    rows = list(read_rows("csv", table(tmp_path, "ab", "xyz", "b"), None, {}))
    splits, rejected = split_rows(rows, CHECKS, 1, tmp_path)
    assert [utterance.text for utterance in splits["train"]] == ["ab", "b"]
    assert len(rejected) == 1
    summary = summarise(splits, rejected)
    assert list(summary.splits) == ["train"]
    assert sum(summary.rejected.values()) == 1


def test_no_good_row_is_an_error_that_names_the_first(tmp_path):
    rows = list(read_rows("csv", table(tmp_path, "xyz"), None, {}))
    with pytest.raises(UserError, match=r"none of the 1 rows is good; the first: .*train.csv"):
        split_rows(rows, CHECKS, 1, tmp_path)
    with pytest.raises(UserError, match="the corpus has no rows"):
        split_rows([], CHECKS, 1, tmp_path)


def test_a_corpus_has_to_be_where_it_is_said_to_be(tmp_path):
    with pytest.raises(UserError, match="--input: csv needs the folder of the corpus"):
        read_rows("csv", None, None, {})
    with pytest.raises(UserError, match="nowhere: no such folder"):
        read_rows("csv", tmp_path / "nowhere", None, {})
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file: not a folder; an4 is one"):
        read_rows("an4", tmp_path / "file", None, {"an4": list})
    assert read_rows("an4", tmp_path, None, {"an4": lambda folder: [folder]}) == [tmp_path]
