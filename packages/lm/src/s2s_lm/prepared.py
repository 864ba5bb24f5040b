"""Splits in the Arrow files that ``prepare`` writes."""

from __future__ import annotations

from collections.abc import Iterator

from lightning.pytorch.trainer.states import TrainerFn

from s2s_core.data.splits import SplitData
from s2s_core.data.text import TextTable
from s2s_core.errors import UserError

Files = str | list[str] | None


class PreparedData(SplitData):
    """What data modules of prepared text share.

    Args:
        train, validation, test, predict: prepared files.
    """

    def __init__(self, train: Files, validation: Files, test: Files, predict: Files) -> None:
        super().__init__()
        self.files: dict[str, Files] = {"train": train, "validation": validation, "test": test, "predict": predict}

    def _tables(self, stage: str) -> Iterator[tuple[str, TextTable]]:
        """Open the files of a stage; a fit can do without validation.

        Raises:
            UserError: if one is not given, or cannot be read.
        """
        for split in self._unread(stage, self.files):
            files = self.files[split]
            if not files:
                verb = TrainerFn(stage).value
                raise UserError(f"data.init_args.{split}: expected a prepared file to {verb} with")
            yield split, TextTable([files] if isinstance(files, str) else files)

    def predict_ids(self) -> list[str]:
        """The rows of the predict file, from 1."""
        return [str(number + 1) for number in range(len(self._read["predict"]))]
