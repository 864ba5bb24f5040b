"""What a summed log-probability says of a model: perplexity and bits a character."""

from __future__ import annotations

import math


def perplexities(nll: float, tokens: float, words: float, characters: float, unit: str) -> dict[str, float]:
    """Loss a token in nats, perplexity a word (a character for models of characters), bits a character."""
    counted = characters if unit == "characters" else words
    exponent = nll / max(1.0, counted)
    return {
        "loss": nll / max(1.0, tokens),
        "perplexity": math.exp(exponent) if exponent < 700 else math.inf,
        "bits_per_character": nll / math.log(2) / max(1.0, characters),
    }
