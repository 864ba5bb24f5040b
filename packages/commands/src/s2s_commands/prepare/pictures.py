"""Corpora of picture files: a folder a class, and ImageNet."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from s2s_commands.image_table import is_picture, load_rows
from s2s_core.errors import UserError

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
"""Names of folders that are splits."""
_SOLUTION = "LOC_val_solution.csv"
_SYNSETS = "imagenet_2012_validation_synset_labels.txt"


class Picture(NamedTuple):
    """A picture of a corpus."""

    split: str
    path: Path
    label: str


def read_folders(source: Path) -> list[Picture]:
    """A folder a class, all of it ``train``; or such folders in ``train``, ``validation`` (``val``) and ``test``."""
    splits = {
        SPLITS[child.name]: child for child in sorted(source.iterdir()) if child.is_dir() and child.name in SPLITS
    }
    if "train" not in splits:
        splits = {"train": source}
    return [picture for split, folder in splits.items() for picture in _class_folders(split, folder)]


def _class_folders(split: str, folder: Path) -> list[Picture]:
    found = []
    for row in load_rows([folder]):
        if row.label is None:
            raise UserError(f"{row.path}: lies beside the classes' folders; expected a folder a class in {folder}")
        found.append(Picture(split, Path(row.path), row.label))
    return found


def read_imagenet(source: Path) -> list[Picture]:
    """ILSVRC 2012 as unpacked: ``train/nXXXXXXXX`` and ``val``, flat or with a folder a class.

    A flat ``val`` needs the classes of its pictures in ``LOC_val_solution.csv``, or one a line in
    ``imagenet_2012_validation_synset_labels.txt``, in ``val`` or beside it.

    Raises:
        UserError: if a part is missing.
    """
    root = source / "ILSVRC" / "Data" / "CLS-LOC" if (source / "ILSVRC").is_dir() else source
    for part in ("train", "val"):
        if not (root / part).is_dir():
            raise UserError(f"{root}: no folder '{part}'; expected ILSVRC 2012 as unpacked, with train and val")
    validation = root / "val"
    names = sorted(child.name for child in validation.iterdir() if is_picture(child.name))
    if not names:
        return _class_folders("train", root / "train") + _class_folders("validation", validation)
    labels = _validation_labels(names, [validation, root, source])
    flat = [Picture("validation", validation / name, label) for name, label in zip(names, labels, strict=True)]
    return _class_folders("train", root / "train") + flat


def _validation_labels(names: Sequence[str], places: Sequence[Path]) -> list[str]:
    for place in places:
        if (place / _SOLUTION).is_file():
            return _from_solution(names, place / _SOLUTION)
        if (place / _SYNSETS).is_file():
            labels = (place / _SYNSETS).read_text(encoding="utf-8").split()
            if len(labels) != len(names):
                raise UserError(f"{place / _SYNSETS}: {len(labels)} classes for {len(names)} pictures in {places[0]}")
            return labels
    raise UserError(f"{places[0]}: pictures without classes; expected {_SOLUTION} or {_SYNSETS} beside it")


def _from_solution(names: Sequence[str], path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        labels = {row["ImageId"]: row["PredictionString"].split()[0] for row in csv.DictReader(file)}
    missing = [name for name in names if Path(name).stem not in labels]
    if missing:
        raise UserError(f"{path}: no class for {missing[0]}, and {len(missing) - 1} more")
    return [labels[Path(name).stem] for name in names]
