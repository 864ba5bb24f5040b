"""Encoders of texts: bidirectional recurrent layers, and the bodies of language models."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from s2s_core.nn.dropout import dropout
from s2s_core.nn.rnn import Recurrent, RnnType
from s2s_lm.dropout import check_probabilities, embed
from s2s_lm.encoders.layer_norm_lstm import LayerNormLstmEncoder
from s2s_lm.encoders.recurrent import RecurrentEncoder
from s2s_lm.interfaces import LmEncoder
from s2s_lm.sentiment.interfaces import Encoded, TextEncoder
from s2s_lm.sentiment.spelled_embedding import SpelledEmbedding


class BidirectionalEncoder(TextEncoder):
    """LSTM or GRU layers in both directions over embeddings.

    Args:
        vocab_size: the number of tokens.
        embedding_size: of a token.
        hidden_size: of each direction's state.
        layers: how many.
        rnn_type: ``lstm`` or ``gru``.
        dropout: drop probability of embeddings, between layers and of the outputs.
        word_dropout: drop probability of whole words.
        ngrams: how many of the tokens, the last, are character n-grams of the word before them (a
            `SpelledTokenizer`'s ``buckets``); what is encoded are the words.
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_size: int = 200,
        hidden_size: int = 200,
        layers: int = 1,
        rnn_type: RnnType = "lstm",
        dropout: float = 0.5,
        word_dropout: float = 0.0,
        ngrams: int = 0,
    ) -> None:
        super().__init__()
        check_probabilities(dropout=dropout, word_dropout=word_dropout)
        self.vocab_size, self.dropout, self.word_dropout = vocab_size, dropout, word_dropout
        self.ngrams = ngrams
        if ngrams:
            self.embedding = SpelledEmbedding(vocab_size - ngrams, ngrams, embedding_size, word_dropout)
        else:
            self.embedding = nn.Embedding(vocab_size, embedding_size)
            nn.init.normal_(self.embedding.weight, std=0.1)
        self.recurrent = Recurrent(rnn_type, embedding_size, hidden_size, layers, True, dropout)
        self.out_features = self.final_features = self.recurrent.out_features

    @classmethod
    def examples(cls) -> list[BidirectionalEncoder]:
        return [cls(11, 6, 5, 2, dropout=0.0), cls(11, 6, 5, 1, "gru", 0.0), cls(11, 6, 5, dropout=0.0, ngrams=4)]

    def forward(self, tokens: Tensor, lengths: list[int]) -> Encoded:
        if isinstance(self.embedding, SpelledEmbedding):
            vectors, lengths = self.embedding(tokens, lengths)
        else:
            vectors = embed(self.embedding, tokens, self.word_dropout if self.training else 0.0)
        vectors = dropout(vectors, self.dropout, self.training)
        values, state = self.recurrent(vectors, torch.tensor(lengths, device=tokens.device))
        values = dropout(values, self.dropout, self.training)
        # the last layer's forward and backward ends
        return Encoded(values, lengths, torch.cat([state[0][-2], state[0][-1]], dim=1).to(values.dtype))

    def groups(self) -> list[list[nn.Parameter]]:
        return [list(self.embedding.parameters()), list(self.recurrent.parameters())]


class LanguageModelEncoder(TextEncoder):
    """The body of a language model, which may come trained (`SentimentClassification` takes ``pretrained``).

    Args:
        body: any language model's encoder: AWD-LSTM, layer-norm LSTM, Transformer, Transformer-XL.
        use_cell_state: what it ends with is the last layer's hidden and cell state; for LSTMs.
    """

    def __init__(self, body: LmEncoder, use_cell_state: bool = False) -> None:
        super().__init__()
        recurrent = isinstance(body, RecurrentEncoder) and body.rnn_type == "lstm"
        if use_cell_state and not (recurrent or isinstance(body, LayerNormLstmEncoder)):
            raise ValueError(f"use_cell_state needs an LSTM, got {type(body).__name__}")
        self.body, self.use_cell_state = body, use_cell_state
        self.vocab_size, self.out_features = body.vocab_size, body.out_features
        self.final_features = body.out_features * (2 if use_cell_state else 1)

    @classmethod
    def examples(cls) -> list[LanguageModelEncoder]:
        with_cells = [RecurrentEncoder(11, 6, 8, 2), *LayerNormLstmEncoder.examples()]
        return [*(cls(body) for body in RecurrentEncoder.examples()), *(cls(body, True) for body in with_cells)]

    def forward(self, tokens: Tensor, lengths: list[int]) -> Encoded:
        values, state = self.body(tokens, self.body.initial_state(len(tokens)), lengths)
        self.body.penalty = None
        last = torch.tensor(lengths, device=tokens.device) - 1
        final = values[torch.arange(len(tokens), device=tokens.device), last]
        if self.use_cell_state:
            final = torch.cat([final, state[-1].to(final.dtype)], dim=1)
        return Encoded(values, lengths, final)

    def groups(self) -> list[list[nn.Parameter]]:
        layers = list(self.body.get_submodule("layers").children())
        inside = {p for layer in layers for p in layer.parameters()}
        first = [p for p in self.body.parameters() if p not in inside]
        return [first, *(list(layer.parameters()) for layer in layers)]
