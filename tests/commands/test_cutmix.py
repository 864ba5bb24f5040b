import numpy as np
import pytest
import torch

from s2s_commands.cutmix import CutMix

HEIGHT, WIDTH = 20, 30


def mixed(cutmix, seed, batch=6):
    """Images whose every pixel is their own number, so that a result says where it comes from."""
    images = torch.arange(float(batch))[:, None, None, None].expand(batch, 3, HEIGHT, WIDTH).contiguous()
    targets = torch.eye(batch)
    return images, *cutmix(images, targets, torch.Generator().manual_seed(seed))


def test_targets_follow_the_area_that_is_left():
    shares = []
    for seed in range(30):
        images, found, targets = mixed(CutMix(), seed)
        for row in range(6):
            share = (found[row] == images[row]).float().mean()
            assert torch.allclose(targets[row].sum(), torch.tensor(1.0))
            if targets[row, row] < 1:
                assert abs(float(targets[row, row]) - float(share)) < 1e-6
                partner = int(targets[row].masked_fill(torch.eye(6)[row].bool(), 0).argmax())
                assert set(found[row].unique().tolist()) == {float(row), float(partner)}
        shares.append(float(targets.max(dim=1).values.min()))
    assert min(shares) < 0.7 < max(shares)


def test_what_is_replaced_is_one_box_in_all_channels():
    _, found, _ = mixed(CutMix(), 3)
    changed = found[0] != 0
    assert changed.any()
    assert (changed == changed[:1]).all()
    rows, columns = changed[0].any(1).nonzero(), changed[0].any(0).nonzero()
    box = (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
    assert int(changed[0].sum()) == int(box)


def test_areas_have_the_mean_of_their_distribution():
    # half a uniform share is cut, less what a box loses beyond the border
    left = [float(mixed(CutMix(1.0), seed, 2)[2].diagonal().mean()) for seed in range(400)]
    expected = []
    rng = np.random.default_rng(0)
    for _ in range(20000):
        side, y, x = rng.random() ** 0.5, rng.random(), rng.random()
        box = (min(1, y + side / 2) - max(0, y - side / 2)) * (min(1, x + side / 2) - max(0, x - side / 2))
        expected.append(1 - box if rng.random() < 0.5 else 1.0)  # half of the partners of two are themselves
    assert abs(np.mean(left) - np.mean(expected)) < 0.04


def test_the_generator_is_the_only_source():
    assert torch.equal(mixed(CutMix(), 7)[1], mixed(CutMix(), 7)[1])
    assert not torch.equal(mixed(CutMix(), 7)[1], mixed(CutMix(), 8)[1])


def test_probability_and_limits():
    images, found, targets = mixed(CutMix(probability=0.0), 0)
    assert torch.equal(found, images)
    assert torch.equal(targets, torch.eye(6))
    with pytest.raises(ValueError, match="alpha must be above 0, got 0"):
        CutMix(0)
    with pytest.raises(ValueError, match="probability must be 0 to 1, got 2"):
        CutMix(probability=2)
