import torch
from torchmetrics.functional.classification import multiclass_confusion_matrix

from s2s_core.confusion import Confusion


def examples(count=60, classes=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    given, true = (torch.randint(classes, (count,), generator=generator) for _ in range(2))
    return given, true


def test_true_classes_are_rows():
    given, true = examples()
    metric = Confusion(7)
    for part in range(2):  # as two processes would, whose states are summed
        metric.update(given[part::2], true[part::2])
    assert torch.equal(metric.compute(), multiclass_confusion_matrix(given, true, num_classes=7))


def test_unlabelled_examples_do_not_count():
    given, true = examples()
    hidden = torch.where(torch.arange(60) % 3 == 0, -1, true)
    metric = Confusion(7)
    metric.update(given, hidden)
    assert int(metric.compute().sum()) == int((hidden >= 0).sum()) == 40


def test_a_result_outlives_the_next_batch():
    metric = Confusion(2)
    metric.update(torch.tensor([0, 1]), torch.tensor([0, 0]))
    counts = metric.compute()
    metric.update(torch.tensor([1]), torch.tensor([1]))
    assert counts.tolist() == [[1, 1], [0, 0]]
