"""Scores of labels a frame, and of what follows what: the decoder of the auto segmentation criterion."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from s2s_asr.interfaces import FrameDecoder, TokenSpan
from s2s_asr.replabel import unpack_repeats
from s2s_asr.words import runs
from s2s_core.nn.cells import wide
from s2s_core.nn.mask import length_mask


class AsgScores(NamedTuple):
    """What `s2s_asr.losses.asg.AsgLoss` takes."""

    logits: Tensor
    """``(batch, time, labels)``."""
    transitions: Tensor
    """``(labels, labels)``: of the second following the first."""
    replabels: int


class AsgDecoder(FrameDecoder):
    """One linear layer a frame, and a learnt score of each label after each (Collobert et al. 2016,
    https://arxiv.org/abs/1609.03193, section 2.3).

    There is no blank: a label lasts until the next one. What comes twice is spelt with labels for repetition, which
    stand behind the tokenizer's (`s2s_asr.replabel`).

    Args:
        in_features: size of an encoding.
        vocab_size: number of labels, without those for repetition.
        replabels: how many of those; label ``vocab_size + k - 1`` repeats ``k`` times. The paper has 2.

    Raises:
        ValueError: if a size is out of its range.
    """

    gives: ClassVar[str] = "frames and transitions"

    def __init__(self, in_features: int, vocab_size: int, replabels: int = 2) -> None:
        super().__init__()
        if in_features < 1 or vocab_size < 1 or replabels < 0:
            raise ValueError(
                f"in_features and vocab_size must be positive, replabels not negative, "
                f"got {in_features}, {vocab_size} and {replabels}"
            )
        self.in_features, self.vocab_size, self.replabels = in_features, vocab_size, replabels
        labels = vocab_size + replabels
        self.linear = nn.Linear(in_features, labels)
        self.transitions = nn.Parameter(torch.zeros(labels, labels))
        nn.init.xavier_uniform_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    @classmethod
    def examples(cls) -> list[AsgDecoder]:
        """Small ones for the contract tests."""
        return [cls(in_features=7, vocab_size=5), cls(in_features=7, vocab_size=5, replabels=0)]

    def forward(self, encodings: Tensor, lengths: Tensor) -> Tensor:
        """Score ``(batch, time, in_features)``: logits ``(batch, time, vocab_size + replabels)``."""
        return self.linear(encodings)

    def scores(self, seen: Tensor, lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> AsgScores:
        return AsgScores(seen, self.transitions, self.replabels)

    def greedy(self, logits: Tensor, lengths: Tensor) -> list[list[int]]:
        """The labels of the best path (Viterbi), repetitions spelt out."""
        return [[span.token for span in row] for row in self.greedy_spans(logits, lengths)]

    @torch.no_grad()
    def greedy_spans(self, logits: Tensor, lengths: Tensor) -> list[list[TokenSpan]]:
        """The labels of the best path and the frames of each; labels that a repetition spells share its frames.

        A probability is that of a label in its best frame, by the frame's scores alone.
        """
        wide_logits = wide(logits)
        paths = best_paths(wide_logits, self.transitions.to(wide_logits), lengths)
        chances = wide_logits.softmax(-1).gather(2, paths[..., None])[..., 0].tolist()
        rows = zip(paths.tolist(), chances, lengths.tolist(), strict=True)
        return [self._spans(path[:length], chance[:length]) for path, chance, length in rows]

    def _spans(self, path: list[int], chances: list[float]) -> list[TokenSpan]:
        found = runs(path, chances)
        spelt = unpack_repeats([run.token for run in found], self.vocab_size)
        return [found[place]._replace(token=token) for token, place in spelt]


def best_paths(logits: Tensor, transitions: Tensor, lengths: Tensor) -> Tensor:
    """The label of each frame on the path with the highest sum of scores and transitions, ``(batch, time)``.

    Args:
        logits: ``(batch, time, labels)``.
        transitions: ``(labels, labels)``.
        lengths: ``(batch,)``; what lies behind is repeated from an utterance's last frame.
    """
    batch, time, labels = logits.shape
    if time == 0:
        return torch.zeros((batch, 0), dtype=torch.int64, device=logits.device)
    real = length_mask(lengths, time)
    best, stay = logits[:, 0], torch.arange(labels, device=logits.device).expand(batch, -1)
    pointers: list[Any] = []
    for t in range(1, time):
        values, before = (best[:, :, None] + transitions).max(dim=1)
        here = real[:, t, None]
        best = torch.where(here, values + logits[:, t], best)
        pointers.append(torch.where(here, before, stay))
    path = [best.argmax(dim=1)]
    for before in reversed(pointers):
        path.append(before.gather(1, path[-1][:, None])[:, 0])
    return torch.stack(path[::-1], dim=1)
