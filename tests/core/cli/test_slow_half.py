"""Half precision that is slower than float32 is named before a run."""

import pytest
import torch

from s2s_core.cli import slow_half
from s2s_core.cli.slow_half import slow_half_note

CPU = torch.device("cpu")


@pytest.fixture
def rates(monkeypatch):
    found = {torch.float32: 100.0, torch.bfloat16: 100.0, torch.float16: 100.0}
    monkeypatch.setattr(slow_half, "matrix_product_flops", lambda dtype, *_: found[dtype])
    return found


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-master"])
def test_bfloat16_is_called_slow_where_it_is(rates, precision):
    rates[torch.bfloat16] = 51.0
    expected = "matrix products in bfloat16 have 0.51 of float32's rate here: precision 32-true may be faster"
    assert slow_half_note(precision, CPU) == expected
    rates[torch.bfloat16] = 81.0
    assert slow_half_note(precision, CPU) is None


@pytest.mark.parametrize("precision", ["fp16-mixed", "fp16-master", "16-mixed"])
def test_float16_is_called_slow_where_it_is(rates, precision):
    rates[torch.float16] = 5.0
    assert slow_half_note(precision, CPU).startswith("matrix products in float16 have 0.05 of float32's rate here")


def test_nothing_is_measured_for_float32_or_another_device(monkeypatch):
    def measured(*_):
        raise AssertionError

    monkeypatch.setattr(slow_half, "matrix_product_flops", measured)
    assert slow_half_note("32-true", CPU) is None
    assert slow_half_note("bf16-mixed", torch.device("cuda")) is None


def test_measuring_leaves_the_runs_random_numbers_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    slow_half_note("bf16-mixed", CPU)
    assert torch.equal(before, torch.get_rng_state())
