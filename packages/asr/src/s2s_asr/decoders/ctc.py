"""One linear layer a frame, and the best path through its scores."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from s2s_asr.interfaces import FrameDecoder, TokenSpan
from s2s_core.errors import UserError
from s2s_core.nn.mask import length_mask


class CtcDecoder(FrameDecoder):
    """Scores the tokenizer's labels and blank, which is last, from each encoding alone.

    The weights start Glorot-uniform and the bias at zero, as in OpenSeq2Seq.

    Args:
        in_features: size of an encoding.
        vocab_size: number of labels, without blank.
    """

    def __init__(self, in_features: int, vocab_size: int) -> None:
        super().__init__()
        if in_features < 1 or vocab_size < 1:
            raise ValueError(f"in_features and vocab_size must be positive, got {in_features} and {vocab_size}")
        self.in_features = in_features
        self.vocab_size = vocab_size
        self.linear = nn.Linear(in_features, vocab_size + 1)
        nn.init.xavier_uniform_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    @classmethod
    def examples(cls) -> list[CtcDecoder]:
        """Small ones for the contract tests."""
        return [cls(in_features=7, vocab_size=5)]

    def forward(self, encodings: Tensor, lengths: Tensor) -> Tensor:
        """Score ``(batch, time, in_features)``: logits ``(batch, time, vocab_size + 1)``."""
        return self.linear(encodings)

    def greedy(self, logits: Tensor, lengths: Tensor) -> list[list[int]]:
        """Return each utterance's best path, repeats merged and blanks dropped (Graves et al. 2006, section 3.2).

        Args:
            logits: ``(batch, time, vocab_size + 1)``.
            lengths: ``(batch,)`` frames.
        """
        best = logits.argmax(dim=-1)
        starts, _ = self._runs(best, lengths)
        counts = starts.sum(dim=1).tolist()
        return [row.tolist() for row in best[starts].cpu().split(counts)]

    def greedy_spans(self, logits: Tensor, lengths: Tensor) -> list[list[TokenSpan]]:
        """Return the tokens of `greedy` with the frames that spell them and their probabilities."""
        # subtracting the normaliser spares a softmax over labels that the best path does not use
        top, best = logits.float().max(dim=-1)
        log_prob = top - logits.float().logsumexp(dim=-1)
        starts, ends = self._runs(best, lengths)
        counts = starts.sum(dim=1).tolist()
        first, last = starts.nonzero()[:, 1], ends.nonzero()[:, 1]
        run = starts.flatten().cumsum(0).reshape(starts.shape) - 1
        inside = length_mask(lengths, best.shape[1]) & (best != self.vocab_size)
        peak = torch.full((len(first),), -torch.inf, device=logits.device)
        peak = peak.scatter_reduce(0, run[inside], log_prob[inside], "amax")
        columns = (best[starts].tolist(), first.tolist(), (last + 1).tolist(), peak.exp().tolist())
        spans = iter([TokenSpan(*row) for row in zip(*columns, strict=True)])
        return [[next(spans) for _ in range(count)] for count in counts]

    def _runs(self, best: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return masks ``(batch, time)`` of the first and the last frame of each run of one label that is not blank."""
        real = length_mask(lengths, best.shape[1]) & (best != self.vocab_size)
        starts, ends = real.clone(), real.clone()
        changed = best[:, 1:] != best[:, :-1]
        starts[:, 1:] &= changed
        ends[:, :-1] &= changed | ~real[:, 1:]
        return starts, ends


def expect_ctc(decoder: object, verb: str) -> CtcDecoder:
    """The decoder, for what only a CTC model can do.

    Args:
        decoder: a model's.
        verb: what it is to do, for the message.

    Raises:
        UserError: if it is another.
    """
    if not isinstance(decoder, CtcDecoder):
        raise UserError(f"only a CTC model can {verb}, this one has a {type(decoder).__name__}")
    return decoder
