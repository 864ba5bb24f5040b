import functools

import pytest
import torch

from s2s_asr.decoders.ctc import CtcDecoder
from s2s_asr.encoders.tdnn import TdnnBlock, TdnnEncoder
from s2s_asr.interfaces import SpeechBatch
from s2s_asr.losses.consistency import Consistency
from s2s_asr.losses.ctc import CtcLoss
from s2s_asr.task import SpeechToText
from s2s_core.audio.augment import Augment, Gain, SpecAugment, SpeedPerturb
from s2s_core.audio.features import LogMel
from s2s_core.errors import UserError
from s2s_core.text.tokenizers import CharTokenizer

WORDS = ["go", "stop", "left turn", "right", "a b", "call"]


def build(augment=None, vocab_size=28, in_features=16, consistency=None):
    torch.manual_seed(0)
    return SpeechToText(
        LogMel(16),
        TdnnEncoder(in_features, [TdnnBlock(8, 5, stride=2, dropout=0.2)]),
        CtcDecoder(8, vocab_size),
        CtcLoss(),
        CharTokenizer(),
        functools.partial(torch.optim.SGD, lr=0.1),
        augment=augment,
        consistency=consistency,
    )


def batch(task, rows):
    texts = [WORDS[row] for row in rows]
    generator = torch.Generator().manual_seed(5)
    recordings = [torch.randn(6000 + 700 * i, generator=generator) * 0.1 for i in range(len(WORDS))]
    audio = [recordings[row] for row in rows]
    tokens = [torch.tensor(task.tokenizer.encode(text)) for text in texts]
    pad = functools.partial(torch.nn.utils.rnn.pad_sequence, batch_first=True)
    lengths = [torch.tensor([len(x) for x in part]) for part in (audio, tokens)]
    return SpeechBatch(pad(audio), lengths[0], pad(tokens), lengths[1], [str(r) for r in rows], texts)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6])
def test_metrics_are_corpus_totals_for_any_batch_size(size):
    task = build().eval()
    for start in range(0, len(WORDS), size):
        task._evaluate(batch(task, range(start, min(start + size, len(WORDS)))))
    found = [float(metric.compute()) for metric in (task.eval_loss, task.eval_wer, task.eval_cer)]
    alone = build().eval()
    edits = words = 0
    losses = []
    for row in range(len(WORDS)):
        one = batch(alone, [row])
        losses.append(alone.loss_of(one).item())
        hypothesis = alone._texts(*alone.logits(one.audio, one.audio_lengths))[0].split()
        edits += levenshtein(hypothesis, WORDS[row].split())
        words += len(WORDS[row].split())
    assert found[:2] == pytest.approx([sum(losses) / len(WORDS), edits / words], rel=1e-5)


def test_words_are_one_space_apart(monkeypatch):
    task = build()
    monkeypatch.setattr(task.decoder, "greedy", lambda logits, lengths: [task.tokenizer.encode("a") * 2, spaced])
    spaced = [task.tokenizer.encode(letter)[0] for letter in "go"]
    space = task.tokenizer.labels.index(" ")
    spaced = [space, *spaced, space, space, *spaced, space]
    assert task._texts(torch.zeros(2, 1, 29), torch.ones(2)) == ["aa", "go go"]


def levenshtein(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]


def test_augmentation_touches_training_only_and_repeats():
    chain = Augment(wave=[SpeedPerturb([0.8, 1.25]), Gain()], features=[SpecAugment(freq_width=8)])
    task = build(chain)
    data = batch(task, [0, 1, 2])
    task.eval()  # dropout off: what differs is the augmentation
    clean = task.features(data.audio, data.audio_lengths)[0]
    changed = task._training_features(data, 0)[0]
    assert changed.shape != clean.shape or not torch.allclose(changed, clean)
    assert torch.equal(changed, task._training_features(data, 0)[0])
    other = task._training_features(data, 1)[0]
    assert other.shape != changed.shape or not torch.equal(other, changed)
    task._evaluate(data)
    assert float(task.eval_loss.compute()) == pytest.approx(task.loss_of(data).item())


def test_consistency_trains_on_two_views_with_masks_of_their_own():
    task = build(Augment(features=[SpecAugment(freq_width=8)]), consistency=Consistency(0.5))
    data = batch(task, [0, 1, 2])
    features, lengths = task._training_features(data, 0)
    one, other = features.chunk(2)
    assert lengths.tolist() == lengths.chunk(2)[0].tolist() * 2
    assert not torch.equal(one, other)
    logits = torch.randn(6, int(lengths.max()), 29)
    loss = task._training_loss(logits, lengths, data)
    plain = [task.loss(half, lengths[:3], data.tokens, data.token_lengths) for half in logits.chunk(2)]
    expected = plain[0].total + plain[1].total + Consistency(0.5)(logits, lengths)
    torch.testing.assert_close(loss.total, expected)
    assert loss.weight == plain[0].weight + plain[1].weight


def test_sizes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"encoder\.in_features is 17, the features have 16"):
        build(in_features=17)
    with pytest.raises(UserError, match=r"vocab_size is 30, but the tokenizer has 28 labels"):
        build(vocab_size=30).setup("fit")


def test_bench_batches_can_be_trained_on():
    task = build()
    data = task.bench_batch(seconds=2.0, batch_size=3)
    assert data.audio.shape == (3, 32000)
    assert data.audio_lengths.tolist() == [32000, 26000, 20000]
    loss = task.loss_of(data)
    assert loss.isfinite()
    assert loss > 0
    assert task.units_of(data) == {"utterances": 3.0, "audio s": pytest.approx(78000 / 16000)}
