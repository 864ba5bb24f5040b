import functools
import io
import math
from types import SimpleNamespace

import pytest
import sacrebleu
import sentencepiece
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from s2s_core.checkpoint import load_task
from s2s_core.decoding.beam_search import BeamSearch
from s2s_core.errors import UserError
from s2s_core.nn.recurrent_stack import RecurrentLayers
from s2s_core.nn.transformer import LayerSpec
from s2s_core.text.sentences import BOS_ID, SubwordTokenizer, WordTokenizer
from s2s_nmt.data import ParallelData
from s2s_nmt.decoders.rnn import RnnAttention, RnnDecoder
from s2s_nmt.decoders.transformer import TransformerDecoder
from s2s_nmt.encoders.rnn import RnnEncoder
from s2s_nmt.encoders.transformer import TransformerEncoder
from s2s_nmt.interfaces import TextBatch
from s2s_nmt.losses.cross_entropy import CrossEntropyLoss
from s2s_nmt.pairs import pad_tokens
from s2s_nmt.prepare.reversal import GREEK, reversal_pairs
from s2s_nmt.prepare.run import write_splits
from s2s_nmt.task import Evaluation, TextToText, packed_target

TOKENIZER = WordTokenizer(GREEK)
PAIRS = list(reversal_pairs("test", 13, 1, 9))
SMALL = LayerSpec(features=16, heads=2, inner=16, dropout=0.1)


def build(tokenizer=TOKENIZER, size=TOKENIZER.vocab_size, target=None, optimizer=torch.optim.Adam, **changed):
    torch.manual_seed(0)
    return TextToText(
        TransformerEncoder(size, 1, SMALL),
        TransformerDecoder(16, size, 1, SMALL),
        CrossEntropyLoss(0.1),
        tokenizer,
        functools.partial(optimizer, lr=0.01),
        target_tokenizer=target,
        **changed,
    )


def batch_of(rows):
    pairs = [PAIRS[row] for row in rows]
    source, source_lengths = pad_tokens([TOKENIZER.encode(pair.source) for pair in pairs])
    target, target_lengths = pad_tokens([TOKENIZER.encode(pair.target) for pair in pairs])
    texts = ([pair.id for pair in pairs], [pair.source for pair in pairs], [pair.target for pair in pairs])
    return TextBatch(source, source_lengths, target, target_lengths, *texts)


@pytest.mark.parametrize("size", [1, 2, 5, 13])
def test_figures_are_corpus_totals_for_any_batch_size(size):
    task = build().eval()
    for start in range(0, len(PAIRS), size):
        batch = batch_of(range(start, min(start + size, len(PAIRS))))
        with torch.no_grad():
            task.test_step(batch, 0)
    entropy = loss = correct = tokens = 0.0
    hypotheses = []
    for row in range(len(PAIRS)):  # one by one, by the formulas
        one = batch_of([row])
        with torch.no_grad():
            log_p = task.logits(one).double().log_softmax(1)
        true = [*TOKENIZER.encode(PAIRS[row].target), 2]
        entropy -= sum(float(log_p[place, token]) for place, token in enumerate(true))
        smoothed = [0.9 * float(log_p[i, t]) + 0.1 * float(log_p[i].mean()) for i, t in enumerate(true)]
        loss -= sum(smoothed)
        correct += sum(int(log_p[place].argmax()) == token for place, token in enumerate(true))
        tokens += len(true)
        hypotheses.append(TOKENIZER.decode(task.decode(one.source, one.source_lengths)[0][0].tokens))
    assert float(task.eval_loss.compute()) == pytest.approx(loss / tokens, rel=1e-4)
    assert float(task.eval_perplexity.compute()) == pytest.approx(math.exp(entropy / tokens), rel=1e-4)
    assert float(task.eval_accuracy.compute()) == pytest.approx(correct / tokens)
    bleu = sacrebleu.corpus_bleu(hypotheses, [[pair.target for pair in PAIRS]])
    assert float(task.eval_bleu.compute()) == pytest.approx(bleu.score, abs=1e-4)


def test_the_target_is_shifted_behind_the_beginning():
    task = build().eval()
    seen = {}
    real = task.decoder.forward
    task.decoder.forward = lambda memory, tokens, lengths: (  # type: ignore[method-assign]
        seen.update(tokens=tokens, lengths=lengths) or real(memory, tokens, lengths)
    )
    batch = batch_of([0, 3])
    task.logits(batch)
    for row in range(2):
        length = int(batch.target_lengths[row])
        assert seen["tokens"][row, :length].tolist() == [BOS_ID, *batch.target[row, : length - 1].tolist()]
    assert packed_target(batch).tolist() == [
        token for row in range(2) for token in batch.target[row, : int(batch.target_lengths[row])].tolist()
    ]


def test_shared_embeddings_are_one_parameter():
    shared, apart = build(share_embeddings=True), build()
    assert shared.decoder.embedding is shared.encoder.embedding
    count = [sum(p.numel() for p in task.parameters()) for task in (shared, apart)]
    assert count[1] - count[0] == 16 * 16  # 14 tokens, padded to 16
    with pytest.raises(ValueError, match=r"share_embeddings: the encoder's are \(16, 16\), the decoder's \(24, 16\)"):
        TextToText(
            TransformerEncoder(14, 1, SMALL),
            TransformerDecoder(16, 17, 1, SMALL),
            CrossEntropyLoss(),
            TOKENIZER,
            functools.partial(torch.optim.SGD, lr=0.1),
            share_embeddings=True,
        )


def test_sizes_that_do_not_meet_are_named():
    with pytest.raises(ValueError, match=r"decoder\.in_features is 8, the encoder gives 16"):
        TextToText(
            TransformerEncoder(14, 1, SMALL),
            TransformerDecoder(8, 14, 1, SMALL),
            CrossEntropyLoss(),
            TOKENIZER,
            functools.partial(torch.optim.SGD, lr=0.1),
        )
    with pytest.raises(UserError, match=r"encoder\.init_args\.vocab_size is 15, but the vocabulary has 14 tokens"):
        build(size=15).setup("fit")
    build(SubwordTokenizer("not there yet"), size=15).setup("fit")


def sampled(task, count, size):
    decoded = []
    task._trainer = SimpleNamespace(datamodule=SimpleNamespace(count=lambda split: count))
    names = [str(number) for number in range(1, count + 1)]
    for start in range(0, count, size):
        decoded += [name for name in names[start : start + size] if task._is_decoded(name)]
    return decoded


def test_the_validation_sample_is_of_about_the_size_asked_for_and_spread():
    task = build(evaluation=Evaluation(sentences=200))
    decoded = sampled(task, 4000, 64)
    assert 150 < len(decoded) < 250
    assert decoded == sampled(task, 4000, 7)
    assert 1500 < sum(map(int, decoded)) / len(decoded) < 2500
    assert len(sampled(task, 150, 64)) == 150
    assert sampled(build(evaluation=Evaluation(sentences=0)), 100, 64) == []


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reversal")
    counts = {"train": 120, "validation": 20, "test": 20}
    splits = {split: list(reversal_pairs(split, count, 2, 8)) for split, count in counts.items()}
    write_splits(splits, [TOKENIZER, TOKENIZER], folder)
    return folder


def data_of(corpus):
    paths = {split: str(corpus / f"{split}.arrow") for split in ("train", "validation", "test")}
    return ParallelData(**paths, predict=paths["test"], batch_tokens=200)


def trainer_of(folder, max_steps, **changed):
    settings = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    saving = ModelCheckpoint(folder, filename="at{step}", every_n_train_steps=5, save_top_k=-1)
    return Trainer(max_steps=max_steps, callbacks=[saving], **settings, **changed)


def test_a_run_stopped_in_the_middle_of_an_epoch_ends_the_same(tmp_path, corpus):
    whole, data = build(), data_of(corpus)
    trainer_of(tmp_path / "whole", 14).fit(whole, data)
    assert 7 < len(data.train_dataloader()) < 14
    trainer_of(tmp_path / "part", 5).fit(build(), data_of(corpus))
    resumed = build()
    trainer_of(tmp_path / "rest", 14).fit(
        resumed, data_of(corpus), ckpt_path=tmp_path / "part" / "atstep=5.ckpt", weights_only=True
    )
    for name, value in whole.state_dict().items():
        if not name.startswith("eval_"):
            assert torch.equal(value, resumed.state_dict()[name]), name


def subwords(path, size):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["α β γ δ", "ε ζ η θ ι κ"] * 20),
        model_writer=model,
        vocab_size=size,
        pad_id=0,
        bos_id=1,
        eos_id=2,
        unk_id=3,
        minloglevel=2,
    )
    path.write_bytes(model.getvalue())
    return SubwordTokenizer(str(path))


def test_a_checkpoint_holds_both_vocabularies(tmp_path, corpus):
    source, target = subwords(tmp_path / "source.model", 16), subwords(tmp_path / "target.model", 15)
    task = TextToText(
        RnnEncoder(16, 8, RecurrentLayers(8, 1)),
        RnnDecoder(15, 16, 8, RecurrentLayers(8, 1), RnnAttention()),
        CrossEntropyLoss(),
        source,
        functools.partial(torch.optim.SGD, lr=0.01),
        target_tokenizer=target,
        search=BeamSearch(beam_width=2),
    )
    trainer_of(tmp_path, 5).fit(task, data_of(corpus))
    for side in ("source", "target"):
        (tmp_path / f"{side}.model").unlink()
    loaded = load_task(tmp_path / "atstep=5.ckpt")
    assert loaded.source_tokenizer.fingerprint() == source.fingerprint()
    assert loaded.target_tokenizer.fingerprint() == target.fingerprint()
    assert loaded.search.beam_width == 2
    loaded.setup("test")


def test_predict_gives_a_row_a_sentence_and_test_all_figures(corpus):
    task, data = build(), data_of(corpus)
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
    figures = trainer.test(task, data, verbose=False)[0]
    assert set(figures) == {f"test/{name}" for name in ("loss", "perplexity", "accuracy", "bleu", "chrf")}
    rows = [row for batch in trainer.predict(task, data) or [] for row in batch]
    assert sorted(row["id"] for row in rows) == sorted(data.predict_ids())
    assert all(row["reference"].split() == row["source"].split()[::-1] for row in rows)
    assert {type(row["text"]) for row in rows} == {str}


def test_bench_batches_are_pairs_of_three_tokens_a_second():
    task = build()
    batch = task.bench_batch(20, 8)
    assert batch.source.shape == batch.target.shape == (8, 60)
    assert (batch.source_lengths[0], batch.source_lengths[-1]) == (60, 30)
    assert float(task.units_of(batch)["target tokens"]) == float(batch.target_lengths.sum())
    assert task.units_of(batch)["sentences"] == 8
    assert 1 < float(task.loss_of(batch).detach()) < 10
