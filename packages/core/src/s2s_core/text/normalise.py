"""Transcripts as written to transcripts as a recogniser spells them."""

from __future__ import annotations

import re
import unicodedata

_APOSTROPHES = str.maketrans({"\u2019": "'", "\u2018": "'", "\u02bc": "'", "\u00b4": "'", "\u0060": "'"})


def normalise_text(
    text: str,
    lower_case: bool = True,
    strip_punctuation: bool = False,
    fold_accents: bool = False,
    keep: str = "'",
) -> str:
    """Return ``text`` in Unicode NFC with single spaces, none at either end, and typographic apostrophes as ``'``.

    Args:
        text: a transcript.
        lower_case: as Unicode does it.
        strip_punctuation: punctuation and symbols go, dashes and slashes become spaces ("well-known": "well known").
        fold_accents: "café": "cafe", by compatibility decomposition, as OpenSeq2Seq's LibriSpeech importer does;
            letters that do not decompose stay.
        keep: characters that ``strip_punctuation`` leaves alone.
    """
    text = text.translate(_APOSTROPHES)
    if fold_accents:
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(character for character in decomposed if not unicodedata.combining(character))
    if lower_case:
        text = text.lower()
    if strip_punctuation:
        text = "".join(_without_punctuation(character, keep) for character in text)
    text = unicodedata.normalize("NFC", text)
    return re.sub(r"\s+", " ", text).strip()


def _without_punctuation(character: str, keep: str) -> str:
    if character in keep:
        return character
    category = unicodedata.category(character)
    if category == "Pd" or character in "/\\_":
        return " "
    return "" if category[0] in "PS" else character
