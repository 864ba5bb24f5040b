import pytest
import torch
from torch.nn import functional as F

from s2s_core.nn.native import load_library
from s2s_tts.interfaces import Spectrogram
from s2s_tts.spectrogram import MelSpectrogram
from s2s_tts.vocoders.mu_law import mu_law_encode
from s2s_tts.vocoders.upsampling import Repetition, TransposedConvolutions
from s2s_tts.vocoders.wavenet import WaveNet, make_steps
from s2s_tts.vocoders.wavenet_cached import CachedSteps
from s2s_tts.vocoders.wavenet_native import SOURCE, NativeSteps
from s2s_tts.vocoders.wavenet_network import WaveNetNetwork, WaveNetShape, draw

SHAPES = [
    WaveNetShape(2, 3, 2, 8, 12, 16, 32),
    WaveNetShape(1, 4, 3, 6, 5, 7, 11),
    WaveNetShape(2, 2, 1, 8, 8, 8, 8),
    WaveNetShape(1, 3, 2, 65, 130, 70, 200),
]
IDS = ["kernel2", "kernel3", "kernel1", "wide"]


def network(shape, features=0, dtype=torch.float64):
    torch.manual_seed(0)
    made = WaveNetNetwork(shape, features).to(dtype).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made


def uniforms_of(batch, samples):
    return torch.rand(batch, samples, generator=torch.Generator().manual_seed(1))


def drawn_naively(net, conditions, stride, uniforms):
    """The whole network anew for each sample."""
    levels = torch.zeros(len(uniforms), 0, dtype=torch.int64)
    for t in range(uniforms.size(1)):
        longer = F.pad(levels, (0, 1))
        scores = net(longer, conditions, stride)[:, t]
        levels = torch.cat([levels, draw(scores, uniforms[:, t])[:, None]], dim=1)
    return levels


def shares_of(net, conditions):
    return None if conditions is None else net.condition(conditions)


def test_the_original_has_its_receptive_field_and_sizes():
    shape = WaveNetShape()
    assert shape.receptive_field == 6139
    assert len(shape.dilations) == 30
    net = WaveNetNetwork(shape, 80)
    layer = 3 * 64 * 128 + 128 + 64 * 128 + 128
    assert sum(p.numel() for p in net.parameters()) == (
        256 * 64 + 30 * layer + 80 * 128 * 30 + 64 * 256 + 256 + 256 * 256 + 256
    )


@pytest.mark.parametrize("shape", SHAPES, ids=IDS)
def test_a_prediction_depends_on_its_receptive_field_and_nothing_later(shape):
    net = network(shape)
    field = shape.receptive_field
    x = torch.randn(1, field + 5, shape.residual_channels, dtype=torch.float64, requires_grad=True)
    last = field + 2
    net.scores(x)[0, last].sum().backward()
    reached = x.grad[0].abs().sum(1) > 0  # x at t is the sample before t
    assert reached.nonzero().flatten().tolist() == list(range(last - field + 1, last + 1))


def test_scores_are_those_of_the_sample_itself_given_those_before():
    net = network(SHAPES[0])
    levels = torch.randint(32, (1, 20), generator=torch.Generator().manual_seed(0))
    changed = levels.clone()
    changed[0, 9] = (levels[0, 9] + 1) % 32
    differs = (net(levels) != net(changed)).any(-1)[0]
    assert not differs[:10].any()
    assert differs[10]


def test_a_layer_is_the_papers_formula():
    """z = tanh(W_f * x + V_f h) sigma(W_g * x + V_g h), by torch's own dilated convolution."""
    net = network(WaveNetShape(1, 3, 3, 4, 5, 6, 7), features=2)
    layer = net.layers[2]
    x = torch.randn(2, 30, 4, dtype=torch.float64)
    conditions = torch.randn(2, 30, 2, dtype=torch.float64)
    kernel = layer.gates.weight.unflatten(1, (3, 4)).transpose(1, 2)
    summed = F.conv1d(F.pad(x.mT, (8, 0)), kernel, layer.gates.bias, dilation=4)
    summed = summed + F.linear(conditions, net.condition.weight[16:24]).mT
    z = summed[:, :4].tanh() * summed[:, 4:].sigmoid()
    out = F.conv1d(z, layer.out.weight[..., None], layer.out.bias)
    residual, skip = layer(x, net.condition_shares(conditions)[2])
    torch.testing.assert_close(residual, x + out[:, :4].mT)
    torch.testing.assert_close(skip, out[:, 4:].mT)


@pytest.mark.parametrize("shape", SHAPES, ids=IDS)
@pytest.mark.parametrize("stride", [None, 1, 7])
def test_cached_samples_are_those_of_the_whole_network(shape, stride):
    net = network(shape, features=3 if stride else 0)
    samples = 60
    conditions = None if stride is None else torch.randn(2, samples // stride + 2, 3, dtype=torch.float64)
    uniforms = uniforms_of(2, samples)
    expected = drawn_naively(net, conditions, stride or 1, uniforms)
    steps = CachedSteps(net, 2)
    # in two runs: the second goes on where the first stopped
    first = 0 if stride is None else (25 + stride // 2) // stride
    found = [steps.run(shares_of(net, conditions), 0, stride or 1, uniforms[:, :25])]
    rest = None if conditions is None else shares_of(net, conditions[:, first:])
    found.append(steps.run(rest, first, stride or 1, uniforms[:, 25:]))
    assert torch.equal(torch.cat(found, dim=1), expected)
    assert expected.unique().numel() > 5


def native_steps(*arguments):
    library = load_library(SOURCE)
    if library is None:
        pytest.skip("there is no C++ compiler, or S2S_NATIVE=0")
    return NativeSteps(library, *arguments)


def distance_from_the_drawn(net, levels, conditions, stride, uniforms):
    """How far each uniform lies outside of the share of the level that was drawn, by the whole network's scores."""
    shares = net(levels, conditions, stride).softmax(-1).cumsum(-1)
    above = shares.gather(2, levels[..., None])[..., 0]
    below = F.pad(shares, (1, 0)).gather(2, levels[..., None])[..., 0]
    return torch.maximum(below - uniforms, uniforms - above).clamp(min=0).max()


@pytest.mark.parametrize("shape", [*SHAPES, WaveNetShape()], ids=[*IDS, "original"])
@pytest.mark.parametrize(("batch", "weights"), [(1, "float32"), (7, "float32"), (1, "bfloat16"), (6, "bfloat16")])
def test_compiled_samples_are_those_of_the_whole_network(shape, batch, weights):
    net = network(shape, features=3, dtype=torch.float32)
    if shape == WaveNetShape():
        net = WaveNetNetwork(shape, 3)  # as it begins: wide random weights would amplify rounding
    samples, stride = 200, 30
    conditions = torch.randn(batch, 9, 3, generator=torch.Generator().manual_seed(2))
    uniforms = uniforms_of(batch, samples)
    steps = native_steps(net, batch, 1.0, weights)
    with torch.no_grad():
        found = [steps.run(net.condition(conditions), 0, stride, uniforms[:, :85])]
        found.append(steps.run(net.condition(conditions[:, 3:]), 3, stride, uniforms[:, 85:]))
        levels = torch.cat(found, dim=1)
        if weights == "bfloat16":
            for module in [*net.layers.modules(), net.hidden, net.levels]:
                if isinstance(module, torch.nn.Linear):
                    module.weight.copy_(module.weight.bfloat16())
        assert distance_from_the_drawn(net.double(), levels, conditions.double(), stride, uniforms) < 2e-5
    assert levels.unique().numel() > 5


def test_compiled_samples_do_not_depend_on_threads_or_batch(set_threads):
    net = network(SHAPES[3], dtype=torch.float32)
    uniforms = uniforms_of(6, 100)
    set_threads(1)
    alone = torch.cat([native_steps(net, 1).run(None, 0, 1, row[None]) for row in uniforms])
    set_threads(2)
    assert torch.equal(native_steps(net, 6).run(None, 0, 1, uniforms), alone)


@pytest.mark.parametrize("make", [CachedSteps, native_steps])
def test_at_temperature_zero_the_likeliest_level_is_taken(make):
    net = network(SHAPES[0], dtype=torch.float32)
    levels = make(net, 1, 0.0).run(None, 0, 1, uniforms_of(1, 40))
    assert torch.equal(net(levels).argmax(-1), levels)


def test_draws_follow_the_scores():
    scores = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64).log().expand(4000, -1)
    uniforms = (torch.arange(4000) + 0.5) / 4000
    assert draw(scores, uniforms).bincount(minlength=4).tolist() == [400, 800, 1200, 1600]
    colder = draw(scores, uniforms, temperature=0.5).bincount(minlength=4)
    assert colder.tolist() == [133, 534, 1200, 2133]  # shares 1, 4, 9 and 16 thirtieths


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cuda_graph_draws_what_the_host_draws():
    net = network(SHAPES[0])
    uniforms = uniforms_of(3, 50)
    expected = CachedSteps(net, 3).run(None, 0, 1, uniforms)
    found = CachedSteps(net.cuda(), 3).run(None, 0, 1, uniforms.cuda())
    assert torch.equal(found.cpu(), expected)


def test_without_a_kernel_the_vocoder_sounds_the_same(monkeypatch):
    vocoder = WaveNet.examples()[0]
    spectrogram = Spectrogram(torch.randn(2, 5, 20), torch.tensor([5, 3]))
    audio = vocoder(spectrogram)
    monkeypatch.setattr("s2s_tts.vocoders.wavenet.native_library", lambda: None)
    assert isinstance(make_steps(vocoder.network, 1), CachedSteps)
    agrees = (vocoder(spectrogram) == audio).float().mean()
    assert agrees > 0.9  # a level drawn on the other side of a boundary changes what follows


@pytest.mark.parametrize("upsampling", [Repetition(), TransposedConvolutions(20, [4, 8])])
def test_the_vocoders_scores_are_what_it_draws_from(upsampling):
    vocoder = WaveNet(MelSpectrogram(20, 8000, 128), SHAPES[0], upsampling).double()
    mel, lengths = torch.randn(2, 6, 20, dtype=torch.float64), torch.tensor([6, 6])
    audio = vocoder(Spectrogram(mel, lengths), torch.tensor([4, 5]))
    levels = mu_law_encode(audio, 32)
    uniforms = torch.stack([torch.rand(160, generator=torch.Generator().manual_seed(seed)) for seed in (4, 5)])
    assert torch.equal(draw(vocoder.scores(levels, mel, lengths), uniforms), levels)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"temperature": -1.0}, "temperature"),
        ({"weights": "int4"}, "'int4'"),
        ({"upsampling": TransposedConvolutions(20, [4, 4])}, "16 samples, a frame 32"),
    ],
)
def test_a_wrong_setting_is_refused(changed, named):
    with pytest.raises(ValueError, match=named):
        WaveNet(MelSpectrogram(20, 8000, 128), **changed)


def test_a_shape_without_layers_is_refused():
    with pytest.raises(ValueError, match="blocks must be positive, got 0"):
        WaveNetShape(blocks=0)
