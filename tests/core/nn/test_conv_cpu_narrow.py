import pytest
import torch

from s2s_core.nn.conv_cpu import DepthwiseConv


@pytest.mark.timeout(60)  # without the detour through float32 they take minutes
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("channels", [5, 16, 17, 32, 33])
def test_narrow_half_precision_kernels_of_many_taps_end_and_agree_with_float32(channels, dtype, set_threads):
    set_threads(2)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 100, channels, generator=generator)
    weight = torch.randn(channels, 29, generator=generator)
    with torch.autocast("cpu", dtype=dtype):
        rough = DepthwiseConv.apply(x.to(dtype), weight.to(dtype))
    exact = DepthwiseConv.apply(x.to(dtype).float(), weight.to(dtype).float())
    assert rough.dtype == dtype
    torch.testing.assert_close(rough.float(), exact, atol=0.1, rtol=0.02)
