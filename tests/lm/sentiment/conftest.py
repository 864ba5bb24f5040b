"""A small classifier and prepared reviews."""

import functools
import random

import pytest
import torch

from s2s_lm.made_up import review
from s2s_lm.sentiment.corpora import Labelled
from s2s_lm.sentiment.data import ClassificationData
from s2s_lm.sentiment.decoders import PooledClassifier
from s2s_lm.sentiment.encoders import BidirectionalEncoder
from s2s_lm.sentiment.prepare import TextOptions, prepare_texts
from s2s_lm.sentiment.task import SentimentClassification
from s2s_lm.tokenizers import VocabularyTokenizer


@pytest.fixture
def reviews(tmp_path):
    draw = random.Random(0)
    splits = {
        split: [Labelled(f"{split}:{i}", *review(draw)) for i in range(count)]
        for split, count in (("train", 120), ("validation", 21), ("test", 23))
    }
    prepare_texts(splits, tmp_path / "reviews", TextOptions())
    return tmp_path / "reviews"


@pytest.fixture
def make_classifier(reviews):
    def make(encoder=None, pooling="mean", lr=0.02, **options):
        torch.manual_seed(0)
        tokenizer = VocabularyTokenizer(str(reviews / "vocab.txt"), lower_case=True)
        encoder = encoder or BidirectionalEncoder(tokenizer.vocab_size, 8, 8, dropout=0.0)
        decoder = PooledClassifier(encoder.out_features, 2, pooling, encoder.final_features)
        optimizer = functools.partial(torch.optim.Adam, lr=lr)
        return SentimentClassification(encoder, decoder, tokenizer, optimizer, ["negative", "positive"], **options)

    return make


@pytest.fixture
def make_reviews(reviews):
    def make(**options):
        files = {split: str(reviews / f"{split}.arrow") for split in ("train", "validation", "test")}
        return ClassificationData(**files, predict=files["test"], **{"batch_size": 8, **options})

    return make
