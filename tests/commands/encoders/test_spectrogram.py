import pytest
import torch

from s2s_commands.encoders.resnet import ResNetEncoder
from s2s_commands.encoders.spectrogram import SpectrogramEncoder


def test_time_runs_down_a_picture_of_one_channel():
    encoder = SpectrogramEncoder.examples()[0].eval()
    features = torch.randn(2, 20, 16)
    picture = torch.zeros(2, 1, 24, 16)
    picture[0, 0, 2:22] = features[0]
    picture[1, 0, 9:15] = features[1, :6]
    expected = encoder.image_encoder(picture)
    torch.testing.assert_close(encoder(features, torch.tensor([20, 6])), expected)


def test_a_colour_network_is_refused():
    with pytest.raises(ValueError, match="in_channels is 3"):
        SpectrogramEncoder(16, ResNetEncoder(3, 18, width=4, blocks=[1]))
