import numpy as np
import pytest
import torch
from PIL import Image

from s2s_commands.classify_image import ImageClassifier
from s2s_core.errors import UserError


@pytest.fixture
def classifier(picture_task):
    return ImageClassifier(picture_task(crops=2))


def test_files_pictures_and_arrays_give_the_same(classifier, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    picture.save(tmp_path / "a.png")
    found = classifier.classify([tmp_path / "a.png", picture, pixels], batch_size=2)
    assert [answer.id for answer in found] == [str(tmp_path / "a.png"), "#1", "#2"]
    for answer in found:
        assert answer.label == next(iter(answer.probabilities))
        assert answer.probability == max(answer.probabilities.values())
        assert abs(sum(answer.probabilities.values()) - 1) < 1e-5
        assert answer.probabilities == pytest.approx(found[0].probabilities, abs=1e-6)
    images = classifier.task.view.normalised(
        torch.from_numpy(np.array(classifier.task.view.square(picture, 8))).permute(2, 0, 1)[None]
    )
    both = [classifier.task.logits(x).softmax(1) for x in (images, images.flip(-1))]
    expected = ((both[0] + both[1]) / 2)[0]
    assert found[0].probabilities["dog"] == pytest.approx(float(expected[1]), abs=1e-5)


def test_one_bad_picture_does_not_stop_the_rest(classifier, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"x")
    good = np.zeros((9, 9), dtype=np.uint8)
    found = list(classifier.classify_each([good, tmp_path / "bad.png", good, np.zeros((2, 2, 4), dtype=np.uint8)]))
    assert [isinstance(answer, UserError) for answer in found] == [False, True, False, True]
    assert "bad.png: not a picture" in str(found[1])
    assert "#3: an array of uint8 (2, 2, 4)" in str(found[3])
    with pytest.raises(UserError, match=r"bad\.png"):
        classifier.classify([tmp_path / "bad.png"])
    with pytest.raises(TypeError, match="a list"):
        list(classifier.classify_each("a.png"))
