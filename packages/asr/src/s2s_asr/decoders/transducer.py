"""Recurrent neural network transducer: a network that hears, one that spells, and one that joins the two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s_asr.decoders.transducer_search import TransducerSearch
from s2s_asr.interfaces import FoundText, SearchPlan, SpellingDecoder, TokenSpan
from s2s_asr.words import marks
from s2s_core.nn.cells import wide
from s2s_core.nn.dropout import Dropout
from s2s_core.nn.linear import Linear
from s2s_core.nn.recurrent_stack import LayerState, RecurrentLayers, RecurrentStack


class TransducerDecoder(SpellingDecoder):
    """Scores of the next label from a frame and from the labels before it (Graves 2012,
    https://arxiv.org/abs/1211.3711; joined as in Graves et al. 2013, https://arxiv.org/abs/1303.5778, section 3.2).

    ``W tanh(A encoding + B state)`` over the labels and blank, which is last. The state is that of recurrent layers
    over the labels so far, which begin with blank: until a label comes.

    Args:
        in_features: size of an encoding.
        vocab_size: number of labels, without blank.
        embedding_size: of a label.
        layers: the prediction network's, and its dropout.
        joint_size: of the space in which frames and labels meet.
        dropout: drop probability of a label's embedding and of what the two give together.
        search: how text is found; the default is greedy.

    Raises:
        ValueError: if a size is not positive.
    """

    gives: ClassVar[str] = "lattice"

    def __init__(
        self,
        in_features: int,
        vocab_size: int,
        embedding_size: int = 128,
        layers: RecurrentLayers | None = None,
        joint_size: int = 256,
        dropout: float = 0.0,
        search: TransducerSearch | None = None,
    ) -> None:
        super().__init__()
        if min(in_features, vocab_size, embedding_size, joint_size) < 1:
            raise ValueError(f"sizes must be positive, got {in_features}, {vocab_size}, {embedding_size}, {joint_size}")
        self.in_features, self.vocab_size = in_features, vocab_size
        settings = layers or RecurrentLayers(hidden_size=256, num_layers=1)
        self.search = search or TransducerSearch()
        self.embedding = nn.Embedding(vocab_size + 1, embedding_size)
        self.prediction = RecurrentStack(settings, embedding_size)
        self.heard = Linear(in_features, joint_size)
        self.spelt = Linear(self.prediction.out_features, joint_size, bias=False)
        self.joint = Linear(joint_size, vocab_size + 1)
        self.dropout = Dropout(dropout)

    @classmethod
    def examples(cls) -> list[TransducerDecoder]:
        """Small ones for the contract tests."""
        two = RecurrentLayers(6, 2, cell="gru")
        return [
            cls(7, 5, 4, RecurrentLayers(6, 1), joint_size=6),
            cls(7, 5, 4, two, joint_size=6, search=TransducerSearch(beam_width=3)),
        ]

    def forward(self, encodings: Tensor, lengths: Tensor) -> Tensor:
        """The frames' share of the joint network, ``(batch, time, joint_size)``."""
        return self.heard(encodings)

    def scores(self, seen: Tensor, lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> Tensor:
        """Logits ``(batch, time, tokens + 1, vocab_size + 1)``: of what follows each label at each frame."""
        spelt = self.spell(tokens)
        return self.join(seen[:, :, None], spelt[:, None])

    def spell(self, tokens: Tensor) -> Tensor:
        """The labels' share of the joint network before the first and after each, ``(batch, tokens + 1, joint_size)``.

        What stands after a row's end takes no part before it, so lengths are not asked for.
        """
        batch, steps = len(tokens), tokens.shape[1] + 1
        shifted = F.pad(tokens, (1, 0), value=self.vocab_size)
        embedded = self.dropout(self.embedding(shifted.T.reshape(-1)))  # frames in order of time, as layers take them
        out, _ = self.prediction(embedded, [batch] * steps)
        return self.spelt(out).view(steps, batch, -1).transpose(0, 1)

    def join(self, heard: Tensor, spelt: Tensor) -> Tensor:
        """Logits over labels and blank of shares ``(..., joint_size)`` that broadcast."""
        return self.joint(self.dropout(torch.tanh(heard + spelt)))

    def start(self, rows: int, like: Tensor) -> list[LayerState]:
        """The prediction network before its first step."""
        return self.prediction.initial_state(rows, like)

    def step(self, tokens: Tensor, state: list[LayerState]) -> tuple[Tensor, list[LayerState]]:
        """Take one more label a row, ``(rows,)``, blank the first; returns ``(rows, joint_size)`` and the new state."""
        out, state = self.prediction.step(self.embedding(tokens), state)
        return self.spelt(out), [tuple(wide(part) for part in layer) for layer in state]

    @property
    def beam_width(self) -> int:  # type: ignore[override]
        return self.search.beam_width

    def search_texts(self, seen: Tensor, lengths: Tensor, plan: SearchPlan | None = None) -> list[list[FoundText]]:
        return self.search(self, seen, lengths, plan)

    def locate(
        self, texts: list[FoundText], seen: Tensor, lengths: Tensor, kept: Sequence[slice]
    ) -> list[list[TokenSpan]]:
        """Each label is in the one frame in which it came out."""
        rows = zip(texts, lengths.tolist(), kept, strict=True)
        return [marks(text.tokens, text.frames, text.probabilities, length, keep) for text, length, keep in rows]
