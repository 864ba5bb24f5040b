"""Holds what `convert` makes of an old config to be a config: it parses, and its model builds."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from torch import nn

from s2s_core.checkpoint import build_task
from s2s_core.cli.convert import convert
from s2s_core.cli.runs import key_parser
from s2s_core.cli.tasks import find_task


class Converted(NamedTuple):
    """What came out: the YAML's content, the notes, and the model, on no device."""

    content: dict[str, Any]
    notes: list[str]
    model: nn.Module

    def part(self, name: str) -> dict[str, Any]:
        """An argument of the task."""
        return self.content["model"]["init_args"][name]

    @property
    def parameters(self) -> int:
        """How many the model has."""
        return sum(parameter.numel() for parameter in self.model.parameters())


@cache
def _parser(task: str) -> Any:
    return key_parser(find_task(task), trains=True)


def converted(task: str, text: str, folder: Path) -> Converted:
    """Convert the text of a Python config, parse the YAML as ``fit`` does, and build the model."""
    old, new = folder / "old.py", folder / "new.yaml"
    old.write_text(text, encoding="utf-8")
    written, notes = convert(find_task(task), old)
    new.write_text(written, encoding="utf-8")
    parsed = _parser(task).parse_args(["--config", str(new)])
    with torch.device("meta"):
        model = build_task(parsed["model"].as_dict(), "new.yaml")
    return Converted(yaml.safe_load(written), notes, model)
