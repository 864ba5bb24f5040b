import torch
from torchaudio.functional import mu_law_decoding, mu_law_encoding

from s2s_tts.vocoders.mu_law import mu_law_decode, mu_law_encode

AUDIO = torch.linspace(-1, 1, 10001)


def test_agrees_with_torchaudio():
    levels = mu_law_encode(AUDIO, 256)
    assert (levels != mu_law_encoding(AUDIO, 256)).sum() <= 2  # rounding at a boundary
    torch.testing.assert_close(mu_law_decode(levels, 256), mu_law_decoding(levels, 256), rtol=1e-5, atol=1e-6)


def test_every_level_comes_back():
    for levels in (256, 255, 16):
        indices = torch.arange(levels)
        assert torch.equal(mu_law_encode(mu_law_decode(indices, levels), levels), indices)


def test_silence_is_in_the_middle_and_loud_audio_is_clamped():
    assert mu_law_encode(torch.tensor([0.0, 5.0, -5.0]), 256).tolist() == [128, 255, 0]
