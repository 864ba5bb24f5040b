"""From a corpus of pictures to manifests: read, check, write, sum up."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from s2s_commands.image_batches import open_picture
from s2s_commands.image_view import ImageView
from s2s_commands.prepare import cifar
from s2s_commands.prepare.clips import share_of
from s2s_commands.prepare.digits import written_digits
from s2s_commands.prepare.pictures import Picture, read_folders, read_imagenet
from s2s_core.data.output_folder import SUMMARY_FILE, all_or_nothing, check_free
from s2s_core.errors import UserError

REJECTED_FILE = "rejected.tsv"
_VIEW = ImageView()


@dataclass(frozen=True)
class ImageSummary:
    """What came of it, in figures."""

    splits: dict[str, dict[str, int]]
    """Pictures of each class of each split."""
    rejected: int
    files: list[str]

    def lines(self) -> list[str]:
        """For a person."""
        lines = []
        for split, classes in self.splits.items():
            fewest, most = min(classes.values()), max(classes.values())
            each = f"{fewest}" if fewest == most else f"{fewest} to {most}"
            lines.append(f"{split:<10} {sum(classes.values()):>8} pictures of {len(classes)} classes, {each} of each")
        return [*lines, f"left out: {self.rejected}; see {REJECTED_FILE}"] if self.rejected else lines


@dataclass(frozen=True)
class ImageOptions:
    """How a corpus is prepared."""

    holdout: float = 0.1
    """Share of every class of ``train`` that becomes ``validation`` where the corpus has none."""
    jobs: int = 1
    """Files to be checked at a time."""
    quick: bool = False
    """Believe the files' headers instead of decoding them."""
    overwrite: bool = False
    """Replace manifests that are there."""


def prepare_images(corpus: str, source: Path | None, output: Path, options: ImageOptions) -> ImageSummary:
    """Turn a corpus into manifests ``SPLIT.jsonl.gz`` of paths and labels.

    Every picture file is decoded; those that cannot be are listed in ``rejected.tsv`` and left out. Corpora that are
    no files (CIFAR-10's batches, the digits) are written as PNG under ``images``.

    Args:
        corpus: ``cifar10``, ``imagenet``, ``folders`` or ``digits``.
        source: the corpus; None for ``digits`` only.
        output: gets the manifests and ``summary.json``, all at once or, after an error, not at all.
        options: the rest.

    Raises:
        UserError: if the corpus is not where or what it should be, or nothing of it is good.
    """
    check_free(output, options.overwrite)
    if source is not None and not source.is_dir():
        raise UserError(f"--input {source}: no such folder")
    with all_or_nothing(output, options.overwrite) as folder:
        drawn = _drawn(corpus, source)
        if drawn is not None:
            good, rejected = _written(drawn, folder), []
        else:
            assert source is not None
            good, rejected = _checked(_read(corpus, source), options)
        if not good:
            raise UserError(f"{source}: none of the {len(rejected)} pictures is good; the first: {rejected[0]}")
        return _write(_with_validation(good, options.holdout), rejected, folder, drawn is not None)


def _drawn(corpus: str, source: Path | None) -> Iterable[tuple[str, str, str, np.ndarray]] | None:
    if corpus == "digits":
        return written_digits()
    if corpus == "cifar10" and source is not None:
        batches = cifar.batches_in(source)
        return cifar.pictures(batches) if batches else None
    return None


def _read(corpus: str, source: Path) -> list[Picture]:
    if corpus == "imagenet":
        return read_imagenet(source)
    found = read_folders(source)
    if corpus == "cifar10" and not {picture.label for picture in found} <= set(cifar.CLASSES):
        raise UserError(f"{source}: no CIFAR-10: expected its batches, binary or pickled, or folders of its classes")
    return found


def _written(drawn: Iterable[tuple[str, str, str, np.ndarray]], folder: Path) -> list[Picture]:
    found = []
    for split, label, name, pixels in tqdm(drawn, unit=" pictures", desc="writing", disable=None):
        path = Path("images") / split / label / name
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / path, compress_level=1)
        found.append(Picture(split, path, label))
    return found


def _checked(found: Sequence[Picture], options: ImageOptions) -> tuple[list[Picture], list[str]]:
    check = _header if options.quick else _decode
    with ThreadPoolExecutor(options.jobs) as pool:  # decoding lets go of the interpreter's lock
        results = pool.map(check, [picture.path for picture in found])
        results = list(tqdm(results, total=len(found), unit=" pictures", desc="checking", disable=None))
    good = [picture for picture, wrong in zip(found, results, strict=True) if wrong is None]
    return good, [wrong for wrong in results if wrong is not None]


def _decode(path: Path) -> str | None:
    try:
        open_picture(path, _VIEW)
    except UserError as error:
        return str(error)
    return None


def _header(path: Path) -> str | None:
    try:
        with Image.open(path):
            return None
    except OSError:
        return f"{path}: not a picture"


def _with_validation(found: list[Picture], holdout: float) -> dict[str, list[Picture]]:
    splits: dict[str, list[Picture]] = {}
    for picture in found:
        splits.setdefault(picture.split, []).append(picture)
    if "validation" in splits or not holdout or "train" not in splits:
        return splits
    classes: dict[str, list[Picture]] = {}
    for picture in splits["train"]:
        classes.setdefault(picture.label, []).append(picture)
    held = set()
    for pictures in classes.values():
        # the same pictures whatever the order of the files, and a share of every class
        pictures.sort(key=lambda picture: share_of(f"{picture.label}/{picture.path.name}"))
        held |= set(pictures[: round(holdout * len(pictures))])
    splits["validation"] = [picture for picture in splits["train"] if picture in held]
    splits["train"] = [picture for picture in splits["train"] if picture not in held]
    return {split: splits[split] for split in ("train", "validation", "test") if splits.get(split)}


def _write(splits: dict[str, list[Picture]], rejected: list[str], folder: Path, drawn: bool) -> ImageSummary:
    files = [f"{split}.jsonl.gz" for split in splits]
    for name, pictures in zip(files, splits.values(), strict=True):
        with gzip.open(folder / name, "wt", encoding="utf-8") as file:
            for picture in pictures:
                path = picture.path.as_posix() if drawn else str(picture.path.resolve())
                file.write(json.dumps({"path": path, "label": picture.label}, ensure_ascii=False) + "\n")
    (folder / REJECTED_FILE).write_text("".join(f"{line}\n" for line in rejected), encoding="utf-8")
    counts = {
        split: dict(sorted(Counter(picture.label for picture in pictures).items()))
        for split, pictures in splits.items()
    }
    files = [*files, REJECTED_FILE, *(["images"] if drawn else [])]
    summary = {"splits": counts, "rejected": len(rejected), "files": files}
    (folder / SUMMARY_FILE).write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return ImageSummary(counts, len(rejected), files)
