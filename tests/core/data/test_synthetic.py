import csv
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from s2s_core.audio.espeak import variants
from s2s_core.data import synthetic
from s2s_core.data.synthetic import VOCABULARY, write_spoken_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    return folder, write_spoken_corpus(folder, seed=3, train=40, validation=8, test=12)


def test_splits_share_neither_sentences_nor_speakers(corpus):
    _, splits = corpus
    assert {name: len(utterances) for name, utterances in splits.items()} == {"train": 40, "validation": 8, "test": 12}
    for of in (lambda u: u.text, lambda u: u.speaker):
        kinds = [{of(u) for u in utterances} for utterances in splits.values()]
        assert len(set.union(*kinds)) == sum(len(kind) for kind in kinds)
    assert len({u.text for utterances in splits.values() for u in utterances}) == 60


def test_timbres_exist_and_are_disjoint():
    timbres = [*synthetic.TRAIN_VARIANTS, *synthetic.VALIDATION_VARIANTS, *synthetic.TEST_VARIANTS]
    assert len(timbres) == len(set(timbres))
    assert set(timbres) <= set(variants())


def test_recordings_are_16_bit_mono_speech_at_the_rate(corpus):
    _, splits = corpus
    for utterance in (u for utterances in splits.values() for u in utterances):
        info = soundfile.info(utterance.path)
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
        assert info.frames / 16000 == utterance.duration_s
        assert 0.8 < utterance.duration_s < 5
        samples, _ = soundfile.read(utterance.path)
        assert 0.01 < samples.std() < 0.4


def test_tables_have_the_originals_layout_and_a_speaker(corpus):
    folder, splits = corpus
    for split, utterances in splits.items():
        with (folder / f"{split}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0]) == ["wav_filename", "wav_filesize", "transcript", "speaker"]
        assert [row["transcript"] for row in rows] == [u.text for u in utterances]
        assert [row["speaker"] for row in rows] == [u.speaker for u in utterances]
        assert all((folder / row["wav_filename"]).stat().st_size == int(row["wav_filesize"]) for row in rows)


def test_sentences_use_the_vocabulary_and_all_of_it():
    sentences = synthetic._distinct_sentences(synthetic.random.Random(0), 1000)
    assert {word for sentence in sentences for word in sentence.split()} == set(VOCABULARY)
    assert all("a" <= c <= "z" or c == " " for sentence in sentences for c in sentence)
    assert 30 <= len(VOCABULARY) <= 70


def test_a_seed_repeats_to_the_byte_and_another_differs(corpus, tmp_path):
    folder, splits = corpus
    again = write_spoken_corpus(tmp_path / "again", seed=3, train=40, validation=8, test=12)
    for split, utterances in splits.items():
        for a, b in zip(utterances, again[split], strict=True):
            assert a.path.read_bytes() == b.path.read_bytes()
        assert (folder / f"{split}.csv").read_bytes() == (tmp_path / "again" / f"{split}.csv").read_bytes()
    other = write_spoken_corpus(tmp_path / "other", seed=4, train=2, validation=1, test=1)
    assert [u.text for u in other["train"]] != [u.text for u in splits["train"][:2]]


def test_more_sentences_than_the_grammar_has_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(synthetic, "_sentence", lambda rng: "go left")
    with pytest.raises(ValueError, match="about 1 distinct sentences, 3 were asked for"):
        write_spoken_corpus(tmp_path, train=1, validation=1, test=1)


@pytest.mark.parametrize("to_hz", [16000, 8000, 44100])
def test_resampling_keeps_a_tone(to_hz):
    def tone(rate):
        time = np.arange(rate) / rate
        return (np.hanning(rate) * np.sin(2 * np.pi * 1000 * time)).astype(np.float32)

    found = synthetic.resampled(tone(22050), 22050, to_hz)
    assert len(found) == to_hz
    time = np.arange(to_hz) / to_hz
    envelope = 0.5 - 0.5 * np.cos(2 * np.pi * time)
    np.testing.assert_allclose(found, envelope * np.sin(2 * np.pi * 1000 * time), atol=2e-3)


def test_making_speech_needs_no_torch():
    code = "import sys, s2s_core.data.synthetic; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
