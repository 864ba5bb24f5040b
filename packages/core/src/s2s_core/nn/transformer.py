"""Layers and stacks of the Transformer (Vaswani et al. 2017): encoders, decoders with a memory, and without one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from s2s_core.nn.attention import CrossAttention, KeysValues, SelfAttention
from s2s_core.nn.attention_pattern import Pattern
from s2s_core.nn.dropout import dropout, relu_dropout
from s2s_core.nn.frames import FrameLayout, PackedFrames
from s2s_core.nn.key_value_cache import Cache
from s2s_core.nn.linear import Linear
from s2s_core.nn.norm import NoNorm, NormName, build_norm

ActivationName = Literal["relu", "gelu", "silu"]
ACTIVATIONS: dict[ActivationName, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu, "silu": F.silu}


@dataclass(frozen=True)
class LayerSpec:
    """Sizes and rules of a Transformer's layers."""

    features: int = 512
    """Of what flows from layer to layer."""
    heads: int = 8
    """Of each attention; they share the features."""
    inner: int = 2048
    """Features between the two linear layers of the feed-forward part."""
    dropout: float = 0.1
    """Of what each part adds to the flow."""
    attention_dropout: float = 0.0
    """Of attention weights."""
    inner_dropout: float = 0.0
    """Between the two linear layers of the feed-forward part."""
    activation: ActivationName = "relu"
    norm: NormName = "layer"
    pre_norm: bool = True
    """Whether a part is given normalised features, or its sum with the flow is normalised (the paper's way)."""
    norm_eps: float = 1e-5
    norm_momentum: float = 0.1
    """Share of the new value in running statistics; batch norm only."""
    attention_bias: bool = True
    """Whether the attentions' linear layers have biases."""

    def build_norm(self) -> nn.Module:
        return build_norm(self.norm, self.features, self.norm_momentum, self.norm_eps)


class FeedForward(nn.Module):
    """Two linear layers on each position by itself.

    Raises:
        ValueError: for an unknown activation.
    """

    def __init__(self, features: int, inner: int, activation: ActivationName = "relu", dropout: float = 0.0) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}; got {activation!r}")
        self.activation = ACTIVATIONS[activation]
        self.dropout = dropout
        self.widen = Linear(features, inner)
        self.narrow = Linear(inner, features)

    def forward(self, x: Tensor) -> Tensor:
        x = self.widen(x)
        if self.activation is F.relu:
            return self.narrow(relu_dropout(x, self.dropout, self.training))
        return self.narrow(dropout(self.activation(x), self.dropout, self.training))


class _Residual(nn.Module):
    """The flow, a norm before or after, and dropout around one part of a layer."""

    def __init__(self, spec: LayerSpec) -> None:
        super().__init__()
        self.norm = spec.build_norm()
        self.pre_norm, self.dropout = spec.pre_norm, spec.dropout

    def before(self, x: Tensor, layout: FrameLayout) -> Tensor:
        return self.norm(x, layout) if self.pre_norm else x

    def after(self, x: Tensor, part: Tensor, layout: FrameLayout) -> Tensor:
        total = x + dropout(part, self.dropout, self.training)
        return total if self.pre_norm else self.norm(total, layout)


@dataclass(frozen=True)
class LayerState:
    """What a layer remembers between steps."""

    past: Cache
    memory: KeysValues | None = None

    def expand(self, width: int) -> LayerState:
        """Repeat every row ``width`` times; they share a memory."""
        return LayerState(self.past.expand(width), self.memory)

    def select(self, rows: Tensor, sentences: Tensor | None) -> LayerState:
        """Keep these rows, which are of these sentences (of all in their order if None)."""
        memory = self.memory
        if memory is not None and sentences is not None:
            memory = memory.select(sentences)
        return LayerState(self.past.select(rows, sentences), memory)


class TransformerLayer(nn.Module):
    """Self-attention, attention to a memory if there is one, and the feed-forward part.

    Args:
        spec: sizes and rules.
        memory_features: of the memory that the layer attends to; None for none.
    """

    def __init__(self, spec: LayerSpec, memory_features: int | None = None) -> None:
        super().__init__()
        attention = (spec.heads, spec.attention_dropout, spec.attention_bias)
        self.attention = SelfAttention(spec.features, *attention)
        self.attention_residual = _Residual(spec)
        self.cross = None if memory_features is None else CrossAttention(spec.features, memory_features, *attention)
        self.cross_residual = None if memory_features is None else _Residual(spec)
        self.feed_forward = FeedForward(spec.features, spec.inner, spec.activation, spec.inner_dropout)
        self.feed_forward_residual = _Residual(spec)

    def forward(
        self,
        x: Tensor,
        layout: FrameLayout,
        pattern: Pattern,
        memory: Tensor | None = None,
        memory_pattern: Pattern | None = None,
    ) -> Tensor:
        """Transform ``(rows, time, features)`` in ``layout``.

        Args:
            x: the flow.
            layout: where it lies.
            pattern: which positions attend to which.
            memory: ``(rows, time, memory features)``, if the layer has one.
            memory_pattern: which positions attend to which of the memory's.
        """
        around = self.attention_residual
        x = around.after(x, self.attention(around.before(x, layout), pattern), layout)
        if self.cross is not None:
            assert self.cross_residual is not None
            assert memory is not None
            assert memory_pattern is not None
            around = self.cross_residual
            x = around.after(x, self.cross(around.before(x, layout), memory, memory_pattern), layout)
        around = self.feed_forward_residual
        return around.after(x, self.feed_forward(around.before(x, layout)), layout)

    def start(self, rows: int, memory: Tensor | None = None, mask: Tensor | None = None) -> LayerState:
        """The state before the first step: ``memory`` (rows, time, features), real where ``mask`` (rows, time) is."""
        kept = None
        if self.cross is not None:
            assert memory is not None
            assert mask is not None
            kept = self.cross.keys_values(memory, mask)
        return LayerState(Cache.empty(rows), kept)

    def step(self, x: Tensor, layout: FrameLayout, state: LayerState) -> tuple[Tensor, LayerState]:
        """Transform the next position of each row, ``(1, rows, features)``."""
        around = self.attention_residual
        attended, past = self.attention.step(around.before(x, layout)[0], state.past)
        x = around.after(x, attended[None], layout)
        if self.cross is not None:
            assert self.cross_residual is not None
            assert state.memory is not None
            around = self.cross_residual
            x = around.after(x, self.cross.step(around.before(x, layout)[0], state.memory)[None], layout)
        around = self.feed_forward_residual
        x = around.after(x, self.feed_forward(around.before(x, layout)), layout)
        return x, LayerState(past, state.memory)


class TransformerStack(nn.Module):
    """Layers one after the other, and a norm at the end where the layers have theirs before their parts.

    Args:
        layers: how many; from 1 up.
        spec: sizes and rules of each.
        memory_features: of the memory that the layers attend to; None for none.

    Raises:
        ValueError: if there are none.
    """

    def __init__(self, layers: int, spec: LayerSpec, memory_features: int | None = None) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"layers: expected a positive number, got {layers}")
        self.layers = nn.ModuleList(TransformerLayer(spec, memory_features) for _ in range(layers))
        self.norm = spec.build_norm() if spec.pre_norm else NoNorm()

    def forward(
        self,
        x: Tensor,
        layout: FrameLayout,
        pattern: Pattern,
        memory: Tensor | None = None,
        memory_pattern: Pattern | None = None,
    ) -> Tensor:
        """Transform ``(rows, time, features)`` in ``layout``; arguments as of `TransformerLayer`."""
        for layer in self.layers:
            x = layer(x, layout, pattern, memory, memory_pattern)
        return self.norm(x, layout)

    def start(self, rows: int, memory: Tensor | None = None, mask: Tensor | None = None) -> list[LayerState]:
        """The states of the layers before the first step; arguments as of `TransformerLayer`."""
        return [layer.start(rows, memory, mask) for layer in self.layers]  # type: ignore[operator]

    def step(self, x: Tensor, states: list[LayerState]) -> tuple[Tensor, list[LayerState]]:
        """Transform the next position of each row, ``(rows, features)``."""
        layout = PackedFrames([len(x)], len(x))
        flow, after = x[None], []
        for layer, state in zip(self.layers, states, strict=True):
            flow, state = layer.step(flow, layout, state)  # type: ignore[operator]
            after.append(state)
        return self.norm(flow, layout)[0], after
