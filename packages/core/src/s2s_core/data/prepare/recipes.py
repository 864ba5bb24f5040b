"""Corpora that Lhotse has a recipe for."""

from __future__ import annotations

import inspect
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from s2s_core.data.prepare.rows import Rejected, Row
from s2s_core.data.prepare.tables import SPLIT_NAMES
from s2s_core.errors import UserError


def read_lhotse_recipe(name: str, source: Path) -> Iterator[Row | Rejected]:
    """Run Lhotse's ``prepare_NAME`` on a corpus folder; every supervision becomes an utterance.

    Raises:
        UserError: if Lhotse has no such recipe, or the recipe fails; says why.
    """
    recipe = _recipe(name)
    with tempfile.TemporaryDirectory() as scratch:
        keywords = {"output_dir": scratch} if "output_dir" in inspect.signature(recipe).parameters else {}
        try:
            manifests = recipe(source, **keywords)
        except Exception as error:  # recipes raise whatever they meet
            raise UserError(f"{source}: Lhotse's recipe {name!r} failed: {_reason(error)}") from None
        yield from _rows(manifests, "")


def _reason(error: Exception) -> str:
    message = " ".join(str(error).split())
    if message:
        return message
    last = traceback.extract_tb(error.__traceback__)[-1]  # recipes assert without a word
    return f"{last.line} (line {last.lineno} of {Path(last.filename).name})"


def _recipe(name: str) -> Any:
    from lhotse import recipes

    names = sorted(n.removeprefix("prepare_") for n in dir(recipes) if n.startswith("prepare_"))
    if name not in names:
        near = get_close_matches(name, names, n=3) or names
        raise UserError(f"Lhotse has no recipe {name!r}; it has {', '.join(near)}")
    return getattr(recipes, f"prepare_{name}")


def _rows(manifests: Any, split: str) -> Iterator[Row | Rejected]:
    if not isinstance(manifests, Mapping):
        raise UserError(f"the recipe gives no recordings and supervisions but a {type(manifests).__name__}")
    if "recordings" in manifests:
        yield from _rows_of_split(manifests, split or "train")
        return
    for key, part in manifests.items():
        yield from _rows(part, f"{split}-{key}" if split else str(key))


def _rows_of_split(manifests: Mapping[str, Any], split: str) -> Iterator[Row | Rejected]:
    from lhotse import CutSet

    if manifests.get("supervisions") is None:
        raise UserError(f"the recipe gives no transcripts for {split!r}")
    cuts = CutSet.from_manifests(recordings=manifests["recordings"], supervisions=manifests["supervisions"])
    for number, cut in enumerate(cuts.trim_to_supervisions(keep_overlapping=False), start=1):
        supervision = cut.supervisions[0]
        data = cut.to_dict()
        sources = data["recording"]["sources"]
        audio = Path(sources[0]["source"] if sources[0]["type"] == "file" else cut.recording_id)
        yield Row(
            split=SPLIT_NAMES.get(split, split),
            id=supervision.id,
            audio=audio,
            text=supervision.text or "",
            where=f"{split}:{number}",
            speaker=supervision.speaker,
            cut=data,
        )
