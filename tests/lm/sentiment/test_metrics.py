import pytest
import torch

from s2s_core.confusion import Confusion
from s2s_lm.sentiment.metrics import CELL, figures, picture


def test_counts_and_figures():
    metric = Confusion(2)
    metric.update(torch.tensor([1, 1, 0, 1]), torch.tensor([1, 0, 0, -1]))
    metric.update(torch.tensor([0, 1]), torch.tensor([1, 1]))
    counts = metric.compute()
    assert counts.tolist() == [[1, 1], [1, 2]]
    assert figures(counts) == pytest.approx({"accuracy": 3 / 5, "precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3})


def test_of_many_classes_the_mean_counts():
    sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    generator = torch.Generator().manual_seed(0)
    true, given = (torch.randint(4, (60,), generator=generator) for _ in range(2))
    metric = Confusion(4)
    metric.update(given, true)
    precision, recall, f1, _ = sklearn.precision_recall_fscore_support(true, given, average="macro")
    expected = {"accuracy": sklearn.accuracy_score(true, given), "precision": precision, "recall": recall, "f1": f1}
    assert figures(metric.compute()) == pytest.approx(expected)


def test_the_picture_is_darkest_where_most_of_a_row_is():
    image = picture(torch.tensor([[9, 1], [5, 5]]))
    assert image.shape == (2 * CELL, 2 * CELL, 3)
    assert image[0, 0, 0] == pytest.approx(0.1 * 255, abs=1)
    assert image[0, -1, 0] == pytest.approx(0.9 * 255, abs=1)
