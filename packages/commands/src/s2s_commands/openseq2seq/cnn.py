"""OpenSeq2Seq's CNNEncoder, a list of TensorFlow's layers, as an encoder of this package."""

from __future__ import annotations

from typing import Any

from s2s_core.errors import UserError
from s2s_core.openseq2seq.settings import Old, Options, configured

POOLS = {"max_pooling2d": "max", "average_pooling2d": "average"}


def encoder(options: Options, image_size: int, old: Old) -> tuple[dict[str, Any], int]:
    """``CNNEncoder``, and the size of its vectors: AlexNet and the network for CIFAR-10, or any other list.

    Raises:
        UserError: for a layer that has no counterpart.
    """
    layers = _convolutions(options.take("cnn_layers"), old)
    dense = _dense(options.take("fc_layers") or [], old)
    options.skip("data_format", "initializer", "initializer_params")
    options.finish()
    width = dense[-1]["units"] if dense else [layer for layer in layers if "channels" in layer][-1]["channels"]
    path = "s2s_commands.encoders.cnn.CnnEncoder"
    return configured(path, image_size=image_size, layers=layers, dense=dense or None), width


def _convolutions(rows: list[list[Any]], old: Old) -> list[dict[str, Any]]:
    layers: list[dict[str, Any]] = []
    for number, (function, given) in enumerate(rows):
        name = str(function).rpartition(".")[2]
        row = Options(f"cnn_layers[{number}]", dict(given), old)
        if name == "conv2d":
            layers.append(_convolution(row))
        elif name in POOLS:
            layers.append(_pool(row, POOLS[name]))
        elif name in ("batch_normalization", "BatchNormalization") and layers and "channels" in layers[-1]:
            layers[-1]["norm"] = True
            row.skip("momentum", "epsilon")
        elif name == "dropout" and layers and "channels" in layers[-1]:
            layers[-1]["dropout"] = row.take("rate", 0.5)
        elif name != "relu":  # every convolution here has one
            raise UserError(f"cnn_layers[{number}] {function}: has no counterpart")
        row.finish()
    return layers


def _convolution(row: Options) -> dict[str, Any]:
    layer = {"channels": row.take("filters")}
    if (kernel := _square(row.take("kernel_size"))) != 3:
        layer["kernel"] = kernel
    if (stride := _square(row.take("strides", 1))) != 1:
        layer["stride"] = stride
    if str(row.take("padding", "VALID")).upper() == "VALID":
        layer["padding"] = 0
    row.skip("activation", "use_bias", "kernel_initializer", "bias_initializer")
    return layer


def _pool(row: Options, kind: str) -> dict[str, Any]:
    size, stride = _square(row.take("pool_size")), _square(row.take("strides"))
    padded = str(row.take("padding", "VALID")).upper() == "SAME"
    return {"pool": kind, "kernel": size, "stride": stride, **({"padding": size // 2} if padded else {})}


def _dense(rows: list[list[Any]], old: Old) -> list[dict[str, Any]]:
    layers: list[dict[str, Any]] = []
    for number, (function, given) in enumerate(rows):
        name = str(function).rpartition(".")[2]
        row = Options(f"fc_layers[{number}]", dict(given), old)
        if name == "dense":
            layers.append({"units": row.take("units")})
            row.skip("activation", "use_bias", "kernel_initializer", "bias_initializer")
        elif name == "dropout" and layers:
            layers[-1]["dropout"] = row.take("rate", 0.5)
        else:
            raise UserError(f"fc_layers[{number}] {function}: has no counterpart")
        row.finish()
    return layers


def _square(value: Any) -> int:
    sides = value if isinstance(value, list) else [value]
    if len(set(sides)) != 1:
        raise UserError(f"cnn_layers: {value}: expected a square")
    return sides[0]
