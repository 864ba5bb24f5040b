"""A trained classifier in use."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from s2s_core.errors import UserError
from s2s_lm.sentiment.interfaces import ClassificationBatch
from s2s_lm.sentiment.padding import pad_texts

if TYPE_CHECKING:
    from s2s_lm.sentiment.task import SentimentClassification


@dataclass(frozen=True)
class Classified:
    """A text's class."""

    text: str
    label: str
    probabilities: dict[str, float]
    """Of every class."""

    def row(self) -> dict[str, object]:
        """All of it, as the command line prints and the server answers it."""
        return {"text": self.text, "label": self.label, "probabilities": self.probabilities}


class SentimentClassifier:
    """Texts to classes; make one with `load`.

    Args:
        task: the trained task, on its device.
        max_length: longer texts keep their last so many tokens.
    """

    def __init__(self, task: SentimentClassification, max_length: int = 256) -> None:
        self.task = task.eval()
        self.max_length = max_length

    @classmethod
    def load(
        cls, checkpoint: str | os.PathLike[str], device: str = "cpu", precision: str = "32-true", max_length: int = 256
    ) -> SentimentClassifier:
        """Rebuild a classifier from its checkpoint alone.

        Raises:
            UserError: if the file is unreadable or not of a classifier of texts.
        """
        from s2s_core.checkpoint import load_task
        from s2s_lm.sentiment.task import SentimentClassification

        task = load_task(checkpoint, SentimentClassification.name, device)
        assert isinstance(task, SentimentClassification)
        if precision not in ("32-true", "bf16"):
            raise UserError(f"precision '{precision}': expected 32-true or bf16")
        return cls(task.to(torch.bfloat16) if precision == "bf16" else task, max_length)

    @torch.inference_mode()
    def classify(self, texts: Sequence[str], batch_size: int = 64) -> list[Classified]:
        """Classify texts; which are computed together changes nothing."""
        tokenizer = self.task.tokenizer
        ids = [tokenizer.encode(text)[-self.max_length :] for text in texts]
        order = sorted(range(len(texts)), key=lambda i: len(ids[i]))
        found: list[Classified | None] = [None] * len(texts)
        device = next(self.task.parameters()).device
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            tokens, lengths = pad_texts([ids[i] for i in rows], tokenizer.eos_id)
            unknown = torch.full((len(rows),), -1)
            batch = ClassificationBatch(tokens.to(device), lengths, unknown, [""] * len(rows))
            for i, shares in zip(rows, self.task.logits(batch).softmax(1).tolist(), strict=True):
                named = dict(zip(self.task.labels, shares, strict=True))
                found[i] = Classified(texts[i], max(named, key=named.__getitem__), named)
        return [one for one in found if one is not None]
