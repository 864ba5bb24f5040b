import zlib

import pytest

from s2s_core.errors import UserError
from s2s_lm.prepare.run import PrepareOptions, VocabularyOptions, prepare_text
from s2s_lm.tokenizers import SpelledTokenizer, SubwordLmTokenizer, VocabularyTokenizer, vocabulary_file


def write(path, entries):
    path.write_bytes(vocabulary_file(["<eos>", "<unk>", *entries], range(len(entries) + 2)))
    return str(path)


def test_odd_characters_survive_the_file(tmp_path):
    odd = ["\t", "\\", "\\t", "\u2028", "\x85", "é", " ", "\x0b", "\r"]
    tokenizer = VocabularyTokenizer(write(tmp_path / "vocab.txt", odd), "characters")
    assert tokenizer.entries[2:] == odd
    again = VocabularyTokenizer("absent.txt", "characters")
    assert not again.is_ready
    with pytest.raises(UserError, match=r"absent\.txt: no such vocabulary"):
        _ = again.vocab_size
    again.load_assets(tokenizer.assets())
    assert again.fingerprint() == tokenizer.fingerprint()
    assert again.vocab_size == 11


def test_words(tmp_path):
    tokenizer = VocabularyTokenizer(
        write(tmp_path / "v.txt", ["the", "cat", "."]), lower_case=True, split_punctuation=True
    )
    assert tokenizer.encode("The cat.<br /> Dog") == [2, 3, 4, 1]
    assert tokenizer.decode([2, 3, 0, 1]) == "the cat\n<unk>"
    assert tokenizer.words_of() == [1] * 5
    assert tokenizer.characters_of() == [0, 6, 4, 4, 2]
    with pytest.raises(UserError, match="first two lines"):
        tokenizer.load_assets({"vocab.txt": b"the\ncat\n"})


def test_subwords_count_words_and_characters_of_the_text(tmp_path):
    lines = ["the cat sat on the mat", "a dog ran", "the dog sat on a mat"] * 20
    (tmp_path / "train.txt").write_text("\n".join(lines) + "\n")
    options = PrepareOptions(VocabularyOptions("subwords", 19))
    prepare_text({"train": [tmp_path / "train.txt"]}, tmp_path / "data", options)
    tokenizer = SubwordLmTokenizer(str(tmp_path / "data" / "tokenizer.model"))
    words, characters = tokenizer.words_of(), tokenizer.characters_of()
    for line in lines[:3]:
        ids = [*tokenizer.encode(line), tokenizer.eos_id]
        assert len(ids) > len(line.split()) + 1
        assert sum(words[i] for i in ids) == len(line.split()) + 1
        assert sum(characters[i] for i in ids) == len(line) + 1
        assert tokenizer.decode(ids[:-1]) == line


def test_words_are_spelt(tmp_path):
    (tmp_path / "vocab.txt").write_text("<eos>\t9\n<unk>\t0\nfunny\t3\na\t2\n")
    tokenizer = SpelledTokenizer(str(tmp_path / "vocab.txt"), buckets=1000, lower_case=True)
    assert (tokenizer.words, tokenizer.vocab_size) == (4, 1004)
    ids = tokenizer.encode("A funny funnily")
    spelt = ["<fu", "fun", "unn", "nny", "ny>", "<fun", "funn", "unny", "nny>", "<funn", "funny", "unny>"]
    numbers = [4 + zlib.crc32(ngram.encode()) % 1000 for ngram in spelt]
    assert ids[:14] == [3, 2, *numbers]  # "<a>" is a whole word and no n-gram of it
    assert ids[14] == tokenizer.unk_id
    assert set(ids[15:]) & set(numbers) == {numbers[i] for i in (0, 1, 2, 5, 6, 9)}
    assert tokenizer.decode(ids) == "a funny <unk>"
    assert "".join(map(tokenizer.shown, ids)) == "a funny <unk> "
    assert [i for i in range(len(ids)) if tokenizer.is_word_start(ids, i)] == [0, 1, 14]
    assert sum(tokenizer.words_of()[i] for i in ids) == 3
    assert sum(tokenizer.characters_of()[i] for i in ids[:14]) == len("a funny ")
    plain = VocabularyTokenizer(str(tmp_path / "vocab.txt"), lower_case=True)
    other = SpelledTokenizer(str(tmp_path / "vocab.txt"), buckets=1000, longest=6, lower_case=True)
    assert len({each.fingerprint() for each in (plain, tokenizer, other)}) == 3
    again = SpelledTokenizer("absent.txt", buckets=1000, lower_case=True)
    again.load_assets(tokenizer.assets())
    assert again.encode("A funny funnily") == ids
    for wrong in ({"buckets": 0}, {"shortest": 0}, {"shortest": 4, "longest": 3}):
        with pytest.raises(ValueError, match="buckets"):
            SpelledTokenizer(str(tmp_path / "vocab.txt"), **wrong)
