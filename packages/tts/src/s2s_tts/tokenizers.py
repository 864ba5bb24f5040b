"""Texts to what a synthesiser reads: characters or phonemes, and a mark at the end."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal

from s2s_core.audio.espeak import phonemes
from s2s_core.text.normalise import normalise_text
from s2s_core.text.tokenizers import Tokenizer
from s2s_tts.text.english import normalise_english

LABELS = " abcdefghijklmnopqrstuvwxyz'\"!(),-.:;?"
"""English letters and the punctuation that shapes how a sentence is read."""
IPA = " aàáâbcdefhijklmnoprstuvwxyzæçðøħŋœǀɐɑɒɓɔɕɖɗəɚɛɜɟɡɢɣɤɥɦɨɪɫɬɭɮɯɰɱɲɳɵɸɹɺɻɽɾʀʁʂʃʈʉʊʋʌʍʎʏʐʑʒʔʕʘʙʝʟʰʲˈˌːˑ̝̞̥̩̪̃̊θχβᵻʷ"
"""The letters in which eSpeak NG writes phonemes."""
PUNCTUATION = "!,-.:;?"

Normaliser = Literal["english", "none"]
"""How numbers, dates, abbreviations and the like become words: see `normalise_english`."""


class SpeechTokenizer(Tokenizer):
    """Characters of a spelling, and one last label that marks the end of the text, as in OpenSeq2Seq (``pad_EOS``).

    Args:
        labels: the characters; the end's number is the one after the last of them.
        normaliser: what is done before spelling.
    """

    def __init__(self, labels: str, normaliser: Normaliser) -> None:
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice or not labels:
            raise ValueError(f"labels must be characters, each once; more than once: {twice}")
        if normaliser not in ("english", "none"):
            raise ValueError(f"normaliser must be 'english' or 'none', got {normaliser!r}")
        self.labels = labels
        self.normaliser: Normaliser = normaliser
        self.vocab_size = len(labels) + 1
        self._ids = {label: number for number, label in enumerate(labels)}

    @property
    def end(self) -> int:
        """The label after every text."""
        return len(self.labels)

    @abstractmethod
    def spell(self, text: str) -> str:
        """Normalised text in the tokenizer's letters."""

    def normalise(self, text: str) -> str:
        return " ".join((normalise_english(text) if self.normaliser == "english" else text).split())

    def encode(self, text: str) -> list[int]:
        text = self.normalise(text)
        spelt = self.spell(text)
        unknown = sorted(set(spelt) - set(self.labels))
        if unknown:
            raise ValueError(f"unknown characters {' '.join(map(repr, unknown))} in {text!r}")
        if not spelt.strip():
            raise ValueError(f"nothing to say in {text!r}")
        return [*(self._ids[character] for character in spelt), self.end]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self.labels[number] for number in ids if number != self.end)

    def is_word_start(self, ids: Sequence[int], index: int) -> bool:
        if ids[index] == self.end or self.labels[ids[index]].isspace():
            return False
        return index == 0 or self.labels[ids[index - 1]].isspace()


class CharacterTokenizer(SpeechTokenizer):
    """Lower-case letters and punctuation; accents are folded, punctuation that has no label is left out.

    Args:
        labels: the characters in the order of their numbers.
        normaliser: see `Normaliser`.
    """

    def __init__(self, labels: str = LABELS, normaliser: Normaliser = "english") -> None:
        super().__init__(labels, normaliser)

    def spell(self, text: str) -> str:
        folded = normalise_text(text, strip_punctuation=True, fold_accents=True, keep=self.labels)
        return re.sub(r"\s+", " ", folded).strip()


class PhonemeTokenizer(SpeechTokenizer):
    """The phonemes of eSpeak NG in the International Phonetic Alphabet, stress marks and punctuation among them.

    Args:
        voice: the language or accent, as eSpeak NG calls it.
        labels: the letters in the order of their numbers.
        normaliser: see `Normaliser`; eSpeak NG reads numbers by itself.
    """

    def __init__(self, voice: str = "en-us", labels: str = IPA + PUNCTUATION, normaliser: Normaliser = "none") -> None:
        super().__init__(labels, normaliser)
        self.voice = voice

    def spell(self, text: str) -> str:
        # the library drops punctuation, so clauses are spoken one by one
        pieces = re.split(rf"([{re.escape(PUNCTUATION)}]+(?=\s|$))", text)
        spelt = "".join(
            piece if place % 2 else f" {phonemes(piece, self.voice)}" if piece.strip() else " "
            for place, piece in enumerate(pieces)
        )
        return re.sub(r"\s+", " ", spelt).strip()
