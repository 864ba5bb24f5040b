import torch
from torch import nn

from s2s_asr.encoders.recurrent import RecurrentEncoder


def test_each_layer_is_torchs_lstm_then_layer_norm():
    torch.manual_seed(0)
    ours = RecurrentEncoder(5, 4, 2).double().eval()
    x = torch.randn(1, 9, 5, dtype=torch.float64)
    expected = x
    for layer, size in zip(ours.layers, (5, 8), strict=True):
        lstm = nn.LSTM(size, 4, batch_first=True, bidirectional=True).double()
        lstm.load_state_dict(layer.state_dict())
        expected = lstm(expected)[0]
        expected = (expected - expected.mean(-1, keepdim=True)) / (
            expected.var(-1, keepdim=True, correction=0) + 1e-5
        ).sqrt()
    torch.testing.assert_close(ours(x, torch.tensor([9]))[0], expected)


def test_one_direction_does_not_see_the_future():
    torch.manual_seed(0)
    encoder = RecurrentEncoder(5, 6, 2, bidirectional=False)
    x = torch.randn(1, 8, 5, requires_grad=True)
    encoder(x, torch.tensor([8]))[0][0, 3, 0].backward()
    assert x.grad[0, 4:].abs().max() == 0
    assert x.grad[0, :4].abs().min() > 0
