"""Characters and phonemes of texts, each with the mark of the end."""

import pytest

from s2s_core.testing import shared_data
from s2s_tts.tokenizers import CharacterTokenizer, PhonemeTokenizer


def test_characters_are_normalised_spelt_and_ended():
    tokenizer = CharacterTokenizer()
    ids = tokenizer.encode("Dr. Ny\u00e9's 27 [best] caf\u00e9s \u2013 really?")
    assert ids[-1] == tokenizer.end == tokenizer.vocab_size - 1
    assert tokenizer.decode(ids) == "doctor nye's twenty-seven best cafes really?"
    assert [i for i in range(len(ids)) if tokenizer.is_word_start(ids, i)] == [0, 7, 13, 26, 31, 37]
    assert CharacterTokenizer(normaliser="none", labels="ab ").encode("A b") == [0, 2, 1, 3]


def test_what_has_no_label_is_named():
    with pytest.raises(ValueError, match=r"'\u0436' in"):
        CharacterTokenizer().encode("ab \u0436")
    with pytest.raises(ValueError, match="nothing to say"):
        CharacterTokenizer().encode(" \u2026 ".replace("\u2026", "[]"))


def test_phonemes_keep_stress_and_punctuation():
    tokenizer = PhonemeTokenizer()
    assert (
        tokenizer.spell("Hello, world! It is 7.")
        == "h\u0259l\u02c8o\u028a, w\u02c8\u025c\u02d0ld! \u026a\u027e \u026az s\u02c8\u025bv\u0259n."
    )
    ids = tokenizer.encode("Hello, world!")
    assert tokenizer.decode(ids) == tokenizer.spell("Hello, world!")


def test_every_text_of_lj_speech_can_be_spelt():
    lines = shared_data("LJSpeech-1.1", "metadata.csv").read_text(encoding="utf-8").splitlines()
    characters, phones = CharacterTokenizer(), PhonemeTokenizer()
    for line in lines[:80]:
        _, raw, normalised = line.split("|")
        assert len(characters.encode(raw)) > 3
        assert len(phones.encode(normalised)) > 3


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="'a'"):
        CharacterTokenizer("aba")
    with pytest.raises(ValueError, match="'german'"):
        CharacterTokenizer(normaliser="german")
