"""Vectors of words from the words and their character n-grams."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2s_lm.dropout import embed, kept_words


class SpelledEmbedding(nn.Module):
    """Vectors of what `s2s_lm.tokenizers.SpelledTokenizer` makes of texts (Bojanowski et al. 2017, section 3.2).

    A word's vector is its own, and the sum of its n-grams' over the root of their number, together over the root of
    two: of the same size whatever the word's length, where the paper takes the plain sum.

    Args:
        words: tokens below this are words, those from here on n-grams of the word before them.
        ngrams: how many of those there are.
        size: of a vector.
        word_dropout: drop probability of a word's own vector and, by itself, of its spelling, wherever the word
            occurs, so that either can stand for both.
    """

    def __init__(self, words: int, ngrams: int, size: int, word_dropout: float = 0.0) -> None:
        super().__init__()
        if words < 1 or ngrams < 1:
            raise ValueError(f"words and ngrams must be at least 1, got {words} and {ngrams}")
        self.words, self.word_dropout = words, word_dropout
        self.own = nn.Embedding(words, size)
        self.ngrams = nn.Embedding(ngrams, size)
        for table in (self.own, self.ngrams):
            nn.init.normal_(table.weight, std=0.1)

    def forward(self, tokens: Tensor, lengths: list[int]) -> tuple[Tensor, list[int]]:
        """Vectors ``(batch, words, size)``, zero after each text's end, and the number of words of each text.

        Args:
            tokens: ``(batch, time)``; each row begins with a word.
            lengths: tokens of each row.
        """
        time = torch.arange(tokens.shape[1], device=tokens.device)
        real = time < torch.tensor(lengths, device=tokens.device)[:, None]
        is_word = real & (tokens < self.words)
        found = tokens[real]  # row after row, as are all that follow
        starts = (found < self.words).nonzero().squeeze(1)
        dropout = self.word_dropout if self.training else 0.0
        own = embed(self.own, found[starts], dropout)
        ngrams = found[found >= self.words] - self.words
        # so many n-grams stand before a word as tokens do that are no words
        before = starts - torch.arange(len(starts), device=tokens.device)
        counts = torch.diff(before, append=before.new_tensor([len(ngrams)]))
        spelling = F.embedding_bag(ngrams, self.ngrams.weight, before, mode="sum")
        scale = counts.clamp(min=1).rsqrt()
        if dropout:
            scale = scale * kept_words(self.words, found[starts], dropout)
        vectors = (own + spelling * scale[:, None].to(spelling.dtype)) / math.sqrt(2)
        words = is_word.sum(1)
        counted = words.tolist()
        width = torch.arange(max(counted), device=tokens.device)
        padded = vectors.new_zeros(len(counted), len(width), vectors.shape[1])
        padded[width < words[:, None]] = vectors
        return padded, counted
