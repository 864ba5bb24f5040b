import pytest

from s2s_core.errors import UserError
from s2s_core.openseq2seq.python_config import Name, read_python_config


@pytest.fixture
def read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(text):
        (tmp_path / "old.py").write_text(text)
        return read_python_config(tmp_path / "old.py")

    return run


def test_assignments_are_data(read):
    found = read(
        '''"""What it is."""
from __future__ import absolute_import
import os
import tensorflow as tf
from open_seq2seq.encoders import TDNNEncoder

root = "/data"
d_model = 4 * 128
residual = [True] * 2
base_params = {
    "encoder": TDNNEncoder, "dtype": tf.float32, "rate": -1e-3, "steps": (1, 2), "d": d_model, "r": residual,
    "files": [os.path.join(root, "train.csv"), root + "/dev.csv"], "act": lambda x: tf.minimum(x, 20.0),
    "optimizer_params": dict(beta1=0.9), 1: None,
}
base_params["extra"] = base_params["d"] // 3
train_params = {**base_params, "shuffle": True}
'''
    )
    base = found["base_params"]
    assert base["encoder"] == Name("TDNNEncoder")
    assert base["dtype"] == Name("tf.float32")
    assert base["dtype"].last == "float32"
    assert (base["rate"], base["steps"], base["d"], base["r"]) == (-1e-3, [1, 2], 512, [True, True])
    assert base["files"] == ["/data/train.csv", "/data/dev.csv"]
    assert base["act"].path == "lambda x: tf.minimum(x, 20.0)"
    assert base["optimizer_params"] == {"beta1": 0.9}
    assert (base["extra"], base[1]) == (170, None)
    assert found["train_params"]["shuffle"] is True
    assert found["train_params"]["d"] == 512


CALLS = ("x = __import__('os').system('touch pwned')", "x = (lambda: open('pwned', 'w'))()", "x = eval('1')")
"""What a config says so becomes the name of what is called."""


@pytest.mark.parametrize(
    "line",
    [
        *CALLS,
        "__import__('os').system('touch pwned')",
        "x = [open('pwned', 'w') for _ in range(2)]",
        "def f(): pass",
        "class A: pass",
        "for i in range(3): x = i",
        "if True: x = 1",
        "with open('pwned', 'w') as f: pass",
        'x = f\'{open("pwned", "w")}\'',
        "import os; os.environ['A'] = 'b'",
    ],
)
def test_nothing_is_executed(read, tmp_path, line):
    if line in CALLS:
        assert all(isinstance(value, Name) for value in read(f"{line}\n").values())
    else:
        with pytest.raises(UserError, match=r"old\.py:1: expected a config of plain assignments"):
            read(f"{line}\n")
    assert not (tmp_path / "pwned").exists()


def test_dicts_are_merged_in_a_call(read):
    assert read("a = {'x': 1, 'y': 2}\nb = dict(**a, y=3, **{'z': 4})\n")["b"] == {"x": 1, "y": 3, "z": 4}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x = (", r"old\.py:1: not readable as Python"),
        ("x = [0] * 1000000000", "far too long"),
        ("\nx = {}['a']", r"old\.py:2: .*an entry that is not there"),
        ("x = 1 / 0", "what cannot be computed"),
        ("x = {}\nx[[1]] = 2", r"old\.py:2: .*a key that is neither text nor a number"),
        ("x = dict(**7)", r"old\.py:1: .*\*\* before what is no dict"),
        ("x = " + "(" * 5000, "not readable as Python"),
    ],
)
def test_a_mistake_has_its_line(read, text, complaint):
    with pytest.raises(UserError, match=complaint):
        read(text)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"absent\.py: cannot be read"):
        read_python_config(tmp_path / "absent.py")
