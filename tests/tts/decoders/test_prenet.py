"""The prenet's seeded dropout: a function of seed and step alone, as often off as it says."""

import pytest
import torch

from s2s_tts.decoders.prenet import Prenet, seeded_uniform


def test_numbers_are_uniform_and_unrelated():
    numbers = seeded_uniform(torch.arange(40), torch.arange(50), torch.arange(100)).double()
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert float(numbers.mean()) == pytest.approx(0.5, abs=0.003)
    assert float(numbers.var()) == pytest.approx(1 / 12, abs=0.001)
    flat = numbers - 0.5
    for neighbour in (flat[1:] * flat[:-1], flat[:, 1:] * flat[:, :-1], flat[:, :, 1:] * flat[:, :, :-1]):
        assert abs(float(neighbour.mean())) < 12 * (1 / 12) * len(neighbour.flatten()) ** -0.5


def test_masks_do_not_depend_on_batch_or_block():
    prenet = Prenet(3, 8, layers=2, dropout=0.3)
    together = prenet.masks(torch.tensor([5, 9, -4]), 0, 12)
    alone = prenet.masks(torch.tensor([9]), 7, 5)
    for a, b in zip(together, alone, strict=True):
        assert torch.equal(a[1:2, 7:], b)
    assert together[0].unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert not torch.equal(together[0], together[1])


def test_dropout_stays_on_in_evaluation_unless_told_otherwise():
    x = torch.ones(1, 200, 4)
    seeds = torch.tensor([1])
    torch.manual_seed(0)
    on, off = Prenet(4, 64).eval(), Prenet(4, 64, always=False).eval()
    off.load_state_dict(on.state_dict())
    hidden = torch.relu(on.layers[1](torch.relu(on.layers[0](x))))
    assert torch.allclose(off(x, seeds), hidden)
    alive = hidden[0, 0] > 0
    share = (on(x, seeds)[0][:, alive] == 0).double().mean()
    assert float(share) > 0.4
