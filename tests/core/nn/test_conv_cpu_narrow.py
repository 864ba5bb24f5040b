import pytest
import torch

from s2s_core.nn.conv_cpu import DepthwiseConv


@pytest.mark.parametrize("channels", [5, 16, 17])
def test_narrow_bfloat16_kernels_of_many_taps_end_and_agree_with_float32(channels):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 100, channels, generator=generator)
    weight = torch.randn(channels, 29, generator=generator)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = DepthwiseConv.apply(x.bfloat16(), weight.bfloat16())
    exact = DepthwiseConv.apply(x.bfloat16().float(), weight.bfloat16().float())
    assert rough.dtype == torch.bfloat16
    torch.testing.assert_close(rough.float(), exact, atol=0.1, rtol=0.02)
