import pytest
import torch

from s2s_commands.mixup import Blend, Mixup


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_inputs_and_targets_are_blended_alike():
    blend = Blend(torch.tensor([2, 0, 1]), torch.tensor([1.0, 0.25, 0.5]))
    x = torch.tensor([[[1.0, 2.0]], [[3.0, 5.0]], [[10.0, 20.0]]])
    targets = torch.eye(3)
    expected_x = torch.stack([x[0], 0.25 * x[1] + 0.75 * x[0], 0.5 * x[2] + 0.5 * x[1]])
    torch.testing.assert_close(blend.of(x), expected_x)
    torch.testing.assert_close(blend.of(targets), torch.tensor([[1.0, 0, 0], [0.75, 0.25, 0], [0, 0.5, 0.5]]))
    assert blend.longest(torch.tensor([4, 7, 5])).tolist() == [5, 7, 7]


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_have_the_moments_of_the_beta_distribution(alpha):
    shares = Mixup(alpha).draw(20000, generator()).share
    assert float(shares.mean()) == pytest.approx(0.5, abs=0.015)
    assert float(shares.var()) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)


def test_partners_are_a_permutation_and_rows_are_spared():
    blend = Mixup(1.0, probability=0.3).draw(5000, generator())
    assert sorted(blend.partner.tolist()) == list(range(5000))
    assert float((blend.share == 1).float().mean()) == pytest.approx(0.7, abs=0.03)


def test_the_generator_decides():
    one, same, other = (Mixup().draw(8, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.share, same.share)
    assert torch.equal(one.partner, same.partner)
    assert not torch.equal(one.share, other.share)


@pytest.mark.parametrize("arguments", [{"alpha": 0.0}, {"probability": 1.5}])
def test_values_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match="must be"):
        Mixup(**arguments)
