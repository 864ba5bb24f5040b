import pytest

from s2s_core.text.normalise import normalise_text


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("  The   CAT\t sat\n", {}, "the cat sat"),
        ("The CAT", {"lower_case": False}, "The CAT"),
        ("It’s ‘so’", {}, "it's 'so'"),
        ("Hello, world!", {}, "hello, world!"),
        ("Hello, world! $5", {"strip_punctuation": True}, "hello world 5"),
        ("well-known — and/or", {"strip_punctuation": True}, "well known and or"),
        ("don't (stop)", {"strip_punctuation": True}, "don't stop"),
        ("don't stop", {"strip_punctuation": True, "keep": ""}, "dont stop"),
        ("a-b.", {"strip_punctuation": True, "keep": "-"}, "a-b"),
        ("Café Ångström ﬁn", {"fold_accents": True}, "cafe angstrom fin"),
        ("Café", {}, "café"),
        ("cafe\u0301", {}, "café"),
        ("...", {"strip_punctuation": True}, ""),
        ("", {}, ""),
    ],
)
def test_normalise_text(text, options, expected):
    assert normalise_text(text, **options) == expected


def test_once_is_enough():
    once = normalise_text("  Ünder—Score_d ‘QUOTE’ ", strip_punctuation=True, fold_accents=True)
    assert normalise_text(once, strip_punctuation=True, fold_accents=True) == once
