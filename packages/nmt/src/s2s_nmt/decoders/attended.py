"""What recurrent and convolutional decoders attend to while they decode."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Attended:
    """A memory ready for queries, kept once a sentence however many hypotheses ask."""

    keys: Tensor
    """``(sentences, time, size)``."""
    values: Tensor
    """``(sentences, time, feature)``."""
    mask: Tensor
    """``(sentences, time)``, true where a frame is real."""

    def select(self, sentences: Tensor) -> Attended:
        """Keep these sentences, in that order."""
        return Attended(*(part.index_select(0, sentences) for part in (self.keys, self.values, self.mask)))

    def kept(self, rows: Tensor, width: int) -> Attended:
        """What `DecodingState.select` of ``rows``, ``width`` a sentence, leaves."""
        if len(rows) == len(self.keys) * width:
            return self  # hypotheses replace others of their sentence
        return self.select(rows[::width] // width)
