import pytest
import torch

from s2s_asr.losses.consistency import Consistency

LENGTHS = torch.tensor([4, 2, 4, 2])


def logits():
    return torch.randn(4, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def divergence(p, q):
    return sum(float(a * (a.log() - b.log())) for a, b in zip(p, q, strict=True))


def test_sums_both_divergences_over_real_frames():
    probs = logits().softmax(dim=-1)
    expected = sum(
        divergence(probs[one, frame], probs[other, frame])
        for one, other in ((0, 2), (2, 0), (1, 3), (3, 1))
        for frame in range(int(LENGTHS[one]))
    )
    assert float(Consistency(0.5)(logits(), LENGTHS)) == pytest.approx(0.5 * expected, rel=1e-12)


def test_equal_views_agree():
    views = Consistency.views(logits()[:2])
    assert float(Consistency()(views, LENGTHS)) == pytest.approx(0.0, abs=1e-12)


def test_the_target_is_fixed():
    x = logits().requires_grad_()
    Consistency(1.0)(x, LENGTHS).backward()
    assert x.grad is not None
    # the gradient of KL(q || softmax(x)) in x is softmax(x) - q where q is constant
    probs = logits().softmax(dim=-1)
    torch.testing.assert_close(x.grad[0], probs[0] - probs[2])
    assert not x.grad[1, 2:].any()  # padding


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match="-1"):
        Consistency(-1)
