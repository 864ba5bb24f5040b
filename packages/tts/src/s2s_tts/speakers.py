"""Voices that a model knows by name."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

import torch
from torch import Tensor, nn

from s2s_core.errors import UserError
from s2s_core.part import Part


class Speakers(Part, nn.Module):
    """A trained vector for each speaker of a list, which joins the encodings of what they say.

    A checkpoint keeps the list.

    Args:
        count: how many there are.
        features: the size of a vector.
        names_file: a name a line, as ``prepare`` writes it; may be absent if the list comes from a checkpoint.

    Raises:
        UserError: if the file has another number of names.
    """

    ASSET = "speakers.txt"
    """The list's name among a checkpoint's assets."""

    def __init__(self, count: int, features: int = 64, names_file: str = "speakers.txt") -> None:
        super().__init__()
        if count < 1:
            raise ValueError(f"count must be positive, got {count}")
        self.count = count
        self.out_features = features
        self.names_file = names_file
        self.names: list[str] = []
        self.embedding = nn.Embedding(count, features)
        if Path(names_file).is_file():
            self._take(Path(names_file).read_text(encoding="utf-8"))

    def _take(self, text: str) -> None:
        names = [line for line in text.splitlines() if line]
        if len(names) != self.count:
            raise UserError(
                f"{self.names_file}: {len(names)} speakers, model.init_args.speakers.init_args.count is {self.count}"
            )
        self.names = names

    def index(self, name: str | None) -> int:
        """The number of a speaker.

        Raises:
            UserError: if there is none of that name, or no list; says which there are.
        """
        if not self.names:
            raise UserError(f"{self.names_file}: no such list of speakers; `prepare` writes one")
        if name not in self.names:
            near = get_close_matches(name or "", self.names, n=5, cutoff=0.3) or self.names[:8]
            raise UserError(f"no speaker {name!r} among the model's {self.count}; there are {', '.join(near)}")
        return self.names.index(name)

    def forward(self, speakers: Tensor) -> Tensor:
        """Vectors ``(batch, out_features)`` of numbers ``(batch,)``."""
        return torch.tanh(self.embedding(speakers))

    def assets(self) -> dict[str, bytes]:
        """The list, for a checkpoint."""
        return {self.ASSET: "\n".join(self.names).encode()} if self.names else {}

    def load_assets(self, assets: dict[str, bytes]) -> None:
        """Take back what `assets` gave."""
        if self.ASSET in assets:
            self._take(assets[self.ASSET].decode())
