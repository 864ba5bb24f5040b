"""Writing an n-gram model in ARPA form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import compute

from s2s_lm.ngram.kneser_ney import NgramModel, OrderModel

ROWS = 1 << 20
"""Lines that are made at a time."""


def write_arpa(model: NgramModel, path: Path) -> None:
    """Write ``path``; probabilities to seven decimals. Whole or not at all."""
    temporary = path.with_name(f".{path.name}.partial")
    words = pa.array(model.corpus.words)
    try:
        with pa.OSFile(str(temporary), "wb") as file:
            counts = [f"ngram {n}={len(order.places)}" for n, order in enumerate(model.orders, start=1)]
            file.write("\n".join(["\\data\\", *counts, ""]).encode())
            for n, order in enumerate(model.orders, start=1):
                file.write(f"\n\\{n}-grams:\n".encode())
                for start in range(0, len(order.places), ROWS):
                    file.write(_lines(model, order, n, slice(start, start + ROWS), words))
            file.write(b"\n\\end\\\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _lines(model: NgramModel, order: OrderModel, n: int, rows: slice, words: pa.Array) -> pa.Buffer:
    places = order.places[rows]
    columns = [words.take(pa.array(_words_at(model, order, n, places, k, rows))) for k in range(n)]
    fields = [_decimal(order.log_probs[rows]), _joined(columns, " ")]
    if order.backoffs is not None:
        fields.append(_decimal(order.backoffs[rows]))
    lines = _joined([_joined(fields, "\t"), pa.array([""] * len(places))], "\n")  # each ends in a line feed
    # a new array's text lies from the first line to the last in one buffer
    return lines.buffers()[2]


def _joined(columns: list[pa.Array], separator: str) -> pa.Array:
    return compute.call_function("binary_join_element_wise", [*columns, separator]) if len(columns) > 1 else columns[0]


def _words_at(model: NgramModel, order: OrderModel, n: int, places: np.ndarray, k: int, rows: slice) -> np.ndarray:
    if n == 1:  # a word of a given vocabulary may not occur in the text
        return np.arange(len(order.places), dtype=np.int32)[rows]
    return model.corpus.tokens[places + k]


def _decimal(values: np.ndarray) -> pa.Array:
    # strings of the seven decimals that ARPA files have; adding 0 turns -0 into 0
    return compute.cast(pa.array(np.round(values, 7) + 0.0), pa.string())
