import pytest
import torch
import torchvision

from s2s_commands.encoders.alexnet import AlexNetEncoder


@pytest.mark.slow
def test_torchvisions_convolutions_give_the_same_maps_where_no_border_is_seen():
    torch.manual_seed(0)
    theirs, ours = torchvision.models.AlexNet(num_classes=2).eval(), AlexNetEncoder(image_size=227).eval()
    convs = [block[0] for block in ours.convolutions if isinstance(block, torch.nn.Sequential)]
    others = [layer for layer in theirs.features if isinstance(layer, torch.nn.Conv2d)]
    for conv, other in zip(convs, others, strict=True):
        conv.load_state_dict(other.state_dict())
    x = torch.randn(2, 3, 227, 227)
    padless = torch.nn.Sequential(*theirs.features)
    padless[0].padding = (0, 0)
    torch.testing.assert_close(ours.convolutions(x), padless(x), rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        for layer, place in ((ours.dense[0], 1), (ours.dense[1], 4)):
            layer[0].load_state_dict(theirs.classifier[place].state_dict())
    torch.testing.assert_close(ours(x), theirs.classifier[:-1](padless(x).flatten(1)), rtol=1e-4, atol=1e-5)


def test_sizes():
    with torch.device("meta"):
        net = AlexNetEncoder()
    assert net(torch.empty(1, 3, 227, 227, device="meta")).shape == (1, 4096)
    assert net.dense[0][0].in_features == 256 * 6 * 6
    assert net.dense[0][2].p == 0.5
    with pytest.raises(ValueError, match="66 pixels"):
        AlexNetEncoder(image_size=66)
