"""Corpora in their layouts to manifests, with what is wrong named by file and row."""

import json

import numpy as np
import pytest
import soundfile

from s2s_core.data.speech import CutTable
from s2s_core.errors import UserError
from s2s_core.testing import shared_data
from s2s_tts.cli.prepare import main


def prepare(corpus, source, output, *options):
    return main([corpus, "--input", str(source), "--output", str(output), *options])


def infos(output, split):
    table = CutTable.load([output / f"{split}.jsonl.gz"])
    return [table.info(i) for i in range(len(table))]


def test_csv_keeps_texts_as_they_are_and_lists_speakers(hums, tmp_path):
    table = (hums / "train.csv").read_text().replace("one eight", "One: $8!")
    (tmp_path / "train.csv").write_text(table)
    assert prepare("csv", tmp_path, tmp_path / "out", "--audio-root", str(hums)) == 0
    first = infos(tmp_path / "out", "train")[0]
    assert (first.text, first.speaker) == ("One: $8!", "bob")
    assert (tmp_path / "out" / "speakers.txt").read_text() == "ann\nbob\n"


def test_mailabs_names_speakers_after_folders_and_rejects_by_row(tmp_path):
    for speaker in ("mary_ann", "judy"):
        book = tmp_path / "en_US" / "by_book" / "female" / speaker / "emma"
        (book / "wavs").mkdir(parents=True)
        lines = []
        for number in range(10):
            soundfile.write(book / "wavs" / f"{speaker}_{number}.wav", np.full(4000, 0.1), 8000)
            lines.append(f"{speaker}_{number}|Raw {number}|Said {number}")
        lines += ["broken row", f"{speaker}_gone|a|b"]
        (book / "metadata.csv").write_text("\n".join(lines))
    output = tmp_path / "out"
    assert prepare("mailabs", tmp_path / "en_US", output, "--holdout", "0.2", "--test-share", "0.1") == 0
    train, validation = infos(output, "train"), infos(output, "validation")
    assert {info.speaker for info in validation} == {"judy", "mary_ann"}
    assert len(train) + len(validation) + len(infos(output, "test")) == 20
    assert train[0].text.startswith("Said ")
    rejected = (output / "rejected.tsv").read_text()
    assert "by_book/female/judy/emma/metadata.csv:11\tmalformed row" in rejected
    assert "metadata.csv:12\tmissing audio\tmary_ann_gone" in rejected


def test_lj_speech(tmp_path):
    assert prepare("ljspeech", shared_data("LJSpeech-1.1"), tmp_path / "out", "--quick") == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["splits"]["train"]["utterances"] + summary["splits"]["validation"]["utterances"] == 260
    assert (tmp_path / "out" / "speakers.txt").read_text() == "LJ\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense", "--output", "o"], "no corpus 'nonsense'"),
        (["csv", "--output", "o"], "--input DIR is missing"),
        (["csv", "--input", "absent", "--output", "o"], "absent: no such folder"),
        (["mailabs", "--input", ".", "--output", "o"], "no metadata.csv below it"),
        (["csv", "--input", ".", "--output", "o", "--holdout", "1.5"], "--holdout must be"),
    ],
)
def test_mistakes_are_one_line(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        main(arguments)
