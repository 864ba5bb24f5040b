import copy
import csv
import gzip
import json
import re
from functools import partial

import numpy as np
import pytest
import soundfile
import torch

from s2s_asr.align import Aligner
from s2s_asr.cli.align import main
from s2s_asr.decoders.ctc import CtcDecoder
from s2s_asr.encoders.tdnn import TdnnBlock, TdnnEncoder
from s2s_asr.losses.ctc import CtcLoss
from s2s_asr.task import SpeechToText
from s2s_asr.transcribe import Transcriber
from s2s_core.audio.features import LogMel
from s2s_core.errors import UserError
from s2s_core.text.tokenizers import CharTokenizer

RATE = 16000


@pytest.fixture(scope="module")
def model():
    """An untrained model that hears letters, and no spaces, in noise."""
    torch.manual_seed(0)
    task = SpeechToText(
        features=LogMel(10),
        encoder=TdnnEncoder(10, [TdnnBlock(16, 5, stride=2)]),
        decoder=CtcDecoder(16, 28),
        loss=CtcLoss(),
        tokenizer=CharTokenizer(),
        optimizer=partial(torch.optim.SGD, lr=0.1),
    )
    with torch.no_grad():
        task.decoder.linear.weight.normal_(std=3.0)
        scores = task.eval().logits(0.1 * torch.randn(1, RATE), torch.tensor([RATE]))[0]
        task.decoder.linear.bias -= scores.mean(dim=(0, 1))
        task.decoder.linear.bias[0] -= 100.0
    return Transcriber(task)


@pytest.fixture
def corpus(tmp_path, model, monkeypatch):
    """Three noises, each with what the model hears in it, as files and as a table."""
    monkeypatch.setattr(Transcriber, "load", lambda path, device, precision: model)
    rng = np.random.default_rng(0)
    rows = []
    for name, seconds in (("a", 1.0), ("b b", 0.4), ("c", 1.7)):
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, rng.normal(0, 0.1, int(seconds * RATE)).astype(np.float32), RATE)
        text = model.transcribe([path], chunk_s=None)[0].text
        path.with_suffix(".txt").write_text(text + "\n")
        rows.append((path, text))
    with (tmp_path / "all.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("wav_filename", "transcript"), *((p.name, text) for p, text in rows)])
    return rows


def run(capsys, *arguments):
    status = main([*map(str, arguments), "--checkpoint", "x"])
    found = capsys.readouterr()
    return status, found.out.splitlines(), found.err


def test_what_the_model_hears_is_where_it_heard_it(corpus, model, tmp_path, capsys):
    status, lines, _ = run(capsys, tmp_path / "all.csv", "--format", "json")
    assert status == 0
    assert len(lines) == 3
    for line, (path, text) in zip(lines, corpus, strict=True):
        row, (heard,) = json.loads(line), model.transcribe([path], chunk_s=None)
        assert (row["path"], row["text"], row["duration_s"]) == (str(path), text, heard.duration_s)
        assert "".join(label["text"] for label in row["labels"]) == text
        ((word,), (expected,)) = (row["words"], heard.words)
        assert [word["start_s"], word["end_s"]] == [expected.start_s, expected.end_s]
        assert word["confidence"] == pytest.approx(expected.confidence, abs=1e-4)
        starts = [label["start_s"] for label in row["labels"]]
        assert starts == sorted(starts)
        assert row["log_probability"] < 0


def test_words_of_another_text(corpus, model):
    aligner = Aligner(model)
    found = aligner.align(corpus[2][0], "one two three")
    assert [word.text for word in found.words] == ["one", "two", "three"]
    assert [label.text for label in found.labels] == list("onetwothree")
    times = [time for word in found.words for time in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert found.labels[3].start_s == found.words[1].start_s
    assert found.labels[5].end_s == found.words[1].end_s
    assert found.log_probability < aligner.align(*corpus[2]).log_probability


def test_results_do_not_depend_on_the_batch(corpus, tmp_path, capsys):
    together = run(capsys, tmp_path / "all.csv", "--format", "json")[1]
    assert run(capsys, tmp_path / "all.csv", "--format", "json", "--batch-seconds", "0.1")[1] == together


def test_a_model_without_numbers_is_named(corpus, model):
    broken = Transcriber(copy.deepcopy(model.task))
    torch.nn.init.constant_(broken.task.decoder.linear.bias, torch.nan)
    with pytest.raises(UserError, match="the model gives no number for the text"):
        Aligner(broken).align(corpus[0][0], "fine")


@pytest.mark.parametrize("level", ["words", "labels"])
def test_ctm(corpus, tmp_path, capsys, level):
    status, lines, _ = run(capsys, tmp_path, "--level", level)
    rows = [line.split() for line in lines]
    assert status == 0
    assert all(len(row) == 6 for row in rows)
    assert {row[0] for row in rows} == {"_".join(str(path).split()) for path, _ in corpus}
    assert "".join(row[4] for row in rows) == "".join(text for _, text in corpus)
    assert all(re.fullmatch(r"\d+\.\d{3}", row[2]) and float(row[3]) >= 0 for row in rows)


def test_text_grid_covers_the_recording(corpus, tmp_path, capsys):
    status, lines, _ = run(capsys, tmp_path / "all.csv", "--format", "textgrid", "--output", tmp_path / "grids")
    assert (status, lines) == (0, [])
    assert sorted(p.name for p in (tmp_path / "grids").iterdir()) == ["a.TextGrid", "b b.TextGrid", "c.TextGrid"]
    text = (tmp_path / "grids" / "a.TextGrid").read_text()
    assert text.startswith('File type = "ooTextFile"\nObject class = "TextGrid"\n')
    tiers = text.split("    item [")[1:]
    assert ['name = "words"' in tiers[0], 'name = "labels"' in tiers[1]] == [True, True]
    for tier in tiers:
        edges = [float(x) for x in re.findall(r"xm(?:in|ax) = ([\d.]+)", tier)][2:]
        assert edges[0] == 0
        assert edges[-1] == 1.0
        assert edges[1:-1:2] == edges[2::2]
        assert int(re.search(r"size = (\d+)", tier)[1]) == len(edges) // 2
    assert "".join(re.findall(r'text = "(.*)"', tiers[1])) == corpus[0][1]


def test_one_recording_with_its_text(corpus, capsys):
    status, lines, _ = run(capsys, corpus[0][0], "--text", "Say it")
    assert status == 0
    assert [line.split()[4] for line in lines] == ["say", "it"]


def test_bad_texts_are_named_and_the_rest_goes_on(corpus, tmp_path, capsys):
    table = tmp_path / "bad.csv"
    rows = [("a.wav", "x" * 200), ("a.wav", "fine"), ("b b.wav", "n0"), ("c.wav", ""), ("none.wav", "text")]
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("wav_filename", "transcript"), *rows])
    status, lines, errors = run(capsys, table)
    assert status == 1
    assert [line.split()[4] for line in lines] == ["fine"]
    assert f"error: {table}:2: the text needs 399 frames, the audio has 51" in errors
    assert f"error: {table}:4: unknown characters '0' in 'n0'" in errors
    assert f"error: {table}:5: the text is empty" in errors
    assert "none.wav: no such file" in errors
    (tmp_path / "c.txt").unlink()
    status, _, errors = run(capsys, tmp_path / "c.wav")
    assert status == 1
    assert f"c.wav: no text; expected --text, a manifest, or {tmp_path / 'c.txt'} or {tmp_path / 'c.lab'}" in errors


def test_rows_of_a_manifest_of_cuts_are_named(corpus, tmp_path, capsys):
    recording = {
        "id": "a", "sources": [{"type": "file", "channels": [0], "source": str(corpus[0][0])}],
        "sampling_rate": RATE, "num_samples": RATE, "duration": 1.0, "channel_ids": [0],
    }  # fmt: skip
    supervision = {"id": "a", "recording_id": "a", "start": 0.0, "duration": 1.0, "channel": 0, "text": "b@d"}
    cut = {"id": "a", "start": 0.0, "duration": 1.0, "channel": 0, "type": "MonoCut", "recording": recording}
    manifest = tmp_path / "cuts.jsonl.gz"
    manifest.write_bytes(gzip.compress(json.dumps({**cut, "supervisions": [supervision]}).encode()))
    status, _, errors = run(capsys, manifest)
    assert status == 1
    assert f"error: {manifest}:1: cut 'a': unknown characters '@'" in errors


def test_mistakes(corpus, tmp_path, capsys):
    with pytest.raises(UserError, match="--output FOLDER is missing"):
        run(capsys, tmp_path, "--format", "textgrid")
    with pytest.raises(UserError, match="--text is for one recording, here are 3"):
        run(capsys, tmp_path, "--text", "hello")
    with pytest.raises(UserError, match="--output"):
        run(capsys, tmp_path, "--output", tmp_path / "no" / "file")
