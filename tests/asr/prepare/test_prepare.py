import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from lhotse import CutSet

import stand_ins
from s2s_asr.cli.prepare import main
from s2s_core.data.speech import CutTable
from s2s_core.errors import UserError
from s2s_core.testing import shared_data
from s2s_core.text.tokenizers import SentencePieceTokenizer

RATE = 16000


def write_audio(path: Path, seconds: float = 1.0, rate: int = RATE, channels: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(path.name))
    soundfile.write(path, rng.uniform(-0.3, 0.3, (round(seconds * rate), channels)), rate)
    return path


def write_csv(path: Path, rows: list[str], header: str = "wav_filename,wav_filesize,transcript") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def prepare(corpus: str, source: Path | None, output: Path, *options: str) -> int:
    given = ["--input", str(source)] if source is not None else []
    return main([corpus, *given, "--output", str(output), *options])


def cuts(output: Path, split: str = "train") -> dict:
    return {cut.id: cut for cut in CutSet.from_file(output / f"{split}.jsonl.gz")}


def rejected(output: Path) -> dict[str, tuple[str, str]]:
    lines = (output / "rejected.tsv").read_text().splitlines()
    assert lines[0] == "where\treason\tid\tdetail"
    rows = [line.split("\t") for line in lines[1:]]
    assert all(len(row) == 4 for row in rows)
    return {where: (reason, detail) for where, reason, _, detail in rows}


@pytest.fixture
def corpus(tmp_path) -> Path:
    """Ten good utterances of three speakers in ``train.csv``, two in ``dev.csv``."""
    folder = tmp_path / "corpus"
    rows = []
    for i in range(10):
        write_audio(folder / f"wav/u{i}.wav", 1.0 + 0.1 * i)
        rows.append(f"wav/u{i}.wav,32000,Word number {'abcdefghij'[i]},s{i % 3}")
    write_csv(folder / "train.csv", rows, "wav_filename,wav_filesize,transcript,speaker")
    for i in range(2):
        write_audio(folder / f"wav/d{i}.flac")
    write_csv(folder / "dev.csv", ["wav/d0.flac,1,Hello", '"wav/d1.flac",1,"Well, well-known?"'])
    return folder


def test_csv_becomes_cuts_that_lhotse_and_we_can_read(corpus, tmp_path, capsys):
    output = tmp_path / "out"
    assert prepare("csv", corpus, output) == 0
    train = cuts(output)
    assert len(train) == 10
    assert train["u3"].duration == pytest.approx(1.3)
    assert train["u3"].num_samples == 20800
    (supervision,) = train["u3"].supervisions
    assert (supervision.text, supervision.speaker) == ("word number d", "s0")
    assert cuts(output, "validation")["d1"].supervisions[0].text == "well well known"
    table = CutTable.load([output / "train.jsonl.gz"])
    expected, _ = soundfile.read(corpus / "wav/u0.wav", dtype="float32")
    np.testing.assert_array_equal(table.audio(0, RATE), expected)
    summary = json.loads((output / "summary.json").read_text())
    figures = summary["splits"]["train"]
    assert figures["utterances"] == 10
    assert figures["hours"] == pytest.approx(sum(1 + 0.1 * i for i in range(10)) / 3600)
    assert figures["speakers"] == 3
    assert figures["duration_s"] == {"min": 1.0, "median": pytest.approx(1.45), "max": pytest.approx(1.9)}
    letters = Counter("".join(cut.supervisions[0].text for cut in train.values()))
    assert figures["characters"] == dict(letters)
    assert summary["rejected"] == {}
    printed = capsys.readouterr().out
    assert "train" in printed
    assert "wrote" in printed
    assert not list(output.glob(".partial-*"))


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_bad_rows_are_left_out_and_named(tmp_path, jobs):
    folder = tmp_path / "bad"
    for name in ("good", "letters", "blank", "long", "twice", "quoted", "bytes", "few"):
        write_audio(folder / f"{name}.wav", 1.0)
    (folder / "zero.wav").write_bytes(b"")
    soundfile.write(folder / "silent.wav", np.zeros(0), RATE)
    (folder / "noise.wav").write_text("no recording at all" * 20)
    content = write_audio(folder / "cut.wav").read_bytes()
    (folder / "cut.wav").write_bytes(content[:9000])
    rows = [
        b"wav_filename,wav_filesize,transcript",
        b"good.wav,1,good row",  # 2
        b"letters.wav,1,caf\xc3\xa9 7",  # 3
        b"blank.wav,1,  ",  # 4
        b"long.wav,1," + b"ab" * 26,  # 5: 52 labels in 50 frames
        b"gone.wav,1,never there",  # 6
        b"zero.wav,1,a",  # 7
        b"silent.wav,1,a",  # 8
        b"noise.wav,1,a",  # 9
        b"cut.wav,1,a",  # 10
        b"twice.wav,1,once",  # 11
        b"twice.wav,1,again",  # 12
        b"bytes.wav,1,\xff\xfe broken",  # 13
        b"few.wav,1",  # 14
        b",1,nameless",  # 15
        b"",  # 16: passed over
        b'quoted.wav,1,"an open quote',  # 17-18
        b'and its end"',
        b"good.wav/../letters.wav,1,fine",  # 19
    ]
    (folder / "train.csv").write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(rows) + b"\r\n")
    output = tmp_path / "out"
    assert prepare("csv", folder, output, "--jobs", jobs) == 0
    reasons = rejected(output)
    expected = {
        3: ("unknown characters", "'7' 'é' in 'café 7'"),
        4: ("empty transcript", "' '"),
        5: ("too long for CTC", "52 labels and blanks in 50 frames of 20 ms"),
        6: ("missing audio", "gone.wav: no such file"),
        7: ("unreadable audio", "zero.wav: empty file"),
        8: ("unreadable audio", "silent.wav: empty"),
        9: ("unreadable audio", "noise.wav: not readable audio"),
        10: ("unreadable audio", "cut.wav: truncated"),
        12: ("duplicate id", "train.csv:11"),
        13: ("invalid UTF-8", ""),
        14: ("malformed row", "2 columns, the header has 3"),
        15: ("malformed row", "wav_filename is empty"),
    }
    for row, (reason, detail) in expected.items():
        assert reasons[f"train.csv:{row}"][0] == reason, row
        assert detail in reasons[f"train.csv:{row}"][1]
    assert reasons["train.csv:17-18"][0] == "malformed row"
    assert len(reasons) == len(expected) + 2  # a path through a file is missing too
    assert reasons["train.csv:19"][0] == "missing audio"
    assert len(cuts(output)) == 2
    counted = json.loads((output / "summary.json").read_text())["rejected"]
    assert counted["unreadable audio"] == 4
    assert sum(counted.values()) == len(reasons)


def test_repeated_letters_need_a_blank_between_for_ctc(tmp_path):
    write_audio(tmp_path / "a.wav", 0.2)
    write_csv(tmp_path / "train.csv", ["a.wav,1,abababa"])
    assert prepare("csv", tmp_path, tmp_path / "fits") == 0
    write_csv(tmp_path / "train.csv", ["a.wav,1,aabbaab"])  # 7 letters and 3 blanks: ten frames
    assert prepare("csv", tmp_path, tmp_path / "just") == 0
    write_csv(tmp_path / "train.csv", ["a.wav,1,aabbaabb"])
    with pytest.raises(UserError, match=r"none of the 1 rows is good; the first: train\.csv:2: too long for CTC"):
        prepare("csv", tmp_path, tmp_path / "not")
    assert prepare("csv", tmp_path, tmp_path / "any", "--ctc-frame-ms", "0") == 0
    assert prepare("csv", tmp_path, tmp_path / "short", "--ctc-frame-ms", "10") == 0


def test_tables_that_are_none(tmp_path):
    for header, message in {
        "path,text": r"train\.csv: no column wav_filename, transcript in the first row \(found path, text\)",
        "wav_filename,text": "no column transcript",
        "": "found nothing|no column",
    }.items():
        write_csv(tmp_path / "in/train.csv", [], header)
        with pytest.raises(UserError, match=message):
            prepare("csv", tmp_path / "in", tmp_path / "out")
    (tmp_path / "in/train.csv").write_text("wav_filename,transcript\n")
    with pytest.raises(UserError, match="the corpus has no rows"):
        prepare("csv", tmp_path / "in", tmp_path / "out")
    (tmp_path / "in/train.csv").unlink()
    with pytest.raises(UserError, match=r"no \.csv or \.tsv file in it"):
        prepare("csv", tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_tsv_single_file_and_audio_root(tmp_path):
    write_audio(tmp_path / "audio/a.wav")
    table = tmp_path / "lists/mine.tsv"
    table.parent.mkdir()
    table.write_text('wav_filename\ttranscript\tid\na.wav\tsay "yes, please"\tfirst\n')
    assert prepare("csv", table, tmp_path / "out", "--audio-root", str(tmp_path / "audio")) == 0
    assert cuts(tmp_path / "out", "mine")["first"].supervisions[0].text == "say yes please"


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path):
    for folder in ("x", "y"):
        write_audio(tmp_path / folder / "a.wav")
    write_csv(tmp_path / "train.csv", ["x/a.wav,1,one", "y/a.wav,1,two"])
    assert prepare("csv", tmp_path, tmp_path / "out") == 0
    assert set(cuts(tmp_path / "out")) == {"x/a", "y/a"}


def test_stereo_is_mixed(tmp_path):
    write_audio(tmp_path / "a.wav", channels=2)
    write_csv(tmp_path / "train.csv", ["a.wav,1,one"])
    assert prepare("csv", tmp_path, tmp_path / "out") == 0
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    audio = CutTable.load([tmp_path / "out/train.jsonl.gz"]).audio(0, RATE)
    np.testing.assert_allclose(audio, samples.mean(axis=1), atol=1e-7)
    assert cuts(tmp_path / "out")["a"].num_channels == 2


def test_transcript_options(tmp_path):
    write_audio(tmp_path / "a.wav")
    write_csv(tmp_path / "train.csv", ["a.wav,1,Café? Nº-5"])

    def text(name: str, *options: str) -> str:
        assert prepare("csv", tmp_path, tmp_path / name, *options) == 0
        return cuts(tmp_path / name)["a"].supervisions[0].text

    assert text("1", "--labels", "any") == "café nº 5"
    assert text("2", "--labels", "any", "--keep-case", "--keep-punctuation") == "Café? Nº-5"
    assert text("3", "--labels", " 5-acefno", "--fold-accents") == "cafe no-5"


def test_nothing_is_replaced_unasked_and_nothing_stays_half(corpus, tmp_path, monkeypatch):
    output = tmp_path / "out"
    prepare("csv", corpus, output, "--holdout", "0.3")
    (corpus / "dev.csv").unlink()
    with pytest.raises(UserError, match="--overwrite"):
        prepare("csv", corpus, output)
    before = {path.name: path.read_bytes() for path in output.iterdir()}

    def fail(*arguments):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("s2s_asr.prepare.run.write_summary", fail)
        with pytest.raises(OSError, match="disk full"):
            prepare("csv", corpus, output, "--overwrite")
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before
    assert prepare("csv", corpus, output, "--overwrite") == 0
    assert sorted(path.name for path in output.iterdir()) == ["rejected.tsv", "summary.json", "train.jsonl.gz"]
    assert prepare("csv", corpus, output, "--overwrite", "--shar", "4") == 0
    assert sorted(path.name for path in output.iterdir()) == ["rejected.tsv", "summary.json", "train-shar"]
    assert prepare("csv", corpus, output, "--overwrite", "--shar", "4") == 0


def test_shar_holds_the_same(corpus, tmp_path):
    prepare("csv", corpus, tmp_path / "plain")
    prepare("csv", corpus, tmp_path / "shar", "--shar", "4")
    assert len(list((tmp_path / "shar/train-shar").glob("*.tar"))) == 3
    plain = CutTable.load([tmp_path / "plain/train.jsonl.gz"])
    shar = CutTable.load([tmp_path / "shar/train-shar"])
    for i in range(10):
        assert plain.info(i) == shar.info(i)
        np.testing.assert_allclose(plain.audio(i, RATE), shar.audio(i, RATE), atol=1e-4)


def test_holdout_takes_whole_speakers(tmp_path):
    rows = []
    for i in range(40):
        write_audio(tmp_path / f"u{i}.wav", 0.3)
        rows.append(f"u{i}.wav,1,word,s{i % 10}")
    write_csv(tmp_path / "train.csv", rows, "wav_filename,wav_filesize,transcript,speaker")
    prepare("csv", tmp_path, tmp_path / "a", "--holdout", "0.2")
    prepare("csv", tmp_path, tmp_path / "b", "--holdout", "0.2")
    train, held = cuts(tmp_path / "a"), cuts(tmp_path / "a", "validation")
    assert set(held) == set(cuts(tmp_path / "b", "validation"))
    assert len(held) == 8
    assert len(train) == 32
    speakers = [{cut.supervisions[0].speaker for cut in split.values()} for split in (train, held)]
    assert not speakers[0] & speakers[1]


def test_sentencepiece_is_trained_on_the_transcripts(tmp_path):
    rows = []
    for i in range(12):
        write_audio(tmp_path / f"u{i}.wav", 0.3)
        thing, number = ("sea", "house", "dog")[i % 3], ("one", "two")[i % 2]
        rows.append(f"u{i}.wav,1,the café {thing} is number {number}")
    write_csv(tmp_path / "train.csv", rows)
    assert prepare("csv", tmp_path, tmp_path / "out", "--sentencepiece", "23") == 0
    tokenizer = SentencePieceTokenizer(str(tmp_path / "out/sentencepiece.model"))
    assert tokenizer.vocab_size == 23
    for cut in cuts(tmp_path / "out").values():
        text = cut.supervisions[0].text
        assert "é" in text
        assert tokenizer.decode(tokenizer.encode(text)) == text
    with pytest.raises(UserError, match=r"--sentencepiece 5000: Vocabulary size too high \(5000\)"):
        prepare("csv", tmp_path, tmp_path / "none", "--sentencepiece", "5000")
    assert not list((tmp_path / "none").glob("*.jsonl.gz"))


def test_quick_believes_headers(tmp_path):
    write_audio(tmp_path / "a.flac", 2.0)
    content = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(content[: len(content) // 2])
    write_audio(tmp_path / "b.flac")
    write_csv(tmp_path / "train.csv", ["a.flac,1,one", "b.flac,1,two"])
    prepare("csv", tmp_path, tmp_path / "out")
    assert set(cuts(tmp_path / "out")) == {"b"}
    prepare("csv", tmp_path, tmp_path / "quick", "--quick")
    assert set(cuts(tmp_path / "quick")) == {"a", "b"}


def test_librispeech_layout(tmp_path):
    chapter = tmp_path / "LibriSpeech/dev-clean/84/121123"
    stand_ins.librispeech(tmp_path / "LibriSpeech", ["dev-clean"], utterances=4)
    (chapter / "84-121123.trans.txt").write_bytes(
        b"84-121123-0000 GO ON\n84-121123-0001 DON'T\n84-121123-0002 \xff\n84-121123-0009 GONE\n"
    )
    assert prepare("librispeech", tmp_path / "LibriSpeech", tmp_path / "out") == 0
    found = cuts(tmp_path / "out", "dev-clean")
    assert {name: cut.supervisions[0].text for name, cut in found.items()} == {
        "84-121123-0000": "go on",
        "84-121123-0001": "don't",
    }
    assert found["84-121123-0000"].supervisions[0].speaker == "84"
    reasons = sorted(reason for reason, _ in rejected(tmp_path / "out").values())
    assert reasons == ["invalid UTF-8", "missing audio", "no transcript"]
    assert prepare("librispeech", tmp_path / "LibriSpeech/dev-clean", tmp_path / "part") == 0
    assert set(cuts(tmp_path / "part", "dev-clean")) == set(found)
    with pytest.raises(UserError, match="no PART/SPEAKER/CHAPTER"):
        prepare("librispeech", chapter, tmp_path / "none")


def test_ljspeech_layout(tmp_path):
    write_audio(tmp_path / "lj/wavs/LJ001-0001.wav", 2.0, rate=22050)
    write_audio(tmp_path / "lj/wavs/LJ001-0002.ogg", 2.0, rate=22050)
    (tmp_path / "lj/metadata.csv").write_text(
        'LJ001-0001|In 2 words,|In two words,\nLJ001-0002|"Quoted; so.|"Quoted; so.\nLJ001-0003\n', encoding="utf-8"
    )
    assert prepare("ljspeech", tmp_path / "lj", tmp_path / "out", "--holdout", "0") == 0
    texts = {name: cut.supervisions[0].text for name, cut in cuts(tmp_path / "out").items()}
    assert texts == {"LJ001-0001": "in two words", "LJ001-0002": "quoted so"}
    assert cuts(tmp_path / "out")["LJ001-0001"].sampling_rate == 22050
    assert rejected(tmp_path / "out") == {
        "metadata.csv:3": ("malformed row", "1 columns, expected id|text|normalised text")
    }
    with pytest.raises(UserError, match=r"metadata\.csv: no such file"):
        prepare("ljspeech", tmp_path, tmp_path / "none")


def test_common_voice_layout(tmp_path):
    for name in ("a", "b", "c"):
        write_audio(tmp_path / f"en/clips/{name}.mp3", rate=32000)
    header = "client_id\tpath\tsentence\tup_votes"
    (tmp_path / "en/train.tsv").write_text(f'{header}\nspk1\ta.mp3\t"Hello," she said.\t2\nspk2\tb\tBye!\t2\n')
    (tmp_path / "en/dev.tsv").write_text(f"{header}\nspk3\tc.mp3\tYes\t2\n")
    assert prepare("commonvoice", tmp_path / "en", tmp_path / "out") == 0
    texts = {name: cut.supervisions[0].text for name, cut in cuts(tmp_path / "out").items()}
    assert texts == {"a": "hello she said", "b": "bye"}
    assert cuts(tmp_path / "out", "validation")["c"].supervisions[0].speaker == "spk3"
    with pytest.raises(UserError, match=r"none of train\.tsv, dev\.tsv, test\.tsv"):
        prepare("commonvoice", tmp_path, tmp_path / "none")


def test_lhotse_recipes(tmp_path):
    corpus = tmp_path / "waves_yesno"
    for number in range(60):
        name = "_".join(f"{number:08b}")
        write_audio(corpus / f"{name}.wav", 2.0, rate=8000)
    (corpus / "0_0_0_0_0_0_1_0.wav").write_bytes((corpus / "0_0_0_0_0_0_1_0.wav").read_bytes()[:9000])
    assert prepare("lhotse:yesno", corpus, tmp_path / "out") == 0
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert {name: split["utterances"] for name, split in summary["splits"].items()} == {"train": 29, "test": 30}
    assert summary["rejected"] == {"unreadable audio": 1}
    table = CutTable.load([tmp_path / "out/test.jsonl.gz"])
    assert table.info(0).text == "no no no no no no no yes"
    assert len(table.audio(0, RATE)) == 2 * RATE
    with pytest.raises(UserError, match=r"no recipe 'libri_speech'; it has librispeech"):
        prepare("lhotse:libri_speech", corpus, tmp_path / "none")
    (corpus / "0_0_0_0_0_0_1_0.wav").unlink()
    with pytest.raises(UserError, match=r"recipe 'yesno' failed: assert len\(wave_files\) == 60"):
        prepare("lhotse:yesno", corpus, tmp_path / "none")


def test_wrong_commands(tmp_path):
    for arguments, message in (
        (["libri", "--input", "x"], "no corpus 'libri'; there are an4"),
        (["csv"], "--input DIR is missing"),
        (["csv", "--input", str(tmp_path / "gone")], "gone: no such folder"),
        (["csv", "--input", "x", "--jobs", "0"], "--jobs must be at least 1, got 0"),
        (["csv", "--input", "x", "--holdout", "1"], "--holdout must be"),
    ):
        with pytest.raises(UserError, match=message):
            main([*arguments, "--output", str(tmp_path / "out")])
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file: not a folder"):
        main(["csv", "--input", str(tmp_path), "--output", str(tmp_path / "file")])


@pytest.mark.slow
def test_synthetic_speech(tmp_path):
    pytest.importorskip("espeakng_loader", reason="the eSpeak NG wheel is not installed")
    assert prepare("synthetic", None, tmp_path / "out") == 0
    splits = json.loads((tmp_path / "out/summary.json").read_text())["splits"]
    assert set(splits) == {"train", "validation", "test"}
    assert splits["train"]["hours"] > 0.3


@pytest.mark.slow
def test_the_real_an4(tmp_path):
    assert prepare("an4", shared_data("an4"), tmp_path / "out", "--jobs", "2") == 0
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    splits = summary["splits"]
    assert splits["train"]["utterances"] + splits["validation"]["utterances"] == 948
    assert splits["test"]["utterances"] == 130
    assert splits["train"]["speakers"] + splits["validation"]["speakers"] == 74
    assert 70 <= splits["validation"]["utterances"] <= 120
    assert summary["rejected"] == {}
    assert sum(split["hours"] for split in splits.values()) == pytest.approx(0.8, abs=0.03)


@pytest.mark.slow
def test_the_real_librispeech_and_lhotses_recipe_agree(tmp_path):
    source = shared_data("LibriSpeech")
    prepare("librispeech", source, tmp_path / "ours")
    prepare("lhotse:librispeech", source, tmp_path / "theirs")
    ours, theirs = (cuts(tmp_path / name, "train-clean-5") for name in ("ours", "theirs"))
    assert len(ours) == 20
    for name, cut in theirs.items():
        assert ours[name].supervisions[0].text == cut.supervisions[0].text
        assert ours[name].num_samples == cut.num_samples


def test_a_corpus_that_holds_its_manifests_can_move(corpus, tmp_path):
    prepare("csv", corpus, corpus)
    prepare("csv", corpus, tmp_path / "beside" / "manifests", "--relative")
    assert cuts(corpus)["u0"].recording.sources[0].source == "wav/u0.wav"
    assert cuts(tmp_path / "beside" / "manifests")["u0"].recording.sources[0].source == "../../corpus/wav/u0.wav"
    moved = corpus.rename(tmp_path / "moved")
    table = CutTable.load([moved / "train.jsonl.gz"])
    assert len(table.audio(0, RATE)) == RATE
