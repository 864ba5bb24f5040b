import functools
import json

import pytest
import torch
from lightning.pytorch import Callback, Trainer

from s2s_core.checkpoint import SECTION, section_of
from s2s_core.errors import UserError
from s2s_lm.decoders.linear import LinearDecoder
from s2s_lm.encoders.recurrent import AwdDropout, AwdLstmEncoder
from s2s_lm.losses.cross_entropy import CrossEntropy
from s2s_lm.sentiment.classifier import SentimentClassifier
from s2s_lm.sentiment.corpora import Labelled
from s2s_lm.sentiment.data import ClassificationData
from s2s_lm.sentiment.decoders import PooledClassifier
from s2s_lm.sentiment.encoders import BidirectionalEncoder, LanguageModelEncoder
from s2s_lm.sentiment.interfaces import ClassificationBatch
from s2s_lm.sentiment.prepare import TextOptions, prepare_texts
from s2s_lm.sentiment.task import FineTuning, SentimentClassification, divergence
from s2s_lm.sentiment.transfer import load_language_model
from s2s_lm.task import LanguageModeling
from s2s_lm.tokenizers import SpelledTokenizer, VocabularyTokenizer, vocabulary_file

SPELT = [(word, label) for label, stem in (("positive", "glad"), ("negative", "sad")) for word in (stem, f"{stem}den")]


def trainer(folder, **options):
    return Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **options,
    )


def body(vocab, size=6):
    return AwdLstmEncoder(vocab, size, 7, 2, dropout=AwdDropout(0.0, 0.0, 0.0, 0.0, 0.0))


def test_learns_and_classifies_alike_in_any_batch(make_classifier, make_reviews, tmp_path):
    task, run = make_classifier(), trainer(tmp_path, max_epochs=6)
    run.fit(task, make_reviews())
    found = [trainer(tmp_path).test(task, make_reviews(batch_size=n), verbose=False)[0] for n in (1, 5, 23)]
    assert found[0]["test/accuracy"] > 0.9
    for other in found[1:]:
        assert other == pytest.approx(found[0], rel=1e-5)
    run.save_checkpoint(tmp_path / "model.ckpt")
    classifier = SentimentClassifier.load(tmp_path / "model.ckpt")
    texts = ["the film is moving and warm .", "the script is dull and cold , and the cast is tired and noisy ."]
    together = classifier.classify(texts)
    assert [one.label for one in together] == ["positive", "negative"]
    for text, one in zip(texts, together, strict=True):
        assert classifier.classify([text])[0].probabilities == pytest.approx(one.probabilities, abs=1e-6)
        assert sum(one.probabilities.values()) == pytest.approx(1)
    data = make_reviews()
    rows = [row for batch in trainer(tmp_path).predict(task, data) for row in batch]
    assert sorted(int(row["id"]) for row in rows) == list(range(1, 24))


def test_spelling_tells_words_apart_that_are_not_in_the_vocabulary(tmp_path):
    rows = [Labelled(f"{i}", f"it is {word}", label) for i, (word, label) in enumerate(SPELT * 40)]
    test = [Labelled("0", "it is gladly", "positive"), Labelled("1", "it is sadly", "negative")]
    options = TextOptions(spelling=1000)
    prepare_texts({"train": rows, "validation": test, "test": test}, tmp_path / "spelt", options)
    summary = json.loads((tmp_path / "spelt" / "summary.json").read_text())
    assert summary["unknown"] == {"train": 0.0, "validation": pytest.approx(1 / 3), "test": pytest.approx(1 / 3)}
    tokenizer = SpelledTokenizer(str(tmp_path / "spelt" / "vocab.txt"), 1000, lower_case=True)
    torch.manual_seed(0)
    encoder = BidirectionalEncoder(tokenizer.vocab_size, 8, 8, dropout=0.0, word_dropout=0.5, ngrams=1000)
    optimizer = functools.partial(torch.optim.Adam, lr=0.02)
    labels = ["negative", "positive"]
    task = SentimentClassification(encoder, PooledClassifier(16, 2, "mean"), tokenizer, optimizer, labels)
    files = {split: str(tmp_path / "spelt" / f"{split}.arrow") for split in ("train", "validation", "test")}
    run = trainer(tmp_path, max_epochs=6)
    run.fit(task, ClassificationData(**files, batch_size=8))
    assert run.test(task, ClassificationData(**files), verbose=False)[0]["test/accuracy"] == 1
    run.save_checkpoint(tmp_path / "spelt.ckpt")
    found = SentimentClassifier.load(tmp_path / "spelt.ckpt").classify(["it is sadly", "it is gladly"])
    assert [one.label for one in found] == ["negative", "positive"]
    task.encoder.ngrams = 100
    with pytest.raises(UserError, match="ngrams is 100, but the tokenizer has 1000"):
        task.setup("test")


def test_consistency_is_half_of_both_divergences_and_nothing_without_dropout(make_classifier):
    logits, others = torch.randn(2, 5, 3, dtype=torch.float64)
    p, q = (x.softmax(1) for x in (logits, others))
    expected = [sum(a * (a / b).log() + b * (b / a).log() for a, b in zip(*pair, strict=True)) / 2
                for pair in zip(p, q, strict=True)]  # fmt: skip
    torch.testing.assert_close(divergence(logits, others), torch.stack(expected))
    tokens, labels = torch.randint(1, 9, (4, 6)), torch.tensor([0, 1, 1, 0])
    batch = ClassificationBatch(tokens, [6, 5, 4, 3], labels, ["1", "2", "3", "4"])
    seen = []
    for consistency in (0.0, 2.0):
        task = make_classifier(consistency=consistency).train()
        task.normalised = lambda loss: loss.mean
        seen.append(task.training_step(batch, 0))
    torch.testing.assert_close(seen[0], seen[1])
    encoder = BidirectionalEncoder(make_classifier().encoder.vocab_size, 8, 8, dropout=0.5)
    losses = []
    for consistency in (0.0, 2.0):
        task = make_classifier(encoder, consistency=consistency).train()
        task.normalised = lambda loss: loss.mean
        torch.manual_seed(1)
        losses.append(task.training_step(batch, 0).item())
    assert losses[1] != losses[0]
    with pytest.raises(ValueError, match="consistency"):
        make_classifier(consistency=-1.0)


def test_layers_thaw_from_the_classifier_down_and_learn_at_their_own_rates(make_classifier, make_reviews, tmp_path):
    vocab = make_classifier().encoder.vocab_size
    encoder = LanguageModelEncoder(body(vocab))
    task = make_classifier(encoder, fine_tuning=FineTuning(rate_decay=0.5, unfreeze_epochs=1), lr=0.08)
    seen = []

    class Watch(Callback):
        def on_train_epoch_end(self, trainer, module):
            now = [[p.detach().clone() for p in layer] for layer in module._layers()]
            seen.append(now)

    start = [[p.detach().clone() for p in layer] for layer in task._layers()]
    run = trainer(tmp_path, max_epochs=3, callbacks=[Watch()])
    run.fit(task, make_reviews())
    for epoch, now in enumerate(seen):
        before = start if epoch == 0 else seen[epoch - 1]
        moved = [
            any(not torch.equal(a, b) for a, b in zip(*pair, strict=True)) for pair in zip(before, now, strict=True)
        ]
        assert moved == [depth <= epoch for depth in range(4)]
    assert [group["lr"] for group in run.optimizers[0].param_groups] == pytest.approx([0.08, 0.04, 0.02, 0.01])


@pytest.fixture
def language_model(tmp_path):
    """A checkpoint whose vocabulary knows some of the reviews' words, in another order."""
    words = ["warm", "film", "nowhere", "dull", "the"]
    (tmp_path / "lm.txt").write_bytes(vocabulary_file(["<eos>", "<unk>", *words]))
    tokenizer = VocabularyTokenizer(str(tmp_path / "lm.txt"))
    torch.manual_seed(1)
    decoder, optimizer = LinearDecoder(6, 7), functools.partial(torch.optim.SGD, lr=0.1)
    task = LanguageModeling(body(7), decoder, CrossEntropy(), tokenizer, optimizer)
    torch.save({SECTION: section_of(task), "state_dict": task.state_dict()}, tmp_path / "lm.ckpt")
    return task, tmp_path / "lm.ckpt"


def test_vectors_go_by_word_and_unknown_words_are_named(make_classifier, language_model):
    source, path = language_model
    task = make_classifier()
    target = body(task.tokenizer.vocab_size)
    report = load_language_model(str(path), target, task.tokenizer)
    theirs, entries = source.encoder.embedding.weight, source.tokenizer.entries
    for row, entry in zip(target.embedding.weight, task.tokenizer.entries, strict=True):
        expected = theirs[entries.index(entry)] if entry in entries else theirs.mean(0)
        torch.testing.assert_close(row, expected)
        assert (entry in report.unknown) == (entry not in entries)
    assert report.known == 6
    assert torch.equal(target.layers[1].weight_hh_l0, source.encoder.layers[1].weight_hh_l0)
    assert "unknown to it and begin as its mean vector: " in report.line()


def test_a_body_of_another_shape_is_refused(make_classifier, language_model):
    task = make_classifier()
    with pytest.raises(UserError, match=r"is \(7, 6\) there|there and"):
        load_language_model(str(language_model[1]), body(task.tokenizer.vocab_size, 5), task.tokenizer)


def test_training_begins_from_the_language_model(make_classifier, make_reviews, language_model, tmp_path):
    source, path = language_model
    vocab = make_classifier().encoder.vocab_size
    task = make_classifier(LanguageModelEncoder(body(vocab)), pretrained=str(path), lr=0.0)
    trainer(tmp_path, max_steps=1, limit_val_batches=0).fit(task, make_reviews())
    assert torch.equal(task.encoder.body.layers[0].weight_ih_l0, source.encoder.layers[0].weight_ih_l0)
    lost = make_classifier(LanguageModelEncoder(body(vocab)), pretrained="absent.ckpt")
    with pytest.raises(UserError, match=r"no checkpoint 'absent.ckpt'"):
        trainer(tmp_path, max_steps=1).fit(lost, make_reviews())


def test_another_vocabulary_or_other_classes_are_refused(make_classifier, make_reviews, tmp_path):
    task = make_classifier()
    task.labels = ["bad", "good"]
    with pytest.raises(UserError, match="classes are negative, positive, the model's bad, good"):
        trainer(tmp_path).test(task, make_reviews(), verbose=False)
    task = make_classifier()
    task.tokenizer.lower_case = False
    with pytest.raises(UserError, match="another vocabulary"):
        trainer(tmp_path).test(task, make_reviews(), verbose=False)
