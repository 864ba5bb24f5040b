"""The contracts of DESIGN section 12, over every encoder, decoder, loss and front end of every package.

Nothing is listed here: a new part is found by its base class, and fails until it offers examples that pass.
"""

from importlib import import_module
from importlib.util import find_spec

import pytest
import torch

from s2s_core import testing
from s2s_core.nn.frames import PackedFrames, PaddedFrames, frame_layout
from s2s_core.part import Part

FRAMES = [41, 64, 23, 50, 2]
SECONDS = [0.31, 0.5, 0.12, 0.4]
LABELS = 6
OWN_CONTRACTS = {"s2s_commands", "s2s_nmt", "s2s_tts"}
"""Packages whose parts take tokens or pictures, not frames: ``tests/PACKAGE/test_interfaces.py`` checks those."""


def found(name):
    """Every concrete subclass of the abstract class ``name`` of each package's ``interfaces``."""
    packages = [package for package in testing.installed_packages() if package not in OWN_CONTRACTS]
    modules = [f"{package}.interfaces" for package in packages]
    bases = [getattr(import_module(module), name, None) for module in modules if find_spec(module)]
    return [cls for base in bases if base is not None for cls in testing.find_parts(base)]


def features():
    from s2s_core.audio.features import Features

    return testing.find_parts(Features)


def cases(classes):
    """One case an example; a class without examples makes one case, which fails with its name."""
    for cls in classes:
        count = len(cls.examples()) if callable(getattr(cls, "examples", None)) else 1
        for i in range(count):
            yield pytest.param(cls, i, id=f"{cls.__name__}-{i}")


def build(cls, index):
    torch.manual_seed(0)
    return testing.examples_of(cls)[index]


def inputs_of(module):
    if hasattr(module, "sample_rate_hz"):
        return [0.1 * x for x in testing.draw_sequences([int(s * module.sample_rate_hz) for s in SECONDS])]
    return testing.draw_sequences(FRAMES, module.in_features)


ENCODERS = list(cases(found("Encoder")))
FEATURES = list(cases(features()))
SEARCHING = {cls for cls in found("Decoder") if not hasattr(cls, "greedy")}
"""Decoders whose labels depend on one another."""
DECODERS = list(cases(cls for cls in found("Decoder") if cls not in SEARCHING))
SEARCHERS = list(cases(cls for cls in found("Decoder") if cls in SEARCHING))
LOSSES = list(cases(cls for cls in found("Loss") if getattr(cls, "takes", "frames") == "frames"))
"""Those of the other decoders are checked where their scores are made: ``tests/asr/losses``."""

SEQUENCE_CHECKS = [
    testing.check_batch_invariance,
    testing.check_lengths,
    testing.check_zero_after_end,
]
ENCODER_CHECKS = [
    *SEQUENCE_CHECKS,
    testing.check_gradients_reach_every_parameter,
    testing.check_padding_is_ignored_in_training,
    testing.check_stays_finite_in_bfloat16,
]


def test_every_kind_was_found():
    assert ENCODERS
    assert FEATURES
    assert DECODERS
    assert SEARCHERS
    assert LOSSES


@pytest.fixture(params=["packed", "padded"])
def layout(request, monkeypatch):
    """The layout of frames that a CPU works in, and the one that an accelerator does."""
    if request.param == "padded":
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    chosen = frame_layout(torch.tensor([1]), 1)
    assert isinstance(chosen, PackedFrames if request.param == "packed" else PaddedFrames)
    return request.param


@pytest.mark.usefixtures("layout")
@pytest.mark.parametrize("check", ENCODER_CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize(("cls", "index"), ENCODERS)
def test_encoder(cls, index, check):
    module = build(cls, index)
    check(module, inputs_of(module))


class OnDevice(torch.nn.Module):
    """A module on the GPU for checks that think on the CPU."""

    def __init__(self, module):
        super().__init__()
        self.module = module.cuda()

    def forward(self, inputs, lengths):
        outputs, lengths = self.module(inputs.cuda(), lengths.cuda())
        return outputs.cpu(), lengths.cpu()

    def output_lengths(self, lengths):
        return self.module.output_lengths(lengths.cuda()).cpu()


on_gpu = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]
GPU_CASES = [
    pytest.param(*case.values, check, id=f"{case.id}-{check.__name__.removeprefix('check_')}", marks=on_gpu)
    for group, checks in ((ENCODERS, ENCODER_CHECKS), (FEATURES, SEQUENCE_CHECKS))
    for case in group
    for check in checks
]


@pytest.mark.parametrize(("cls", "index", "check"), GPU_CASES)
def test_on_a_gpu(cls, index, check, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # its rounding depends on the batch
    module = build(cls, index)
    check(OnDevice(module), inputs_of(module))


@pytest.mark.parametrize("check", SEQUENCE_CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
@pytest.mark.parametrize(("cls", "index"), FEATURES)
def test_features(cls, index, check):
    module = build(cls, index)
    check(module, inputs_of(module))


@pytest.mark.parametrize(("cls", "index"), DECODERS)
def test_decoder(cls, index):
    module = build(cls, index)
    testing.check_decoder(module, testing.draw_sequences(FRAMES, module.in_features))


@pytest.mark.parametrize(("cls", "index"), SEARCHERS)
def test_searching_decoder(cls, index):
    module = build(cls, index)
    testing.check_recognition(module, testing.draw_sequences(FRAMES, module.in_features))


@pytest.mark.parametrize(("cls", "index"), LOSSES)
def test_loss(cls, index):
    tokens = [torch.tensor(row) for row in ([0, 1, 1], [4, 0, 2, 3, 3], [2], [0, 1], [3])]
    testing.check_loss(build(cls, index), testing.draw_sequences(FRAMES, LABELS), tokens)


WITH_EXAMPLES = list(cases(cls for cls in testing.find_parts(Part) if callable(getattr(cls, "examples", None))))


@pytest.mark.parametrize(("cls", "index"), WITH_EXAMPLES)
def test_describe_round_trip(cls, index):
    testing.check_describe_round_trip(build(cls, index))
