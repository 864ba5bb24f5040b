"""Lines of text, and transcripts of manifests."""

import gzip
import json

import pytest

from s2s_lm.prepare.sources import BadLine, read_lines


@pytest.mark.parametrize("name", ["train.jsonl", "train.jsonl.gz"])
def test_a_manifest_gives_its_transcripts(tmp_path, name):
    rows = [
        json.dumps({"id": "1", "supervisions": [{"text": "one  two"}, {"text": "three"}]}),
        json.dumps({"text": "four\nfive", "source": "web"}),
        "no JSON",
        json.dumps({"supervisions": [{"start": 0}]}),
        json.dumps(["one"]),
        json.dumps({"supervisions": []}),
        json.dumps({"text": "six"}),
    ]
    content = "\n".join(rows).encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    lines = list(read_lines(tmp_path / name))
    assert [line for line in lines if isinstance(line, str)] == ["one two", "three", "four five", "six"]
    bad = [line for line in lines if isinstance(line, BadLine)]
    assert [(line.where, line.reason) for line in bad] == [(f"{name}:{n}", "no text") for n in (3, 4, 5)]


def test_other_files_are_text(tmp_path):
    (tmp_path / "a.txt").write_bytes(b'\xef\xbb\xbf{"text": "one"}\r\ntwo \n\xff\n')
    first, second, third = read_lines(tmp_path / "a.txt")
    assert (first, second) == ('{"text": "one"}', "two ")
    assert third.reason == "invalid UTF-8"
