from types import SimpleNamespace

import pytest

from s2s_asr.cli.fusion import fuse
from s2s_asr.decoders.attention import AttentionDecoder
from s2s_asr.decoders.ctc import CtcDecoder
from s2s_asr.decoders.joint import JointDecoder
from s2s_core.decoding import scoring
from s2s_core.errors import UserError
from s2s_core.text.tokenizers import CharTokenizer


class Scorer:
    begin_id, end_id, vocab_size = 101, 100, 128

    def __init__(self, letters):
        self.letters = letters

    def encode(self, text):
        return [self.letters.index(letter) for letter in text if letter in self.letters]


def transcriber(decoder):
    return SimpleNamespace(decoder=decoder, device="cpu", task=SimpleNamespace(tokenizer=CharTokenizer()))


def options(**changed):
    return SimpleNamespace(**{"fuse": "lm.ckpt", "fuse_weight": 0.4, **changed})


@pytest.fixture
def scorer(monkeypatch):
    made = Scorer(" abcdefghijklmnopqrstuvwxyz'")
    monkeypatch.setattr(scoring, "load_scorer", lambda path, device: made)
    return made


def joint():
    return JointDecoder(AttentionDecoder(4, CharTokenizer().vocab_size))


def test_the_language_model_takes_part(scorer):
    decoder = joint()
    fuse(transcriber(decoder), options())
    (model,) = decoder.search.language_models
    assert (model.scorer, model.weight) == (scorer, 0.4)
    labels = [CharTokenizer().decode([label]) for label in range(CharTokenizer().vocab_size)]
    assert model.ids == [*(scorer.letters.index(label) for label in labels), 100]


def test_without_the_option_nothing_changes():
    decoder = joint()
    fuse(transcriber(decoder), options(fuse=None))
    assert decoder.search.language_models == []


def test_what_does_not_fit_is_named(scorer):
    with pytest.raises(UserError, match="this model has a CtcDecoder"):
        fuse(transcriber(CtcDecoder(4, 28)), options())
    with pytest.raises(UserError, match="--fuse-weight is -1"):
        fuse(transcriber(joint()), options(fuse_weight=-1.0))
    scorer.letters = scorer.letters.replace("q", "")
    with pytest.raises(UserError, match="0 tokens for 'q'"):
        fuse(transcriber(joint()), options())
