"""ResNets against torchvision's, with its weights."""

import pytest
import torch
import torchvision

from s2s_commands.encoders.resnet import ResNetEncoder


def images(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(3)


def disturbed(model):
    """Running statistics and affine weights that are not those of a fresh batch norm."""
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        if "bn" in name or "downsample.1" in name:
            with torch.no_grad():
                if value.dtype.is_floating_point:
                    value.copy_(torch.rand_like(value) * 0.5 + 0.5)
    return model


CASES = [(depth, False) for depth in (18, 34, 50, 101, 152)] + [(18, True), (50, True)]


@pytest.mark.parametrize(("depth", "training"), CASES)
def test_weights_of_torchvision_give_its_outputs(depth, training):
    theirs = disturbed(getattr(torchvision.models, f"resnet{depth}")(num_classes=2))
    theirs.fc = torch.nn.Identity()
    ours = ResNetEncoder(depth=depth)
    missing, unexpected = ours.load_state_dict(theirs.state_dict(), strict=False)
    assert (missing, unexpected) == ([], [])
    x = images(2, 3, 64, 64)
    a, b = ours.train(training)(x), theirs.train(training)(x)
    assert a.shape == (2, ours.out_features)
    torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4 * float(b.detach().abs().max()))


def test_version_2_is_the_pre_activation_network_written_out():
    net = ResNetEncoder(depth=50, version=2, width=4, blocks=[1, 2], zero_init_residual=False).double().eval()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                for value in (module.weight, module.bias, module.running_mean, module.running_var):
                    value.copy_(torch.rand_like(value) + 0.5)
    x = images(2, 3, 40, 40).double()

    def act(norm, y):
        scaled = (y - norm.running_mean[:, None, None]) / (norm.running_var[:, None, None] + 1e-5).sqrt()
        return (scaled * norm.weight[:, None, None] + norm.bias[:, None, None]).clamp(min=0)

    def conv(weight, y, stride=1):
        return torch.nn.functional.conv2d(y, weight, None, stride, weight.shape[-1] // 2)

    y = torch.nn.functional.max_pool2d(conv(net.conv1.weight, x, 2), 3, 2, 1)
    for block, stride in ((net.layer1[0], 1), (net.layer2[0], 2), (net.layer2[1], 1)):
        first = act(block.norms[0], y)
        shortcut = y if block.downsample is None else conv(block.downsample.weight, first, stride)
        inner = conv(block.convs[0].weight, first)
        inner = conv(block.convs[1].weight, act(block.norms[1], inner), stride)
        y = shortcut + conv(block.convs[2].weight, act(block.norms[2], inner))
    assert net.layer2[1].downsample is None
    torch.testing.assert_close(net(x), act(net.bn1, y).mean((2, 3)))


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("depth", [18, 50])
def test_blocks_start_as_the_identity_if_asked(version, depth):
    x = images(1, 4, 8, 8)
    for zero in (True, False):
        net = ResNetEncoder(4, depth, version, width=4, blocks=[2], zero_init_residual=zero).eval()
        block = net.layer1[1]
        signal = torch.rand(1, net.out_features, 8, 8)
        assert torch.equal(block(signal), signal) == zero
    assert net(x).shape == (1, net.out_features)


def test_small_images_keep_their_size_in_the_stem():
    net = ResNetEncoder(depth=18, small_images=True, width=4, blocks=[1])
    assert net.layer1(net.maxpool(net.conv1(images(1, 3, 32, 32)))).shape == (1, 4, 32, 32)
    net = ResNetEncoder(depth=18, width=4, blocks=[1])
    assert net.layer1(net.maxpool(net.conv1(images(1, 3, 32, 32)))).shape == (1, 4, 8, 8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"depth": 20}, "20"), ({"version": 3}, "3"), ({"blocks": []}, r"\[\]"), ({"blocks": [1, 0]}, r"\[1, 0\]")],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ResNetEncoder(**arguments)
