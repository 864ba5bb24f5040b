import pytest

from s2s_core.errors import UserError
from s2s_lm.prepare.run import PrepareOptions, VocabularyOptions, prepare_text
from s2s_lm.tokenizers import SubwordLmTokenizer, VocabularyTokenizer, vocabulary_file


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
