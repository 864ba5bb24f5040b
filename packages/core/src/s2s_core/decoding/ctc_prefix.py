"""What CTC says of a text so far, label by label, so that it can take part in a search over labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from s2s_core.decoding.state import DecodingState
from s2s_core.nn.mask import length_mask

IMPOSSIBLE = -1e10
"""The log probability of what cannot be; sums and differences of it stay numbers."""


class CtcFrames(NamedTuple):
    """What all texts of an utterance share."""

    log_probs: Tensor
    """``(utterances, labels + 1, time)``, blank last, float64; 0 behind an utterance's end."""
    sums: Tensor
    """``(utterances, labels + 1, time + 1)``: log probabilities summed over the frames before."""
    probs: Tensor
    """``(utterances, time, labels)``: without blank; 0 behind an utterance's end."""
    lengths: Tensor
    """``(utterances,)``: frames."""


@dataclass
class CtcPrefixState(DecodingState):
    """The paths that spell each row's text in the frames up to each."""

    frames: CtcFrames
    width: int
    """Rows of each utterance."""
    last: Tensor
    """``(rows,)``: the text's last label; blank before the first."""
    by_label: Tensor
    """``(rows, time + 1)``: of paths that spell the text in so many frames and end in its last label."""
    by_blank: Tensor
    """As ``by_label``, of those that end in blank."""
    prefix: Tensor
    """``(rows,)``: the log probability that a text begins so."""
    attention: Tensor | None = None

    @property
    def utterances(self) -> Tensor:
        """``(rows,)``: of which utterance each row is."""
        return torch.arange(len(self.last), device=self.last.device) // self.width

    @property
    def inside(self) -> Tensor:
        """``(rows, time)``: true in an utterance's frames."""
        mask = length_mask(self.frames.lengths, self.frames.log_probs.shape[2])
        return mask.repeat_interleave(self.width, dim=0)

    def expand(self, width: int) -> CtcPrefixState:
        fields = {name: getattr(self, name).repeat_interleave(width, dim=0) for name in _OF_ROWS}
        return replace(self, width=self.width * width, **fields)

    def select(self, rows: Tensor) -> CtcPrefixState:
        fields = {name: getattr(self, name).index_select(0, rows) for name in _OF_ROWS}
        frames = self.frames
        if len(rows) != len(self.last):  # some sentences have left
            kept = rows[:: self.width] // self.width
            frames = CtcFrames(*(part.index_select(0, kept) for part in frames))
        return replace(self, frames=frames, **fields)


_OF_ROWS = ("last", "by_label", "by_blank", "prefix")


class CtcPrefix:
    """The probability under CTC that the next label is this one, given those before it.

    The ratio of two prefix probabilities (Watanabe et al. 2017, https://doi.org/10.1109/JSTSP.2017.2763455, section
    III.C, algorithm 2). The end's is that of the text being all there is, so that all add up to one.

    All labels and frames of a step are one computation: the paths that end in a label are, in logarithms, a cumulative
    sum over where it began, and those of all next labels a matrix product of what is spelt before each frame with the
    probabilities there. In that product paths count for nothing that are less probable than the best one's beginning by
    a factor of e^700, which float64 cannot hold.

    Args:
        labels: how many there are without blank; the end token is the number after them.
    """

    def __init__(self, labels: int) -> None:
        self.labels = labels
        self.vocab_size = labels + 1

    def start(self, logits: Tensor, lengths: Tensor) -> CtcPrefixState:
        """The state before the first label, for logits ``(batch, time, labels + 1)``, blank last."""
        inside = length_mask(lengths, logits.shape[1])[..., None]
        log_probs = logits.double().log_softmax(-1).masked_fill(~inside, 0.0)
        probs = log_probs[..., : self.labels].exp().masked_fill(~inside, 0.0)
        by_frame = log_probs.transpose(1, 2).contiguous()
        sums = torch.nn.functional.pad(by_frame.cumsum(2), (1, 0))
        by_blank = sums[:, self.labels]
        zeros = log_probs.new_zeros(len(logits))
        nothing = torch.full_like(by_blank, IMPOSSIBLE)
        last = torch.full((len(logits),), self.labels, device=logits.device)
        return CtcPrefixState(CtcFrames(by_frame, sums, probs, lengths), 1, last, nothing, by_blank, zeros)

    def step(self, tokens: Tensor, state: DecodingState) -> tuple[Tensor, CtcPrefixState]:
        """Take one more label a row, ``(rows,)``, the start token the first; returns log probabilities
        ``(rows, labels + 1)`` of the next, the end last."""
        assert isinstance(state, CtcPrefixState)
        state = self._taken(tokens, state)
        spelt = torch.logaddexp(state.by_label, state.by_blank)
        ends = spelt.gather(1, state.frames.lengths.repeat_interleave(state.width)[:, None])
        before = spelt[:, :-1]
        most = before.amax(1, keepdim=True) if before.shape[1] else before.new_zeros(len(before), 1)
        shares = (before - most).exp().view(len(state.frames.probs), state.width, -1)
        paths = torch.bmm(shares, state.frames.probs).flatten(0, 1).log() + most
        # the last label again: only behind blank
        again = state.last.clamp(max=self.labels - 1)
        place = again[:, None]
        log_probs = state.frames.log_probs[state.utterances, again]
        repeated = (state.by_blank[:, :-1] + log_probs).masked_fill(~state.inside, IMPOSSIBLE).logsumexp(1)
        spells = (state.last < self.labels)[:, None]
        paths = paths.scatter(1, place, torch.where(spells, repeated[:, None], paths.gather(1, place)))
        prefixes = torch.cat([paths, ends], dim=1)
        steps = (prefixes - state.prefix[:, None]).clamp(min=IMPOSSIBLE, max=0.0)
        return steps, state

    def _taken(self, tokens: Tensor, state: CtcPrefixState) -> CtcPrefixState:
        """The state after one more label, for rows whose token is one."""
        label, rows = tokens.clamp(max=self.labels - 1), state.utterances
        sums, blanks = state.frames.sums[rows, label], state.frames.sums[rows, self.labels]
        log_probs = state.frames.log_probs[rows, label]
        either = torch.logaddexp(state.by_label, state.by_blank)
        begins = torch.where((label == state.last)[:, None], state.by_blank, either)[:, :-1]
        # r(t) = p(t) (begins(t - 1) + r(t - 1)): a sum over the frame in which the label began
        by_label = sums[:, 1:] + (begins - sums[:, :-1]).logcumsumexp(1)
        by_label = torch.nn.functional.pad(by_label, (1, 0), value=IMPOSSIBLE).clamp(min=IMPOSSIBLE)
        # likewise: blanks since the frame in which the first of them came
        before = (by_label[:, :-1] - blanks[:, :-1]).logcumsumexp(1)
        by_blank = torch.nn.functional.pad(blanks[:, 1:] + before, (1, 0), value=IMPOSSIBLE).clamp(min=IMPOSSIBLE)
        prefix = (begins + log_probs).masked_fill(~state.inside, IMPOSSIBLE).logsumexp(1)
        spells = (tokens < self.labels)[:, None]
        return replace(
            state,
            last=torch.where(spells[:, 0], tokens, state.last),
            by_label=torch.where(spells, by_label, state.by_label),
            by_blank=torch.where(spells, by_blank, state.by_blank),
            prefix=torch.where(spells[:, 0], prefix.clamp(min=IMPOSSIBLE), state.prefix),
        )
