"""From a trained language model into a classifier, whose vocabulary may be another."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from s2s_core.checkpoint import SECTION, assets_of, build_task, check_task, read_checkpoint
from s2s_core.errors import UserError
from s2s_lm.adaptive_embedding import AdaptiveEmbedding
from s2s_lm.interfaces import LmEncoder
from s2s_lm.tokenizers import LmTokenizer, VocabularyTokenizer

SHOWN = 20


@dataclass
class TransferReport:
    """What came over."""

    loaded: int = 0
    """Weights, the embeddings aside."""
    known: int = 0
    """Entries of the classifier's vocabulary that the language model knows."""
    unknown: list[str] = field(default_factory=list)
    """Those that it does not: they begin as the mean of all its vectors."""

    def line(self) -> str:
        """For a person."""
        text = f"language model: {self.loaded} weights and {self.known} word vectors"
        if not self.unknown:
            return text
        more = ", ..." if len(self.unknown) > SHOWN else ""
        names = ", ".join(self.unknown[:SHOWN])
        return f"{text}; {len(self.unknown)} words are unknown to it and begin as its mean vector: {names}{more}"


def load_language_model(path: str, body: LmEncoder, tokenizer: LmTokenizer) -> TransferReport:
    """Fill ``body`` with the weights of the language model in a checkpoint; vectors go by word, not by number.

    Raises:
        UserError: if the checkpoint is of another task, or its body is not like ``body``; names what differs.
    """
    checkpoint = read_checkpoint(path)
    check_task(checkpoint, path, "lm")
    task = build_task(checkpoint[SECTION]["spec"], f"checkpoint '{path}'")
    task.load_assets(assets_of(checkpoint))
    prefix = "encoder."
    theirs = {name[len(prefix) :]: w for name, w in checkpoint["state_dict"].items() if name.startswith(prefix)}
    source = getattr(task, "tokenizer", None)
    assert isinstance(source, LmTokenizer)
    rows, report = _match(source, tokenizer)
    embeddings = [name for name in theirs if name.startswith("embedding.")]
    if isinstance(getattr(body, "embedding", None), AdaptiveEmbedding) and len(embeddings) > 1 and report.unknown:
        raise UserError(f"checkpoint '{path}': a model with adaptive input needs the classifier to have its vocabulary")
    state: dict[str, Tensor] = {}
    for name, own in body.state_dict().items():
        if name not in theirs:
            raise UserError(f"checkpoint '{path}': has no {name}; the classifier's body must be like the model's")
        found = theirs[name]
        if name in embeddings and len(embeddings) == 1:
            found = torch.cat([found, found.mean(0, keepdim=True)])[rows]  # the last row stands for unknown words
        if found.shape != own.shape:
            raise UserError(f"checkpoint '{path}': {name} is {tuple(found.shape)} there and {tuple(own.shape)} here")
        state[name] = found
        report.loaded += name not in embeddings
    body.load_state_dict(state)
    return report


def _match(source: LmTokenizer, target: LmTokenizer) -> tuple[Tensor, TransferReport]:
    """For each entry of ``target`` its number in ``source``, -1 where there is none."""
    if source.fingerprint() == target.fingerprint():
        return torch.arange(source.vocab_size), TransferReport(known=source.vocab_size)
    if not isinstance(source, VocabularyTokenizer) or not isinstance(target, VocabularyTokenizer):
        raise UserError("vocabularies of subwords cannot be mapped: prepare the texts with the language model's own")
    numbers = {entry: number for number, entry in enumerate(source.entries)}
    rows = [numbers.get(entry, -1) for entry in target.entries]
    unknown = [entry for entry, row in zip(target.entries, rows, strict=True) if row < 0]
    return torch.tensor(rows), TransferReport(known=len(rows) - len(unknown), unknown=unknown)
