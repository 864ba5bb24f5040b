"""Tokenised text on disk: the store of variable-length sequences, as memory-mapped Arrow files.

A file is Arrow IPC, which any Arrow library of any language reads. Its columns are lists of int32 (token sequences)
and UTF-8 strings (the text that they came from); its schema's metadata say what made them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa

from s2s_core.errors import UserError

ROWS_PER_CHUNK = 16384
"""Rows of a record batch: what a writer holds in memory."""


class TextTableWriter:
    """Writes a `TextTable` row by row in bounded memory.

    Args:
        path: the file; its folder exists.
        token_columns: names of the columns of token sequences.
        text_columns: names of the columns of text.
        metadata: what a reader may want to know of all rows.
    """

    def __init__(
        self, path: Path, token_columns: Sequence[str], text_columns: Sequence[str], metadata: Mapping[str, str]
    ) -> None:
        fields = [pa.field(name, pa.list_(pa.int32())) for name in token_columns]
        fields += [pa.field(name, pa.string()) for name in text_columns]
        self._schema = pa.schema(fields, metadata=dict(metadata))
        self._path = path
        self._rows: list[Mapping[str, Any]] = []

    def __enter__(self) -> TextTableWriter:
        self._file = pa.OSFile(str(self._path), "wb")
        self._writer = pa.ipc.new_file(self._file, self._schema)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        self._writer.close()
        self._file.close()

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a row: a list of ids or a string for every column."""
        self._rows.append(row)
        if len(self._rows) == ROWS_PER_CHUNK:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            columns = [pa.array([row[f.name] for row in self._rows], type=f.type) for f in self._schema]
            self._writer.write_batch(pa.record_batch(columns, schema=self._schema))
            self._rows = []


class TextTable:
    """Rows of memory-mapped Arrow files, one after the other: opened at once, read when asked, shared by processes.

    Args:
        paths: the files; all must have the same columns.
    """

    def __init__(self, paths: Sequence[str | Path]) -> None:
        self.paths = [Path(path) for path in paths]
        tables = [_open(path) for path in self.paths]
        self.columns: list[str] = tables[0].schema.names
        """The columns' names."""
        for path, table in zip(self.paths, tables, strict=True):
            if table.schema.names != self.columns:
                raise UserError(f"{path}: has columns {table.schema.names}, {self.paths[0]} has {self.columns}")
        self.metadata: list[dict[str, str]] = [_decoded(table.schema.metadata) for table in tables]
        """Each file's metadata."""
        self._chunks = {name: [c for table in tables for c in table.column(name).chunks] for name in self.columns}
        sizes = [len(chunk) for chunk in self._chunks[self.columns[0]]]
        self._starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        lists = [f.name for f in tables[0].schema if pa.types.is_list(f.type)]
        self._offsets = {name: [chunk.offsets.to_numpy() for chunk in self._chunks[name]] for name in lists}

    def __reduce__(self) -> tuple[type[TextTable], tuple[list[Path]]]:
        return TextTable, (self.paths,)  # another process maps the files itself

    def __len__(self) -> int:
        return int(self._starts[-1])

    def lengths(self, column: str) -> np.ndarray:
        """``(rows,)`` int64: how many tokens each sequence of a column has."""
        parts = [np.diff(offsets).astype(np.int64) for offsets in self._offsets[column]]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)

    def tokens(self, column: str, row: int) -> np.ndarray:
        """A token sequence, ``(tokens,)`` int32: a view of the file, read-only."""
        number, place = self._find(row)
        start, end = self._offsets[column][number][place : place + 2]
        return self._chunks[column][number].values[start:end].to_numpy()

    def runs(self, column: str) -> list[np.ndarray]:
        """All token sequences of a column end to end, in a few long arrays: views of the files."""
        return [chunk.values.to_numpy() for chunk in self._chunks[column]]

    def text(self, column: str, row: int) -> str:
        """A text."""
        number, place = self._find(row)
        return self._chunks[column][number][place].as_py()

    def _find(self, row: int) -> tuple[int, int]:
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        return number, row - int(self._starts[number])


def _open(path: Path) -> pa.Table:
    if not path.is_file():
        here = "" if path.is_absolute() else f" in '{Path.cwd()}'"
        raise UserError(f"{path}: no such file{here}; `prepare CORPUS --output DIR` writes .arrow files")
    try:
        table = pa.ipc.open_file(pa.memory_map(str(path), "r")).read_all()  # maps; nothing is copied
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: not a whole Arrow file ({' '.join(str(error).split())})") from None
    if not len(table):
        raise UserError(f"{path}: holds no rows")
    return table


def _decoded(metadata: Mapping[bytes, bytes] | None) -> dict[str, str]:
    return {key.decode(): value.decode() for key, value in (metadata or {}).items()}
