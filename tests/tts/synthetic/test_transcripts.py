import gzip
import json

import pytest

from s2s_core.errors import UserError
from s2s_tts.synthetic.transcripts import read_transcripts


def write(path, *lines):
    content = "".join(f"{line}\n" for line in lines)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(content.encode()))
    else:
        path.write_text(content, encoding="utf-8")
    return path


def supervision(start, text):
    return {"id": "s", "start": start, "text": text}


def test_cuts_and_supervisions(tmp_path):
    cut = {"id": "c", "type": "MonoCut", "supervisions": [supervision(2, "later"), supervision(0, "first")]}
    mixed = {"id": "m", "type": "MixedCut", "tracks": [{"cut": {"supervisions": [supervision(0, "mixed")]}}]}
    path = write(
        tmp_path / "cuts.jsonl.gz", json.dumps(cut), json.dumps(mixed), json.dumps({"id": "s", "text": " said "}), ""
    )
    assert [(line.place, line.id, line.text) for line in read_transcripts(path)] == [
        (0, "c", "first later"),
        (1, "m", "mixed"),
        (2, "s", "said"),
    ]


def test_tables(tmp_path):
    csv = write(tmp_path / "a.csv", "wav_filename,wav_filesize,transcript", 'x/a.wav,1,"one, two"', "x/b.wav,1,three")
    assert [(line.id, line.text) for line in read_transcripts(csv)] == [("a", "one, two"), ("b", "three")]
    tsv = write(tmp_path / "b.tsv", "id\ttext", "u1\tone", "u1\ttwo")
    assert [(line.id, line.text) for line in read_transcripts(tsv)] == [("u1", "one"), ("u1-2", "two")]


def test_faulty_lines_are_kept_with_their_fault(tmp_path):
    path = write(tmp_path / "c.jsonl", '{"id": "a", "text": "fine"}', "{", "[]", '{"id": "d", "type": "MonoCut"}')
    faults = [(line.where, line.fault.partition(" (")[0]) for line in read_transcripts(path)]
    assert faults == [
        ("c.jsonl:1", ""),
        ("c.jsonl:2", "not JSON"),
        ("c.jsonl:3", "neither a cut nor a supervision"),
        ("c.jsonl:4", "no text"),
    ]


@pytest.mark.parametrize(
    ("name", "lines", "named"),
    [
        ("a.txt", ["hello"], "expected Lhotse cuts"),
        ("a.csv", ["wav_filename,words"], "no column transcript or text, only wav_filename, words"),
        ("a.csv", [], "no column transcript or text, only none"),
        ("a.jsonl", [], "holds no transcripts"),
        ("a.csv", ["text"], "holds no transcripts"),
    ],
)
def test_files_that_will_not_do_are_refused(tmp_path, name, lines, named):
    with pytest.raises(UserError, match=named):
        read_transcripts(write(tmp_path / name, *lines))


def test_a_missing_and_a_torn_file_are_named(tmp_path):
    with pytest.raises(UserError, match=r"gone\.jsonl: no such file"):
        read_transcripts(tmp_path / "gone.jsonl")
    path = write(tmp_path / "torn.jsonl.gz", '{"text": "a"}')
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match="cannot be read"):
        read_transcripts(path)
