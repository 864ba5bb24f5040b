import gzip
import math
from pathlib import Path

import pytest

from s2s_core.decoding.arpa import ArpaScorer
from s2s_core.decoding.arpa_text import binary_words, is_plain, unigram_words, write_plain
from s2s_core.errors import UserError
from s2s_core.testing import shared_data

ARPA = (
    "\\data\\\nngram 1=3\nngram 2=1\n\n\\1-grams:\n-1\t<s>\t-0.5\n-2\t</s>\n-1.5\tÄB\t-0.2\n\n"
    "\\2-grams:\n-0.5\t<s> ÄB\n\n\\end\\\n"
)
NOISE = "A toolkit\n  \\data\\ here\n\\1-grams:\np word\n"


def test_words_are_read_behind_whatever_stands_before_the_data(tmp_path):
    (tmp_path / "noisy.arpa").write_text(NOISE + ARPA)
    with gzip.open(tmp_path / "packed.arpa.gz", "wt") as file:
        file.write(ARPA)
    assert unigram_words(tmp_path / "noisy.arpa") == unigram_words(tmp_path / "packed.arpa.gz") == ["<s>", "</s>", "ÄB"]
    assert not is_plain(tmp_path / "noisy.arpa")
    assert not is_plain(tmp_path / "packed.arpa.gz")


def test_a_plain_copy_differs_by_the_noise_and_the_words_alone(tmp_path):
    source, target = tmp_path / "noisy.arpa", tmp_path / "plain.arpa"
    source.write_text(NOISE + ARPA)
    write_plain(source, target)
    assert target.read_text() == ARPA
    assert is_plain(target)
    write_plain(source, target, str.lower)
    assert target.read_text() == ARPA.replace("Ä", "ä").replace("B", "b")


def test_binaries_end_with_their_words(tmp_path):
    path = tmp_path / "model.binary"
    path.write_bytes(b"mmap lm http://kheafield.com\0\1\2<unk>\0\3" + "<unk>\0<s>\0</s>\0größe\0".encode())
    assert binary_words(path) == ["<unk>", "<s>", "</s>", "größe"]
    path.write_bytes(b"mmap lm\0\1\2\3\4")
    assert binary_words(path) is None


@pytest.mark.parametrize("read", [unigram_words, binary_words])
def test_what_cannot_be_read_is_named(read, tmp_path):
    with pytest.raises(UserError, match="absent: No such file"):
        read(tmp_path / "absent")
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(UserError, match="empty"):
        read(tmp_path / "empty")


@pytest.mark.parametrize("read", [unigram_words, ArpaScorer.load])
@pytest.mark.parametrize("harm", ["cut off", "scrambled"])
def test_a_broken_archive_is_named(read, harm, tmp_path):
    path = tmp_path / "broken.arpa.gz"
    words = "".join(f"-{number / 7:.5f}\tword{number}\n" for number in range(1000))
    whole = gzip.compress(f"\\data\\\nngram 1=1000\n\n\\1-grams:\n{words}\n\\end\\\n".encode())
    path.write_bytes(whole[:100] if harm == "cut off" else whole[:10] + b"\xff" * 50 + whole[60:])
    with pytest.raises(UserError, match=r"broken\.arpa\.gz: "):
        read(path)


def test_the_model_of_an4_is_read():
    path: Path = shared_data("lm", "arpa", "an4_full.trigram.lm")
    words = unigram_words(path)
    assert len(words) == 102
    assert {"<s>", "</s>", "zero", "apostrophe"} <= set(words)


def test_kenlm_reads_the_plain_copy_of_a_real_file_with_noise(tmp_path):
    kenlm = pytest.importorskip("kenlm", reason="the package kenlm is not installed")
    source, target = shared_data("lm", "arpa", "an4_full.trigram.lm"), tmp_path / "plain.arpa"
    assert not is_plain(source)
    write_plain(source, target)
    assert is_plain(target)
    theirs, ours = kenlm.Model(str(target)), ArpaScorer.load(source)
    for line in ("enter four five", "r u b o u t z e b r a"):
        assert theirs.score(line, bos=True, eos=True) == pytest.approx(
            ours.score([ours.encode(line)])[0] / math.log(10), abs=1e-4
        )
