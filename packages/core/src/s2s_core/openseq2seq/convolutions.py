"""The rows of ``convnet_layers``, which OpenSeq2Seq's recognisers and its speech commands share."""

from __future__ import annotations

from typing import Any

from s2s_core.errors import UserError
from s2s_core.openseq2seq.settings import Old, Options

KINDS = ("conv1d", "sep_conv1d", "conv2d")
NORMS = {"batch_norm": "batch", "layer_norm": "layer", "instance_norm": "instance", None: "none"}


def tdnn_blocks(options: Options, old: Old) -> list[dict[str, Any]]:
    """The blocks of a `Tdnn`; ``conv2d`` is one along time, as kernels of one column are.

    Raises:
        UserError: for a kind of convolution that has no counterpart.
    """
    keep = options.take("dropout_keep_prob", 1.0)
    rows = options.take("convnet_layers")
    return [_block(Options(f"convnet_layers[{number}]", dict(row), old), keep) for number, row in enumerate(rows)]


def tdnn_settings(options: Options) -> dict[str, Any]:
    """Norm and activation of a `Tdnn`, where they are not its defaults."""
    found: dict[str, Any] = {}
    if (norm := options.take("normalization", "batch_norm")) != "batch_norm":
        found["norm"] = NORMS.get(norm, norm)
    activation = str(options.take("activation_fn", "relu"))
    if "relu" not in activation:
        options.tell("activation_fn", activation, "relu here")
    elif "minimum" in activation or "20" in activation:
        found["activation"] = "clipped_relu"
    options.skip("initializer", "initializer_params", "data_format", "bn_epsilon")
    return found


def _block(row: Options, keep: float) -> dict[str, Any]:
    kind = row.take("type")
    if kind not in KINDS:
        raise UserError(f"convnet_layers: type {kind!r}: expected {', '.join(KINDS)}")
    kernel = row.take("kernel_size")
    if kind == "conv2d" and kernel[1:] != [1]:
        raise UserError(f"convnet_layers: conv2d with kernel_size {kernel}: expected a kernel of one column")
    block: dict[str, Any] = {"channels": row.take("num_channels"), "kernel": _one(kernel)}
    for key in ("repeat", "stride", "dilation"):
        if (value := _one(row.take(key, 1))) != 1:
            block[key] = value
    if drop := row.drop("dropout_keep_prob", keep):
        block["dropout"] = drop
    residual, dense = row.take("residual", False), row.take("residual_dense", False)
    if residual:
        block["residual"] = "dense" if dense else True
    if kind == "sep_conv1d":
        block["separable"] = True
    row.expect("padding", "SAME", "convolutions are padded on both sides here")
    row.finish()
    return block


def _one(value: Any) -> Any:
    return value[0] if isinstance(value, list) else value
