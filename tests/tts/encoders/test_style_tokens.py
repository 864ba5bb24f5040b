"""Global style tokens: what the style is a mixture of, and what reaches them."""

import torch

from s2s_tts.encoders.style_tokens import StyleTokens
from s2s_tts.interfaces import Spectrogram


def test_published_sizes():
    style = StyleTokens()
    assert style.rnn.input_size == 2 * 128  # 80 bands halved six times, 128 channels
    assert style.tokens.shape == (32, 64)
    assert style(Spectrogram(torch.randn(2, 90, 80), torch.tensor([90, 40]))).shape == (2, 512)


def test_a_style_is_its_tokens_mixed():
    torch.manual_seed(0)
    style = StyleTokens(4, 6, 3, 2, (3, 4), 5).eval()
    reference = Spectrogram(torch.randn(2, 9, 4), torch.tensor([9, 5]))
    weights = style.weights(reference)
    assert weights.shape == (2, 2, 3)
    torch.testing.assert_close(weights.sum(2), torch.ones(2, 2))
    only = torch.zeros(1, 2, 3)
    only[0, :, 1] = 1.0
    expected = style.values(torch.tanh(style.tokens[1]))
    torch.testing.assert_close(style.mixture(only)[0], expected)


def test_gradients_reach_every_parameter():
    torch.manual_seed(0)
    style = StyleTokens(4, 6, 3, 2, (3, 4), 5).train()
    out = style(Spectrogram(torch.randn(3, 9, 4), torch.tensor([9, 5, 7])))
    (out * torch.randn(out.shape)).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in style.parameters())
