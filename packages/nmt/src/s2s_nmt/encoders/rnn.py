"""Recurrent encoders: one or both directions."""

from __future__ import annotations

import torch
from torch import Tensor

from s2s_core.nn.embedding import Embedding
from s2s_core.nn.recurrent_stack import LayerState, RecurrentLayers, RecurrentStack, start_matrices
from s2s_core.nn.steps import StepOrder
from s2s_nmt.interfaces import Encoder, Memory


class RnnEncoder(Encoder):
    """Embedding and recurrent layers; one frame a token.

    Of two directions, each layer is fed with both of the one below; OpenSeq2Seq's
    ``BidirectionalRNNEncoderWithEmbedding`` runs two separate stacks and joins what comes out. Skip connections go
    around every layer but the first. The final state is every layer's: the forward direction's at the sentence's end
    beside the backward one's at its beginning.

    Args:
        vocab_size: how many tokens there are.
        embedding_size: the size of a token's vector.
        rnn: size, number and cell of the layers, and their dropout.
        bidirectional: whether each layer also reads backwards.
        scaled_embedding: whether vectors are multiplied by ``sqrt(embedding_size)`` and so start with variance one,
            from which small deep stacks learn faster: each layer weakens what is small. OpenSeq2Seq does not scale.
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_size: int,
        rnn: RecurrentLayers,
        bidirectional: bool = True,
        scaled_embedding: bool = False,
    ) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.embedding = Embedding(vocab_size, embedding_size, scaled_embedding)
        skips = range(1, rnn.num_layers) if rnn.residual else ()
        self.stack = RecurrentStack(rnn, embedding_size, bidirectional=bidirectional, skips=skips)
        self.out_features = self.stack.out_features
        start_matrices(self, rnn)

    @classmethod
    def examples(cls) -> list[RnnEncoder]:
        """Small ones for the contract tests."""
        return [
            cls(11, 5, RecurrentLayers(4, 2)),
            cls(11, 5, RecurrentLayers(6, 3, cell="gru", residual=True), bidirectional=False),
            cls(11, 5, RecurrentLayers(4, 2, cell="layer_norm_lstm", init_range=0.5), scaled_embedding=True),
        ]

    def forward(self, tokens: Tensor, lengths: Tensor) -> Memory:
        order = StepOrder.of(lengths, tokens.shape[1])
        data, ends = self.stack(self.embedding(order.pack(tokens)), order.batch_sizes)
        return Memory(order.unpack(data), lengths, order.unsort(joined(ends)))


def joined(ends: list[LayerState]) -> Tensor:
    """The states of layers of one size as ``(layers, batch, size)``: hidden, and beside it an LSTM's cell."""
    return torch.stack([torch.cat(end, dim=1) for end in ends])
