"""What CTC says of a text so far, label by label, so that it can take part in a search over labels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from s2s_core.decoding.state import DecodingState
from s2s_core.nn.mask import length_mask

IMPOSSIBLE = -1e10
"""The log probability of what cannot be; sums and differences of it stay numbers."""


@dataclass
class CtcPrefixState(DecodingState):
    """The paths that spell each row's text in the frames up to each."""

    log_probs: Tensor
    """``(rows, time, labels + 1)``, blank last, float64."""
    sums: Tensor
    """``(rows, time + 1, labels + 1)``: log probabilities summed over the frames before."""
    lengths: Tensor
    """``(rows,)``: frames."""
    last: Tensor
    """``(rows,)``: the text's last label; blank before the first."""
    by_label: Tensor
    """``(rows, time + 1)``: of paths that spell the text in so many frames and end in its last label."""
    by_blank: Tensor
    """As ``by_label``, of those that end in blank."""
    prefix: Tensor
    """``(rows,)``: the log probability that a text begins so."""
    attention: Tensor | None = None

    def expand(self, width: int) -> CtcPrefixState:
        return self.select(torch.arange(len(self.last), device=self.last.device).repeat_interleave(width))

    def select(self, rows: Tensor) -> CtcPrefixState:
        fields = ["last", "by_label", "by_blank", "prefix"]
        if len(rows) != len(self.last):  # else no sentence has left, and the rows of one have the same frames
            fields += ["log_probs", "sums", "lengths"]
        return replace(self, **{name: getattr(self, name).index_select(0, rows) for name in fields})


class CtcPrefix:
    """The probability under CTC that the next label is this one, given those before it.

    The ratio of two prefix probabilities (Watanabe et al. 2017, https://doi.org/10.1109/JSTSP.2017.2763455, section
    III.C, algorithm 2). The end's is that of the text being all there is, so that all add up to one.

    All labels and frames of a step are one computation: in logarithms, the paths that end in a label are a cumulative
    sum over where it began.

    Args:
        labels: how many there are without blank; the end token is the number after them.
    """

    def __init__(self, labels: int) -> None:
        self.labels = labels
        self.vocab_size = labels + 1

    def start(self, logits: Tensor, lengths: Tensor) -> CtcPrefixState:
        """The state before the first label, for logits ``(batch, time, labels + 1)``, blank last."""
        log_probs = logits.double().log_softmax(-1)
        log_probs = log_probs.masked_fill(~length_mask(lengths, logits.shape[1])[..., None], 0.0)
        sums = torch.nn.functional.pad(log_probs.cumsum(1), (0, 0, 1, 0))
        by_blank = sums[..., self.labels]
        zeros = log_probs.new_zeros(len(logits))
        nothing = torch.full_like(by_blank, IMPOSSIBLE)
        last = torch.full((len(logits),), self.labels, device=logits.device)
        return CtcPrefixState(log_probs, sums, lengths, last, nothing, by_blank, zeros)

    def step(self, tokens: Tensor, state: DecodingState) -> tuple[Tensor, CtcPrefixState]:
        """Take one more label a row, ``(rows,)``, the start token the first; returns log probabilities
        ``(rows, labels + 1)`` of the next, the end last."""
        assert isinstance(state, CtcPrefixState)
        state = self._taken(tokens, state)
        begins = self._begins(state)
        ends = torch.logaddexp(state.by_label, state.by_blank).gather(1, state.lengths[:, None])
        inside = length_mask(state.lengths, state.log_probs.shape[1])[..., None]
        paths = (begins + state.log_probs[..., : self.labels]).masked_fill(~inside, IMPOSSIBLE)
        prefixes = torch.cat([paths.logsumexp(1), ends], dim=1)
        steps = (prefixes - state.prefix[:, None]).clamp(min=IMPOSSIBLE, max=0.0)
        return steps, state

    def _begins(self, state: CtcPrefixState) -> Tensor:
        """Paths after which each label may begin in the next frame, ``(rows, time, labels)``: after itself, behind
        blank only."""
        either = torch.logaddexp(state.by_label, state.by_blank)[:, :-1, None]
        repeated = torch.arange(self.labels, device=state.last.device) == state.last[:, None, None]
        return torch.where(repeated, state.by_blank[:, :-1, None], either)

    def _taken(self, tokens: Tensor, state: CtcPrefixState) -> CtcPrefixState:
        """The state after one more label, for rows whose token is one."""
        label = tokens.clamp(max=self.labels - 1)
        index = label[:, None, None].expand(-1, state.sums.shape[1], 1)
        sums, blanks = state.sums.gather(2, index)[..., 0], state.sums[..., self.labels]
        log_probs = state.log_probs.gather(2, index[:, 1:])[..., 0]
        begins = self._begins(state).gather(2, index[:, 1:])[..., 0]
        inside = length_mask(state.lengths, log_probs.shape[1])
        # r(t) = p(t) (begins(t - 1) + r(t - 1)): a sum over the frame in which the label began
        by_label = sums[:, 1:] + (begins - sums[:, :-1]).logcumsumexp(1)
        by_label = torch.nn.functional.pad(by_label, (1, 0), value=IMPOSSIBLE).clamp(min=IMPOSSIBLE)
        # likewise: blanks since the frame in which the first of them came
        before = (by_label[:, :-1] - blanks[:, :-1]).logcumsumexp(1)
        by_blank = torch.nn.functional.pad(blanks[:, 1:] + before, (1, 0), value=IMPOSSIBLE).clamp(min=IMPOSSIBLE)
        prefix = (begins + log_probs).masked_fill(~inside, IMPOSSIBLE).logsumexp(1)
        spells = (tokens < self.labels)[:, None]
        return replace(
            state,
            last=torch.where(spells[:, 0], tokens, state.last),
            by_label=torch.where(spells, by_label, state.by_label),
            by_blank=torch.where(spells, by_blank, state.by_blank),
            prefix=torch.where(spells[:, 0], prefix.clamp(min=IMPOSSIBLE), state.prefix),
        )
