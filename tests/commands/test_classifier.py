"""What both classifiers share: classes, targets, totals, rows of predictions."""

import pytest
import torch

from s2s_commands.interfaces import SoundBatch


@pytest.mark.parametrize("size", [1, 2, 4, 6])
def test_metrics_are_totals_for_any_batch_size(classifier_of, noise_batch, size):
    task, data = classifier_of().eval(), noise_batch
    logits = task.logits(data.audio, data.audio_lengths)
    for start in range(0, 6, size):
        part = slice(start, start + size)
        task._evaluate(SoundBatch(data.audio[part], data.audio_lengths[part], data.labels[part], data.ids[part]))
    expected = torch.nn.functional.cross_entropy(logits, data.labels)
    assert float(task.eval_loss.compute()) == pytest.approx(float(expected), rel=1e-4)
    assert float(task.eval_accuracy.compute()) == pytest.approx(float((logits.argmax(1) == data.labels).float().mean()))
    assert int(task.eval_confusion.compute().sum()) == 6


def test_targets_of_unlabelled_clips_are_zero(classifier_of):
    found = classifier_of().targets_of(torch.tensor([2, -1]))
    assert found.tolist() == [[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]


def test_classes_travel_as_assets(classifier_of):
    task, other = classifier_of(), classifier_of()
    other.classes = []
    other.load_assets(task.assets())
    assert other.classes == ["high", "low", "middle"]


def test_predictions_name_the_class_its_probability_and_the_truth_where_it_is_known(classifier_of, noise_batch):
    task = classifier_of().eval()
    noise_batch.labels[1] = -1
    rows = task.predict_step(noise_batch, 0)
    expected = task.batch_logits(noise_batch).softmax(dim=1)
    for row, name, shares, label in zip(rows, noise_batch.ids, expected, noise_batch.labels.tolist(), strict=True):
        assert row["id"] == name
        assert row["label"] == task.classes[int(shares.argmax())]
        assert row["probability"] == pytest.approx(float(shares.max()), abs=1e-6)
        assert row["reference"] == (None if label < 0 else task.classes[label])


def test_random_labels_are_of_all_classes_and_repeat(classifier_of):
    task = classifier_of()
    labels = task.random_labels(200, torch.Generator().manual_seed(0))
    assert labels.unique().tolist() == [0, 1, 2]
    assert torch.equal(labels, task.random_labels(200, torch.Generator().manual_seed(0)))
