import pytest

from s2s_asr.prepare.vocabulary import train_sentencepiece
from s2s_core.errors import UserError
from s2s_core.text.tokenizers import SentencePieceTokenizer

TEXTS = [
    f"the café {('sea', 'house', 'dog')[i % 3]} is number {('one', 'two')[i % 2]}" + " ж" * (i == 7) for i in range(12)
]


def test_a_model_of_that_many_pieces_spells_every_character(tmp_path):
    train_sentencepiece(TEXTS, 24, tmp_path / "sentencepiece.model")
    tokenizer = SentencePieceTokenizer(str(tmp_path / "sentencepiece.model"))
    assert tokenizer.vocab_size == 24
    for text in TEXTS:
        assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize(("size", "reason"), [(5000, r"Vocabulary size too high \(5000\)"), (5, "Vocabulary size")])
def test_a_size_that_cannot_be_is_refused_with_the_reason(tmp_path, size, reason):
    with pytest.raises(UserError, match=f"--sentencepiece {size}: {reason}"):
        train_sentencepiece(TEXTS, size, tmp_path / "sentencepiece.model")
    assert not list(tmp_path.iterdir())
