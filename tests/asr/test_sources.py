import gzip
import json

import numpy as np
import pytest
import soundfile

from s2s_asr.audio_input import Recording
from s2s_asr.sources import find_sources
from s2s_core.errors import UserError

RATE = 8_000


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("b.wav", "a.FLAC", "deep/er/c.ogg"):
        soundfile.write(tmp_path / name, np.zeros(RATE), RATE)
    (tmp_path / "notes.txt").write_text("no audio")
    return tmp_path


def names(*arguments):
    return [source.name for source in find_sources([str(argument) for argument in arguments], RATE)]


def test_a_folder_is_searched_recursively_and_sorted(folder):
    assert names(folder) == [str(folder / name) for name in ("a.FLAC", "b.wav", "deep/er/c.ogg")]


def test_patterns_files_and_standard_input_keep_their_order(folder):
    found = names(folder / "b.wav", "-", folder / "**/*.ogg", folder / "absent.wav")
    assert found == [str(folder / "b.wav"), "-", str(folder / "deep/er/c.ogg"), str(folder / "absent.wav")]


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern(folder):
    file = folder / "take[1].wav"
    file.write_bytes((folder / "b.wav").read_bytes())
    assert names(file) == [str(file)]


def test_a_csv_names_files_beside_it_and_their_transcripts(folder):
    manifest = folder / "test.csv"
    manifest.write_text("wav_filename,wav_filesize,transcript\nb.wav,16000,one two\ndeep/er/c.ogg,16000,\n")
    sources = find_sources([str(manifest)], RATE)
    assert [(s.name, s.reference) for s in sources] == [
        (str(folder / "b.wav"), "one two"),
        (str(folder / "deep/er/c.ogg"), None),
    ]


def test_cuts_are_stretches_of_recordings(folder):
    samples = np.linspace(-0.5, 0.5, RATE)
    soundfile.write(folder / "long.wav", samples, RATE, subtype="FLOAT")
    cut = {
        "id": "cut-7",
        "start": 0.25,
        "duration": 0.5,
        "channel": 0,
        "supervisions": [
            {"id": "s", "recording_id": "r", "start": 0.0, "duration": 0.5, "channel": 0, "text": "hello there"}
        ],
        "recording": {
            "id": "r",
            "sources": [{"type": "file", "channels": [0], "source": str(folder / "long.wav")}],
            "sampling_rate": RATE,
            "num_samples": RATE,
            "duration": 1.0,
        },
        "type": "MonoCut",
    }
    manifest = folder / "cuts.jsonl.gz"
    manifest.write_bytes(gzip.compress(json.dumps(cut).encode() + b"\n"))
    (source,) = find_sources([str(manifest)], RATE)
    assert isinstance(source.audio, Recording)
    assert (source.name, source.reference, source.audio.duration_s) == ("cut-7", "hello there", 0.5)
    (block,) = source.audio.blocks(RATE)
    np.testing.assert_allclose(block.numpy(), samples[RATE // 4 : RATE * 3 // 4], atol=1e-6)


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("nothing*.wav", "no file matches"),
        ("void", "holds no audio"),
        ("header.csv", "no rows"),
        ("other.csv", r"other\.csv:2: expected a file name in a column wav_filename"),
        ("absent.csv", "No such file"),
    ],
)
def test_what_names_no_recordings_is_a_mistake(folder, argument, reason):
    (folder / "void").mkdir()
    (folder / "header.csv").write_text("wav_filename,wav_filesize,transcript\n")
    (folder / "other.csv").write_text("path,text\nb.wav,one\n")
    with pytest.raises(UserError, match=reason):
        find_sources([str(folder / argument)], RATE)


def test_standard_input_is_read_once():
    with pytest.raises(UserError, match="twice"):
        find_sources(["-", "-"], RATE)
