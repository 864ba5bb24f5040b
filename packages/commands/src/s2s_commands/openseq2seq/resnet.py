"""OpenSeq2Seq's ResNetEncoder as an encoder of this package."""

from __future__ import annotations

from typing import Any

from s2s_core.errors import UserError
from s2s_core.openseq2seq.settings import Options, configured

DEPTHS = (18, 34, 50, 101, 152)
NORMS = ["*bn*", "*norms*", "*downsample.1*"]
"""What ``regularize_bn: False`` leaves out of the regulariser."""


def encoder(options: Options, in_channels: int) -> tuple[dict[str, Any], int, bool]:
    """``ResNetEncoder``, the size of its vectors, and whether norms are regularised.

    Raises:
        UserError: for a depth that has no counterpart.
    """
    depth = options.take("resnet_size")
    if depth not in DEPTHS:
        raise UserError(f"encoder_params.resnet_size {depth}: expected {', '.join(map(str, DEPTHS))}")
    filters = options.take("first_num_filters", 64)
    blocks = options.take("block_sizes")
    options.expect("bottleneck", depth >= 50, "bottlenecks from 50 layers on")
    for key, usual in (("first_kernel_size", 7), ("first_conv_stride", 2), ("first_pool_size", 3)):
        options.expect(key, usual, f"{usual} here")
    options.skip("final_size", "block_strides", "first_pool_stride", "data_format", "bn_momentum", "bn_epsilon")
    options.skip("initializer", "initializer_params")
    version, norms = options.take("version", 2), options.take("regularize_bn", True)
    options.finish()
    part = configured(
        "s2s_commands.encoders.resnet.ResNetEncoder",
        in_channels=in_channels if in_channels != 3 else None,
        depth=depth,
        version=version,
        width=filters if filters != 64 else None,
        blocks=blocks,
        zero_init_residual=False,
    )
    stages = 4 if blocks is None else len(blocks)
    return part, filters * 2 ** (stages - 1) * (4 if depth >= 50 else 1), norms
