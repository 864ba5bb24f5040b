"""Global style tokens: how a reference is spoken, as a mixture of a few learnt ways."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from s2s_core.nn.frames import frame_layout
from s2s_core.nn.linear import Linear
from s2s_core.nn.mask import length_mask
from s2s_core.nn.norm import BatchNorm
from s2s_core.nn.rnn import Recurrent
from s2s_tts.interfaces import Spectrogram, StyleEncoder


class StyleTokens(StyleEncoder):
    """A reference encoder and attention over style tokens (Wang et al. 2018, arXiv 1803.09017, section 3).

    Six strided convolutions over the mel spectrogram as an image, a GRU whose last state is the query, and multi-head
    additive attention over the tokens. A reference's padding reaches neither. The convolutions are padded by one on
    each side (OpenSeq2Seq: TensorFlow's SAME); its token embedding was random and never trained, these are trained.

    Args:
        num_mels: mel bands.
        out_features: the size of the style and of its tokens.
        tokens: how many there are.
        heads: of the attention.
        channels: of the convolutions.
        rnn_size: of the GRU.
    """

    def __init__(
        self,
        num_mels: int = 80,
        out_features: int = 512,
        tokens: int = 32,
        heads: int = 8,
        channels: tuple[int, ...] = (32, 32, 64, 64, 128, 128),
        rnn_size: int = 128,
    ) -> None:
        super().__init__()
        if out_features % heads:
            raise ValueError(f"out_features must be a multiple of heads, got {out_features} and {heads}")
        self.out_features = out_features
        self.heads = heads
        sizes = [1, *channels]
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1, bias=False) for a, b in itertools.pairwise(sizes))
        self.norms = nn.ModuleList(BatchNorm(size, eps=1e-5) for size in channels)
        bands = num_mels
        for _ in channels:
            bands = (bands + 1) // 2
        self.rnn = Recurrent("gru", bands * sizes[-1], rnn_size)
        self.query = Linear(rnn_size, out_features)
        self.tokens = nn.Parameter(0.5 * torch.randn(tokens, out_features // heads))
        self.keys = Linear(out_features // heads, out_features)
        self.values = Linear(out_features // heads, out_features)
        self.score = nn.Parameter(torch.empty(heads, out_features // heads))
        nn.init.xavier_uniform_(self.score)

    @classmethod
    def examples(cls) -> list[StyleTokens]:
        """Small ones for the contract tests."""
        return [cls(4, 6, 3, 2, (3, 4), 5), cls(4, 4, 5, 1, (3,), 4)]

    def forward(self, reference: Spectrogram) -> Tensor:
        return self.mixture(self.weights(reference))

    def weights(self, reference: Spectrogram) -> Tensor:
        """How much of each token each head hears: ``(batch, heads, tokens)``, rows sum to 1."""
        query = self.query(self._summary(reference)).unflatten(1, (self.heads, 1, -1))
        keys = self.keys(torch.tanh(self.tokens)).unflatten(1, (self.heads, -1)).transpose(0, 1)
        return (torch.tanh(query + keys) * self.score[:, None]).sum(3).softmax(2)

    def mixture(self, weights: Tensor) -> Tensor:
        """The style of weights ``(batch, heads, tokens)``, which a user may also choose: ``(batch, out_features)``."""
        values = self.values(torch.tanh(self.tokens)).unflatten(1, (self.heads, -1)).transpose(0, 1)
        return torch.einsum("bht,htf->bhf", weights.to(values), values).flatten(1)

    def _summary(self, reference: Spectrogram) -> Tensor:
        lengths = reference.lengths
        x = _cleaned(reference.mel, lengths)[:, None]
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            lengths = (lengths + 1) // 2
            x = convolution(x)
            # the norm's frames are the image's points, row by row
            time, bands = x.shape[2:]
            layout = frame_layout(lengths * bands, time * bands)
            points = layout.enter(x.permute(0, 2, 3, 1).flatten(1, 2))
            x = layout.leave(torch.relu(norm(points, layout))).unflatten(1, (time, bands)).permute(0, 3, 1, 2)
        frames = x.transpose(1, 2).flatten(2)
        return self.rnn(frames, lengths)[1][0][-1]


def _cleaned(mel: Tensor, lengths: Tensor) -> Tensor:
    return mel.masked_fill(~length_mask(lengths, mel.shape[1])[..., None], 0.0)
