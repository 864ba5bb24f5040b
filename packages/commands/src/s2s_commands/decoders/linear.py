"""One linear layer from a vector to the classes."""

from __future__ import annotations

from torch import Tensor, nn

from s2s_commands.interfaces import Decoder
from s2s_core.nn.dropout import dropout


class LinearHead(Decoder):
    """Scores every class by a weighted sum of the vector.

    The weights start Glorot-uniform and the bias at zero, as in OpenSeq2Seq.

    Args:
        in_features: size of the vector.
        num_classes: how many classes.
        dropout: drop probability of the vector's entries, in training.

    Raises:
        ValueError: if a size is not positive or the probability is outside [0, 1).
    """

    def __init__(self, in_features: int, num_classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        if in_features < 1 or num_classes < 1:
            raise ValueError(f"in_features and num_classes must be positive, got {in_features} and {num_classes}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout is a drop probability in [0, 1), got {dropout}")
        self.in_features = in_features
        self.num_classes = num_classes
        self.dropout = dropout
        self.linear = nn.Linear(in_features, num_classes)
        nn.init.xavier_uniform_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    @classmethod
    def examples(cls) -> list[LinearHead]:
        """Small ones for the contract tests."""
        return [cls(7, 5), cls(1, 2)]

    def forward(self, encodings: Tensor) -> Tensor:
        """Score ``(batch, in_features)``: logits ``(batch, num_classes)``."""
        return self.linear(dropout(encodings, self.dropout, self.training))
