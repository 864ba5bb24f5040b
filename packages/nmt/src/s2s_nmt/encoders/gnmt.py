"""The encoder of Google's neural machine translation."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from s2s_core.nn.embedding import Embedding
from s2s_core.nn.recurrent_stack import RecurrentLayers, RecurrentStack, start_matrices
from s2s_core.nn.steps import StepOrder
from s2s_nmt.encoders.rnn import joined
from s2s_nmt.interfaces import Encoder, Memory


class GnmtEncoder(Encoder):
    """One bidirectional layer under unidirectional ones (Wu et al. 2016, section 3.2), as in OpenSeq2Seq.

    Skip connections go around the unidirectional layers but the first of them, whose input has twice the size. The
    bidirectional layer has no dropout. The final state is that of the unidirectional layers.

    Args:
        vocab_size: how many tokens there are.
        embedding_size: the size of a token's vector.
        rnn: size, number (the bidirectional one counts) and cell of the layers, and their dropout.
        scaled_embedding: whether vectors are multiplied by ``sqrt(embedding_size)`` and so start with variance one,
            from which small deep stacks learn faster: each layer weakens what is small. OpenSeq2Seq does not scale.

    Raises:
        ValueError: if there are fewer than two layers.
    """

    def __init__(
        self, vocab_size: int, embedding_size: int, rnn: RecurrentLayers, scaled_embedding: bool = False
    ) -> None:
        super().__init__()
        if rnn.num_layers < 2:
            raise ValueError(f"rnn.num_layers must be at least 2, one bidirectional and others; got {rnn.num_layers}")
        self.vocab_size = vocab_size
        self.embedding = Embedding(vocab_size, embedding_size, scaled_embedding)
        bottom = replace(rnn, num_layers=1, input_dropout=0.0, output_dropout=0.0)
        self.bottom = RecurrentStack(bottom, embedding_size, bidirectional=True)
        skips = range(1, rnn.num_layers - 1) if rnn.residual else ()
        self.top = RecurrentStack(rnn, self.bottom.out_features, rnn.num_layers - 1, skips=skips)
        self.out_features = self.top.out_features
        start_matrices(self, rnn)

    @classmethod
    def examples(cls) -> list[GnmtEncoder]:
        """Small ones for the contract tests."""
        return [cls(11, 5, RecurrentLayers(4, 4, residual=True)), cls(11, 5, RecurrentLayers(6, 2, cell="gru"), True)]

    def forward(self, tokens: Tensor, lengths: Tensor) -> Memory:
        order = StepOrder.of(lengths, tokens.shape[1])
        data, _ = self.bottom(self.embedding(order.pack(tokens)), order.batch_sizes)
        data, ends = self.top(data, order.batch_sizes)
        return Memory(order.unpack(data), lengths, order.unsort(joined(ends)))
