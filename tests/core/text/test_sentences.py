import io
import pickle

import pytest
import sentencepiece

from s2s_core.errors import UserError
from s2s_core.text.sentences import BOS_ID, EOS_ID, PAD_ID, UNK_ID, SubwordTokenizer, WordTokenizer, clean_line

SENTENCES = ["Zwei junge Männer sind im Freien.", "two young men are outside", "the dog runs on the beach"] * 20


def train(path, **changed):
    model = io.BytesIO()
    settings = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3, "vocab_size": 60, "model_type": "bpe", **changed}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES), model_writer=model, minloglevel=2, **settings
    )
    path.write_bytes(model.getvalue())
    return str(path)


@pytest.fixture(scope="module")
def subwords(tmp_path_factory):
    return SubwordTokenizer(train(tmp_path_factory.mktemp("model") / "v.model"))


def test_clean_line_changes_nothing_that_is_seen():
    assert clean_line("  a\tb\u00a0 c \r\n") == "a b c"
    assert clean_line("cafe\u0301") == "caf\u00e9"
    assert clean_line("\ufeffa\u200bb\x00c\u200ed") == "abcd"
    assert clean_line("„It’s“ — GREAT…") == "„It’s“ — GREAT…"
    assert clean_line("می\u200cخواهم") == "می\u200cخواهم"  # a joiner that Persian spells with
    assert clean_line("line\u2028break\x85here") == "line break here"


def test_words():
    tokenizer = WordTokenizer(["α", "β"])
    assert tokenizer.vocab_size == 6
    assert tokenizer.encode(" β α  γ ") == [5, 4, UNK_ID]
    assert tokenizer.decode([BOS_ID, 5, 4, UNK_ID, EOS_ID, 4, PAD_ID]) == "β α <unk>"
    assert tokenizer.fingerprint() != WordTokenizer(["β", "α"]).fingerprint()
    for words, message in ((["a", "a"], "'a' more than once"), (["a b"], "without spaces"), ([""], "without spaces")):
        with pytest.raises(ValueError, match=message):
            WordTokenizer(words)


def test_subwords_round_trip_and_never_refuse(subwords):
    text = "two young Männer run"
    ids = subwords.encode(text)
    assert min(ids) > UNK_ID
    assert subwords.decode([BOS_ID, *ids, EOS_ID, 7, 8]) == text
    assert UNK_ID in subwords.encode("Ω dog")
    assert "".join(subwords.pieces(ids)).replace("\u2581", " ").strip() == text
    assert sum(subwords.is_word_start(ids, place) for place in range(len(ids))) == 4
    assert subwords.encode(" two\u00a0young  ") == subwords.encode("two young")


def test_a_checkpoints_copy_needs_no_file(subwords):
    copy = SubwordTokenizer("gone.model")
    assert not copy.is_ready
    for asked in (copy.fingerprint, lambda: copy.vocab_size, lambda: copy.encode("a")):
        with pytest.raises(UserError, match=r"gone\.model: no such vocabulary"):
            asked()
    copy.load_assets(subwords.assets())
    assert copy.is_ready
    assert copy.fingerprint() == subwords.fingerprint()
    assert copy.encode("two dogs") == subwords.encode("two dogs")
    assert pickle.loads(pickle.dumps(copy)).encode("two dogs") == subwords.encode("two dogs")


def test_a_model_with_other_special_tokens_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"are pieces \(-1, 1, 2, 0\), expected \(0, 1, 2, 3\)"):
        SubwordTokenizer(train(tmp_path / "plain.model", pad_id=-1, unk_id=0))
    (tmp_path / "text.model").write_text("no model")
    with pytest.raises(UserError, match="not a SentencePiece model"):
        SubwordTokenizer(str(tmp_path / "text.model"))


def test_normalisation_is_part_of_the_model(tmp_path):
    folding = SubwordTokenizer(train(tmp_path / "cf.model", normalization_rule_name="nmt_nfkc_cf"))
    assert folding.encode("THE DOG") == folding.encode("the dog")
    assert folding.fingerprint() != SubwordTokenizer(train(tmp_path / "id.model")).fingerprint()
