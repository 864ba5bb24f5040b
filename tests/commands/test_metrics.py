import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_accuracy

from s2s_commands.metrics import TopAccuracy, draw_confusion


def examples(count=60, classes=7, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, classes, generator=generator)
    return logits, torch.randint(classes, (count,), generator=generator)


@pytest.mark.parametrize("top", [1, 2, 5])
@pytest.mark.parametrize("size", [1, 7, 60])
def test_top_accuracy_is_the_library_s_for_any_batches(top, size):
    logits, labels = examples()
    metric = TopAccuracy(top)
    for start in range(0, 60, size):
        metric.update(logits[start : start + size], labels[start : start + size])
    expected = multiclass_accuracy(logits, labels, num_classes=7, average="micro", top_k=top)
    torch.testing.assert_close(metric.compute(), expected)


def test_unlabelled_examples_do_not_count():
    logits, labels = examples()
    hidden = torch.where(torch.arange(60) % 3 == 0, -1, labels)
    metric = TopAccuracy()
    metric.update(logits, hidden)
    kept = hidden >= 0
    assert float(metric.compute()) == pytest.approx(float((logits.argmax(1) == labels)[kept].float().mean()))
    assert int(kept.sum()) == 40


def test_the_picture_shades_shares_of_each_row():
    counts = torch.tensor([[8, 0], [2, 2]])
    picture = draw_confusion(counts, ["yes", "no"], cell=20)
    left = picture.shape[1] - 40
    assert picture.shape == (40, 8 + 6 * 3 + 40, 3)
    corner = [picture[row * 20 + 1, left + column * 20 + 1] for row in range(2) for column in range(2)]
    assert np.array_equal(corner[0], [8, 48, 107])
    assert np.array_equal(corner[1], [255, 255, 255])
    assert np.array_equal(corner[2], corner[3])
    assert corner[0][0] < corner[2][0] < 255
    assert draw_confusion(torch.ones(100, 100), [str(i) for i in range(100)]).shape == (1000, 1000, 3)


def test_no_guess_is_no_accuracy():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        TopAccuracy(0)
