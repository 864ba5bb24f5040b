import io
import pickle

import pytest
import sentencepiece

from s2s_core.errors import UserError
from s2s_core.text.tokenizers import CharTokenizer, SentencePieceTokenizer

SENTENCES = [
    "the cat sat on the mat",
    "a dog barked at the cat",
    "it's a long way to the sea",
    "the sea was calm and the day was long",
] * 20


@pytest.fixture(scope="module")
def model_file(tmp_path_factory) -> str:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES), model_writer=model, vocab_size=34, character_coverage=1.0, minloglevel=2
    )
    path = tmp_path_factory.mktemp("pieces") / "pieces.model"
    path.write_bytes(model.getvalue())
    return str(path)


def words(tokenizer, text: str) -> list[str]:
    ids = tokenizer.encode(text)
    starts = [i for i in range(len(ids)) if tokenizer.is_word_start(ids, i)]
    return [tokenizer.decode(ids[a:b]).strip() for a, b in zip(starts, [*starts[1:], len(ids)], strict=True)]


def test_default_labels_are_openseq2seqs():
    tokenizer = CharTokenizer()
    assert tokenizer.vocab_size == 28
    assert tokenizer.encode(" a z'") == [1, 0, 26, 27]
    assert tokenizer.decode(range(28)) == " abcdefghijklmnopqrstuvwxyz'"


def test_characters_round_trip_normalised():
    tokenizer = CharTokenizer()
    assert tokenizer.decode(tokenizer.encode("  It’s \t LATE\n")) == "it's late"


def test_unknown_characters_are_named_with_the_text():
    with pytest.raises(ValueError, match=r"unknown characters '!' '4' in 'a4 b!'"):
        CharTokenizer().encode("a4 B!")
    assert CharTokenizer(strip_punctuation=True).encode("b!") == [2]
    with pytest.raises(ValueError, match="unknown characters 'B'"):
        CharTokenizer(lower_case=False).encode("aB")


def test_other_labels():
    tokenizer = CharTokenizer("жа !", lower_case=False, strip_punctuation=True)
    assert tokenizer.vocab_size == 4
    assert tokenizer.encode("жа, а!") == [0, 1, 2, 1, 3]
    with pytest.raises(ValueError, match="'a' more than once"):
        CharTokenizer("abca")
    with pytest.raises(ValueError, match="at least one"):
        CharTokenizer("")


def test_word_starts_of_characters():
    assert words(CharTokenizer(), "the cat's mat") == ["the", "cat's", "mat"]
    tokenizer = CharTokenizer()
    ids = [0, 1, 0, 0, 2, 3]  # " a  bc", as a recogniser may spell it
    assert [tokenizer.is_word_start(ids, i) for i in range(6)] == [False, True, False, False, True, False]


def test_description_rebuilds():
    described = CharTokenizer(strip_punctuation=True).describe()
    assert described["class_path"] == "s2s_core.text.tokenizers.CharTokenizer"
    assert CharTokenizer(**described["init_args"]).strip_punctuation
    assert CharTokenizer().assets() == {}


def test_pieces_round_trip(model_file):
    tokenizer = SentencePieceTokenizer(model_file)
    assert tokenizer.vocab_size == 34
    for text in SENTENCES[:4]:
        ids = tokenizer.encode(text.upper())
        assert tokenizer.decode(ids) == text
        assert len(ids) < len(text)
        assert words(tokenizer, text) == text.split()


def test_unknown_pieces_are_named(model_file):
    with pytest.raises(ValueError, match="unknown characters 'ж' 'я' in 'the жя cat'"):
        SentencePieceTokenizer(model_file).encode("the жя cat")


def test_pieces_travel_as_assets(model_file, tmp_path):
    assets = SentencePieceTokenizer(model_file).assets()
    rebuilt = SentencePieceTokenizer(str(tmp_path / "gone.model"))
    with pytest.raises(UserError, match=r"gone\.model: no such file; `prepare"):
        rebuilt.encode("the cat")
    assert rebuilt.assets() == {}
    rebuilt.load_assets(assets)
    assert rebuilt.decode(rebuilt.encode("the cat")) == "the cat"
    assert rebuilt.assets() == assets
    copied = pickle.loads(pickle.dumps(rebuilt))
    assert copied.encode("the cat") == rebuilt.encode("the cat")


def test_a_file_that_is_no_model(tmp_path):
    (tmp_path / "bad.model").write_bytes(b"nothing of the kind")
    with pytest.raises(UserError, match=r"bad\.model: not a SentencePiece model"):
        SentencePieceTokenizer(str(tmp_path / "bad.model"))
