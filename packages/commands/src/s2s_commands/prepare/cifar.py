"""CIFAR-10's batches, binary or pickled, to pictures; nothing in a pickle is executed."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np

from s2s_core.errors import UserError

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
SIDE = 32
_RECORD = 1 + 3 * SIDE**2
"""Bytes of a picture in a binary batch: its label and its red, green and blue planes."""
_FOLDERS = ("cifar-10-batches-bin", "cifar-10-batches-py")


def batches_in(source: Path) -> dict[str, list[Path]]:
    """The batch files of ``train`` and ``test`` in CIFAR-10's folder, or in the folder that holds that.

    Empty where there are none.
    """
    for folder in (source, *(source / name for name in _FOLDERS)):
        for suffix in (".bin", ""):
            train = sorted(folder.glob(f"data_batch_[0-9]{suffix}"))
            test = folder / f"test_batch{suffix}"
            if train or test.is_file():
                return {"train": train, "test": [test] if test.is_file() else []}
    return {}


def read_batch(path: Path) -> tuple[np.ndarray, list[str]]:
    """Read one batch file.

    Returns:
        pictures ``(count, 32, 32, 3)``, uint8, and the names of their classes.

    Raises:
        UserError: if the file is no batch of CIFAR-10, or its pickle asks for anything that a batch does not hold.
    """
    pixels, labels = _read_binary(path) if path.suffix == ".bin" else _read_pickle(path)
    if any(label >= len(CLASSES) for label in labels):
        raise UserError(f"{path}: label {max(labels)}, expected 0 to {len(CLASSES) - 1}")
    planes = pixels.reshape(len(labels), 3, SIDE, SIDE)
    return planes.transpose(0, 2, 3, 1), [CLASSES[label] for label in labels]


def _read_binary(path: Path) -> tuple[np.ndarray, list[int]]:
    data = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    if len(data) == 0 or len(data) % _RECORD:
        raise UserError(f"{path}: {len(data)} bytes, expected a multiple of {_RECORD}: truncated or no CIFAR-10 batch")
    records = data.reshape(-1, _RECORD)
    return records[:, 1:], records[:, 0].tolist()


def _read_pickle(path: Path) -> tuple[np.ndarray, list[int]]:
    try:
        with path.open("rb") as file:
            content = _BatchUnpickler(file).load()
        array, labels = content[b"data"], content[b"labels"]
        pixels = array.pixels()
        right = len(pixels) == len(labels) and all(type(label) is int and label >= 0 for label in labels)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except Exception as error:  # a hostile or broken pickle can fail in any way, and all of them mean the same
        raise UserError(f"{path}: no pickled batch of CIFAR-10 ({type(error).__name__})") from None
    if not right:
        raise UserError(f"{path}: no pickled batch of CIFAR-10 (its labels do not fit its pictures)")
    return pixels, labels


class _Array:
    """What a pickled numpy array says of itself, without numpy's own code seeing it."""

    def __init__(self, *_: Any) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def pixels(self) -> np.ndarray:
        """``(count, 3072)``, uint8."""
        _, shape, kind, fortran, data = self.state
        if not isinstance(kind, _Kind) or kind.name not in ("u1", b"u1") or type(data) is not bytes:
            raise UserError("expected an array of bytes under 'data'")
        if len(shape) != 2 or shape[1] != _RECORD - 1 or fortran or len(data) != shape[0] * shape[1]:
            raise UserError(f"expected pictures of {_RECORD - 1} bytes under 'data', got shape {shape}")
        return np.frombuffer(data, dtype=np.uint8).reshape(shape)


class _Kind:
    """The name of a pickled numpy type."""

    def __init__(self, name: Any = None, *_: Any) -> None:
        self.name = name

    def __setstate__(self, state: Any) -> None:
        pass


class _Encoded:
    """How newer pickles of old protocols spell bytes: ``encode(text, "latin1")``."""

    def __new__(cls, text: Any, encoding: Any) -> Any:
        if type(text) is not str or encoding not in ("latin1", b"latin1"):
            raise UserError("expected text in latin1")
        return text.encode("latin1")

    def __setstate__(self, state: Any) -> None:
        pass


class _BatchUnpickler(pickle.Unpickler):
    """Builds dicts, lists, numbers, texts, and stand-ins for numpy's arrays and types; refuses every other name."""

    _KNOWN: ClassVar[dict[tuple[str, str], type]] = {
        **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Kind,
        ("_codecs", "encode"): _Encoded,
    }

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, encoding="bytes")  # written by Python 2

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._KNOWN[module, name]
        except KeyError:
            raise UserError(f"the pickle asks for {module}.{name}, which no batch holds; refused") from None

    def persistent_load(self, pid: Any) -> Any:
        raise UserError("the pickle refers to something outside it; refused")


def pictures(batches: dict[str, list[Path]]) -> Iterator[tuple[str, str, str, np.ndarray]]:
    """Split, class, name and pixels ``(32, 32, 3)`` of every picture of the batches."""
    for split, paths in batches.items():
        for path in paths:
            pixels, labels = read_batch(path)
            for number, (picture, label) in enumerate(zip(pixels, labels, strict=True)):
                yield split, label, f"{path.stem}-{number:05}.png", picture
