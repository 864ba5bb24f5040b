import pytest
import torch

from s2s_core.precision.inference import autocast, check_precision


@pytest.mark.parametrize(("precision", "dtype"), [("32-true", torch.float32), ("bf16", torch.bfloat16)])
def test_products_have_the_precision(precision, dtype):
    check_precision(precision)
    x = torch.ones(2, 2)
    with autocast(precision, "cpu"):
        assert (x @ x).dtype == dtype
    assert (x @ x).dtype == torch.float32


def test_another_precision_is_refused():
    with pytest.raises(ValueError, match="'32-true' or 'bf16', got 'fp8'"):
        check_precision("fp8")
