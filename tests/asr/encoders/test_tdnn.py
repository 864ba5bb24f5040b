"""The family of time-delay encoders: contracts, residuals, BlockOut and the published sizes."""

import pytest
import torch
from torch import nn

import s2s_core.nn.tdnn as tdnn
from s2s_asr.encoders.tdnn import TdnnBlock, TdnnEncoder
from s2s_core.nn.frames import PackedFrames, PaddedFrames

KINDS = {
    "plain": {},
    "separable": {"separable": True},
    "residual": {"residual": True},
    "dense": {"residual": "dense"},
    "separable residual": {"separable": True, "residual": True},
}


def small(kind="plain", **options):
    torch.manual_seed(0)
    extra = KINDS[kind]
    separable = extra.get("separable", False)
    blocks = [
        TdnnBlock(12, 5, stride=2, separable=separable),
        TdnnBlock(12, 5, repeat=2, **extra),
        TdnnBlock(16, 7, repeat=2, **extra),
        TdnnBlock(16, 5, dilation=2),
        TdnnBlock(20, 1),
    ]
    encoder = TdnnEncoder(6, blocks, **options)
    for module in encoder.modules():  # statistics that are not the identity, so that evaluation tells them apart
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.normal_(module.bias)
    return encoder


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return torch.randn(4, 37, 6), torch.tensor([37, 20, 1, 28])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("norm", ["batch", "layer", "instance", "none"])
def test_batch_mates_and_padding_do_not_matter(kind, norm, batch):
    encoder = small(kind, norm=norm).eval()
    features, lengths = batch
    together, out_lengths = encoder(features, lengths)
    assert together.shape == (4, 19, 20)
    for row, length in enumerate(lengths.tolist()):
        alone, _ = encoder(features[row : row + 1, :length], lengths[row : row + 1])
        n = int(out_lengths[row])
        assert n == -(-length // 2) == int(encoder.output_lengths(lengths)[row])
        torch.testing.assert_close(together[row, :n], alone[0], atol=1e-5, rtol=1e-5)
        assert not together[row, n:].any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("norm", ["batch", "layer", "instance", "none"])
def test_packed_and_padded_agree_forward_and_backward(kind, norm, batch, monkeypatch):
    features, lengths = batch
    results = []
    for layout in (PackedFrames(lengths.tolist(), 37), PaddedFrames(lengths, 37)):
        monkeypatch.setattr(tdnn, "frame_layout", lambda *_, layout=layout: layout)
        encoder = small(kind, norm=norm).double()
        x = features.double().requires_grad_()
        y, _ = encoder(x, lengths)
        y.square().sum().backward()
        statistics = [b for name, b in encoder.named_buffers() if "running" in name]
        results.append([y, x.grad, *(p.grad for p in encoder.parameters()), *statistics])
    for packed, padded in zip(*results, strict=True):
        torch.testing.assert_close(packed, padded)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_every_parameter(kind, batch):
    encoder = small(kind)
    features, lengths = batch
    encoder(features, lengths)[0].square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_the_receptive_field_is_what_an_encoding_sees(kind):
    encoder = small(kind, norm="layer").eval()
    time = 2 * encoder.receptive_field + 1
    features = torch.randn(1, time, 6, requires_grad=True)
    y, _ = encoder(features, torch.tensor([time]))
    middle = y.shape[1] // 2
    y[0, middle].square().sum().backward()
    seen = features.grad[0].abs().sum(1).nonzero()[:, 0]
    # 1 + 4 + 2 x (4 + 4 + 6 + 6 + 8)
    assert encoder.receptive_field == 61
    assert (int(seen.min()), int(seen.max())) == (2 * middle - 30, 2 * middle + 30)


def test_the_dense_residual_adds_every_block_input(batch):
    encoder = small("dense", norm="none").double()
    first, one, two = (encoder.blocks[i] for i in range(3))
    assert [len(b.residuals) for b in encoder.blocks] == [0, 1, 2, 0, 0]
    features, lengths = batch[0].double()[:1], batch[1][:1]

    def conv(layer, x, padding=0, stride=1):
        return nn.functional.conv1d(x, layer.conv.weight.mT, layer.conv.bias, stride, padding)

    a = conv(first.layers[0], features.transpose(1, 2), 2, 2).relu()
    b = (conv(one.layers[1], conv(one.layers[0], a, 2).relu(), 2) + conv(one.residuals[0], a)).relu()
    c = conv(two.layers[1], conv(two.layers[0], b, 3).relu(), 3)
    c = (c + conv(two.residuals[0], a) + conv(two.residuals[1], b)).relu()
    encoder.blocks = encoder.blocks[:3]
    torch.testing.assert_close(encoder(features, lengths)[0], c.transpose(1, 2))


def test_clipped_relu_clips_at_twenty():
    encoder = TdnnEncoder(1, [TdnnBlock(2, 1)], norm="none", activation="clipped_relu")
    with torch.no_grad():
        encoder.blocks[0].layers[0].conv.weight.copy_(torch.tensor([100.0, -100.0])[:, None, None])
    assert encoder(torch.ones(1, 1, 1), torch.tensor([1]))[0].tolist() == [[[20.0, 0.0]]]


def test_block_out_leaves_the_residual_alone(batch):
    encoder = small("residual", norm="none", drop_block_prob=1.0).train()
    features, lengths = batch
    expected = small("residual", norm="none")
    for index in (1, 2):
        nn.init.zeros_(expected.blocks[index].layers[-1].conv.weight)
    torch.testing.assert_close(encoder(features, lengths)[0], expected(features, lengths)[0])
    encoder(features, lengths)[0].sum().backward()
    assert not encoder.blocks[1].layers[0].conv.weight.grad.any()
    encoder.eval()
    torch.testing.assert_close(encoder(features, lengths)[0], small("residual", norm="none")(features, lengths)[0])


def test_block_out_drops_as_often_as_asked():
    encoder = TdnnEncoder(1, [TdnnBlock(1, 1, residual=True)], norm="none", drop_block_prob=0.3)
    block = encoder.blocks[0]
    for layer, value in ((block.layers[0], 1.0), (block.residuals[0], 2.0)):
        nn.init.constant_(layer.conv.weight, value)
    torch.manual_seed(0)
    values = [encoder(torch.ones(1, 1, 1), torch.tensor([1]))[0].item() for _ in range(1000)]
    assert set(values) == {2.0, 3.0}
    assert values.count(2.0) == pytest.approx(300, abs=60)


def test_a_named_block_is_dropped_in_evaluation_only(batch):
    features, lengths = batch
    encoder = small("dense", norm="none", drop_block_index=1)
    expected = small("dense", norm="none")
    torch.testing.assert_close(encoder(features, lengths)[0], expected(features, lengths)[0])
    nn.init.zeros_(expected.blocks[1].layers[-1].conv.weight)
    torch.testing.assert_close(encoder.eval()(features, lengths)[0], expected(features, lengths)[0])


def test_dropout_drops_its_share():
    encoder = TdnnEncoder(1, [TdnnBlock(64, 1, dropout=0.4)], norm="none")
    nn.init.ones_(encoder.blocks[0].layers[0].conv.weight)
    torch.manual_seed(0)
    y, _ = encoder(torch.ones(1, 500, 1), torch.tensor([500]))
    assert (y == 0).float().mean().item() == pytest.approx(0.4, abs=0.02)
    assert y.max().item() == pytest.approx(1 / 0.6)
    assert (encoder.eval()(torch.ones(1, 5, 1), torch.tensor([5]))[0] == 1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_stays_near_float32(kind, batch):
    features, lengths = batch
    encoder = small(kind)
    exact, _ = encoder(features, lengths)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        narrow, _ = encoder(features, lengths)
    scale = exact.abs().max().item()
    torch.testing.assert_close(narrow.float(), exact, atol=0.05 * scale, rtol=0)
    halved = small(kind).bfloat16()
    for module in halved.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.float()
    y, _ = halved(features.bfloat16(), lengths)
    y.float().square().sum().backward()
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), exact, atol=0.05 * scale, rtol=0)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in halved.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"residual": True, "stride": 2}, "stride 2"),
        ({"residual": "sparse"}, "'sparse'"),
        ({"dropout": 1.0}, "1.0"),
        ({"repeat": 0}, "0"),
    ],
)
def test_an_impossible_block_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TdnnBlock(8, 3, **options)


@pytest.mark.parametrize(
    ("blocks", "options", "message"),
    [
        ([], {}, "empty"),
        ([TdnnBlock(4, 3)], {"activation": "tanh"}, "tanh"),
        ([TdnnBlock(4, 3)], {"drop_block_index": 0}, "residual block, got 0"),
        ([TdnnBlock(4, 3)], {"drop_block_prob": 2.0}, "2.0"),
        (
            [TdnnBlock(4, 3, residual="dense"), TdnnBlock(4, 3, stride=2), TdnnBlock(4, 3, residual="dense")],
            {},
            "between dense",
        ),
    ],
)
def test_an_impossible_encoder_is_refused(blocks, options, message):
    with pytest.raises(ValueError, match=message):
        TdnnEncoder(4, blocks, **options)


def test_the_encoder_describes_itself():
    described = small("dense").describe()["init_args"]
    assert described["blocks"][1] == {
        "channels": 12, "kernel": 5, "repeat": 2, "stride": 1, "dilation": 1, "dropout": 0.0, "residual": "dense",
        "separable": False,
    }  # fmt: skip
