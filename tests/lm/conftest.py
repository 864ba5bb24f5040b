"""Small language models and prepared text for the tests of this package."""

import functools

import pytest
import torch

from s2s_lm.data import LmData
from s2s_lm.decoders.linear import LinearDecoder
from s2s_lm.encoders.recurrent import AwdDropout, AwdLstmEncoder
from s2s_lm.losses.cross_entropy import CrossEntropy
from s2s_lm.prepare.run import PrepareOptions, VocabularyOptions, prepare_text
from s2s_lm.task import LanguageModeling
from s2s_lm.tokenizers import VocabularyTokenizer

SENTENCES = ["the cat sat on the mat", "a dog ran", "", "the dog sat", "the cat ran on a mat and a dog sat on it"]


@pytest.fixture
def prepared(tmp_path):
    (tmp_path / "train.txt").write_text("\n".join(SENTENCES * 12) + "\n")
    (tmp_path / "valid.txt").write_text("\n".join(SENTENCES * 3) + "\n")
    (tmp_path / "test.txt").write_text("the cat sat\non a zebra\n")
    splits = {
        name: [tmp_path / f"{file}.txt"]
        for name, file in (("train", "train"), ("validation", "valid"), ("test", "test"))
    }
    prepare_text(splits, tmp_path / "data", PrepareOptions(VocabularyOptions()))
    return tmp_path / "data"


@pytest.fixture
def make_task(prepared):
    def make(dropout=True, lr=0.01, encoder=None, optimizer=torch.optim.SGD, penalties=(2.0, 1.0)):
        torch.manual_seed(0)
        tokenizer = VocabularyTokenizer(str(prepared / "vocab.txt"))
        drop = AwdDropout(0.1, 0.2, 0.2, 0.2, 0.3) if dropout else AwdDropout(0.0, 0.0, 0.0, 0.0, 0.0)
        vocab = tokenizer.vocab_size
        encoder = encoder or AwdLstmEncoder(
            vocab, 8, 10, 2, dropout=drop, activation_penalty=penalties[0], temporal_penalty=penalties[1]
        )
        decoder = LinearDecoder(encoder.out_features, vocab)
        return LanguageModeling(encoder, decoder, CrossEntropy(), tokenizer, functools.partial(optimizer, lr=lr))

    return make


@pytest.fixture
def make_data(prepared):
    def make(**options):
        files = {split: str(prepared / f"{split}.arrow") for split in ("train", "validation", "test")}
        return LmData(**files, predict=files["test"], **{"batch_size": 3, "segment_length": 7, **options})

    return make
