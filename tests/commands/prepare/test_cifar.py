"""CIFAR-10's batches: both forms give the same pictures, and a hostile pickle gives one line."""

import os
import pickle
import struct

import numpy as np
import pytest

from s2s_commands.prepare.cifar import batches_in, pictures, read_batch
from s2s_core.errors import UserError

COUNT = 5


@pytest.fixture
def planes():
    return np.random.default_rng(0).integers(0, 256, (COUNT, 3, 32, 32), dtype=np.uint8)


LABELS = [3, 0, 9, 1, 1]
NAMES = ["cat", "airplane", "truck", "automobile", "automobile"]


def python_2_pickle(planes, labels):
    """Opcode by opcode what Python 2 and its numpy wrote: their strings are bytes."""

    def text(value):
        return b"U" + bytes([len(value)]) + value

    data = planes.tobytes()
    dtype = b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R"
    dtype += b"(K\x03" + text(b"|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"K" + bytes([len(planes)]) + b"M" + struct.pack("<H", 3072) + b"\x86"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
    array += b"(K\x01" + shape + dtype + b"\x89" + b"T" + struct.pack("<i", len(data)) + data + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(" + text(b"data") + array + text(b"labels") + numbers + b"u."


@pytest.mark.parametrize("form", ["binary", "python 2", "python 3"])
def test_every_form_gives_the_same_pictures(form, planes, tmp_path):
    if form == "binary":
        path = tmp_path / "data_batch_1.bin"
        path.write_bytes(b"".join(bytes([label]) + p.tobytes() for label, p in zip(LABELS, planes, strict=True)))
    else:
        path = tmp_path / "data_batch_1"
        content = {b"data": planes.reshape(COUNT, -1), b"labels": LABELS, b"filenames": [b"a.png"] * COUNT}
        path.write_bytes(python_2_pickle(planes, LABELS) if form == "python 2" else pickle.dumps(content, protocol=2))
    pixels, labels = read_batch(path)
    assert labels == NAMES
    assert (pixels == planes.transpose(0, 2, 3, 1)).all()
    assert pixels[2, 5, 7, 1] == planes[2, 1, 5, 7]


class Attack:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


def test_a_hostile_pickle_is_refused_and_not_executed(tmp_path):
    path, mark = tmp_path / "data_batch_1", tmp_path / "executed"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps({b"data": Attack(mark), b"labels": [1]}, protocol=protocol))
        with pytest.raises(UserError, match=r"data_batch_1: the pickle asks for (posix|nt)\.system.*refused"):
            read_batch(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"c_codecs\nencode\n}(S'__code__'\nK\x01ub.",  # would change a function of ours
        b"cnumpy\nndarray\n}(S'pixels'\nK\x01ub.",
        b"\x80\x04\x95" + b"\xff" * 8,
        b"not a pickle",
        b"",
        pickle.dumps([1, 2]),
        pickle.dumps({b"data": np.zeros((2, 3072), dtype=object), b"labels": [1, 2]}, protocol=2),
        pickle.dumps({b"data": np.zeros((2, 3072), dtype=np.uint8), b"labels": [1]}, protocol=2),
        pickle.dumps({b"data": np.zeros((1, 3072), dtype=np.uint8), b"labels": [10]}, protocol=2),
        pickle.dumps({b"data": np.zeros((1, 10), dtype=np.uint8), b"labels": [1]}, protocol=2),
    ],
)
def test_what_is_no_batch_is_named(content, tmp_path):
    path = tmp_path / "data_batch_1"
    path.write_bytes(content)
    with pytest.raises(UserError, match="data_batch_1"):
        read_batch(path)


def test_a_truncated_binary_batch_is_named(tmp_path):
    path = tmp_path / "data_batch_1.bin"
    path.write_bytes(bytes(3073 * 2 - 1))
    with pytest.raises(UserError, match="6145 bytes"):
        read_batch(path)


def test_batches_are_found_in_the_archives_folder_or_above(tmp_path):
    assert batches_in(tmp_path) == {}
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for name in ("data_batch_1", "data_batch_2", "test_batch"):
        (folder / f"{name}.bin").write_bytes(bytes(3073))
    for place in (tmp_path, folder):
        found = batches_in(place)
        assert [path.name for path in found["train"]] == ["data_batch_1.bin", "data_batch_2.bin"]
    rows = [(split, label, name) for split, label, name, _ in pictures(batches_in(folder))]
    assert rows[1:] == [("train", "airplane", "data_batch_2-00000.png"), ("test", "airplane", "test_batch-00000.png")]
