"""Exported classifiers run with onnxruntime and give what they gave."""

import json

import pytest
import torch

from s2s_commands.cli import IMAGES
from s2s_commands.decoders.linear import LinearHead
from s2s_commands.encoders.alexnet import AlexNetEncoder
from s2s_commands.encoders.cnn import CnnEncoder
from s2s_commands.encoders.jasper import JasperEncoder
from s2s_commands.encoders.matchbox import MatchboxEncoder
from s2s_commands.encoders.resnet import ResNetEncoder
from s2s_commands.encoders.spectrogram import SpectrogramEncoder
from s2s_commands.image_view import ImageView
from s2s_commands.losses.cross_entropy import CrossEntropy
from s2s_commands.onnx_graphs import image_graph, sound_graph
from s2s_core.checkpoint import build_task, section_of
from s2s_core.cli.main import run_task
from s2s_core.errors import UserError
from s2s_core.export import _write_onnx, export_task, load_exported

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytestmark = pytest.mark.slow
FRAMES = 41


def disturb(module):
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for value in module.state_dict().values():
            if value.dtype.is_floating_point and value.dim() == 1:
                value.copy_(torch.rand(value.shape, generator=generator) * 0.5 + 0.75)
    return module.eval()


def difference(graph, path, *inputs):
    """Between onnxruntime and torch, for a batch of another size than the exported example's."""
    _write_onnx(graph, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    fed = {name: value.numpy() for name, value in zip(graph.inputs, inputs, strict=True)}
    with torch.no_grad():
        expected = graph.module(*inputs)
    assert expected.std() > 0.01, "the answers must differ for the test to mean something"
    return float((torch.from_numpy(session.run(None, fed)[0]) - expected).abs().max())


@pytest.mark.parametrize(
    "make",
    [
        lambda: ResNetEncoder(depth=18, width=4, blocks=[1, 2]),
        lambda: ResNetEncoder(depth=50, version=2, small_images=True, width=4, blocks=[1, 1]),
        lambda: CnnEncoder.examples()[0],
        lambda: AlexNetEncoder(1, 67),
    ],
    ids=["resnet-v1", "resnet-v2", "cnn", "alexnet"],
)
def test_an_image_classifier_is_the_same_in_onnx(make, tmp_path):
    torch.manual_seed(0)
    encoder = make()
    head = disturb(LinearHead(encoder.out_features, 5))
    with torch.no_grad():
        head.linear.weight.mul_(3)
    size = 67 if encoder.in_channels == 1 else 24
    graph = image_graph(disturb(encoder), head, size, {})
    images = torch.randn(3, encoder.in_channels, size, size)
    assert difference(graph, tmp_path / "model.onnx", images) < 1e-4


@pytest.mark.parametrize("kind", [JasperEncoder, MatchboxEncoder, SpectrogramEncoder])
def test_a_sound_classifier_is_the_same_in_onnx(kind, tmp_path):
    for number, encoder in enumerate(kind.examples()):
        torch.manual_seed(number)
        head = LinearHead(encoder.out_features, 5).eval()
        with torch.no_grad():
            head.linear.weight.mul_(3)
        graph = sound_graph(disturb(encoder), head, FRAMES, {})
        features = torch.randn(3, FRAMES, encoder.in_features)
        assert difference(graph, tmp_path / f"{number}.onnx", features, torch.tensor([FRAMES, 30, 7])) < 1e-4


def small_task():
    """Built as a recipe builds it, so that its optimizer can be written down."""
    spec = {
        "class_path": "s2s_commands.image_task.ImageClassification",
        "init_args": {
            "encoder": ResNetEncoder(depth=18, small_images=True, width=4, blocks=[1]).describe(),
            "decoder": LinearHead(4, 2).describe(),
            "loss": CrossEntropy().describe(),
            "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}},
            "view": ImageView(8, None).describe(),
        },
    }
    task = build_task(spec, "test")
    task.classes = ["cat", "dog"]
    return task.eval()


def test_the_verb_writes_what_can_be_loaded_again(tmp_path, capsys):
    task = disturb(small_task())
    checkpoint = tmp_path / "best.ckpt"
    torch.save({"s2s": section_of(task), "state_dict": task.state_dict()}, checkpoint)
    out = tmp_path / "out"
    arguments = ["export", "--ckpt_path", str(checkpoint), "--output", str(out)]
    assert run_task(IMAGES, arguments, "test") == 0
    names = ["model.safetensors", "config.json", "assets/classes.txt", "model.onnx"]
    assert [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()] == [str(out / name) for name in names]
    again = load_exported(out)
    images = torch.randn(3, 3, 8, 8)
    assert again.classes == ["cat", "dog"]
    with torch.no_grad():
        assert torch.equal(again.logits(images), task.logits(images))
    session = onnxruntime.InferenceSession(str(out / "model.onnx"))
    notes = json.loads(session.get_modelmeta().custom_metadata_map["s2s"])
    assert notes["classes"] == ["cat", "dog"]
    assert notes["view"]["size"] == 8
    with pytest.raises(UserError, match="--overwrite"):
        run_task(IMAGES, arguments, "test")
    assert run_task(IMAGES, [*arguments, "--overwrite", "--format", "safetensors"], "test") == 0


def test_mistakes_of_export_are_named(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        run_task(IMAGES, ["export", "--ckpt_path", "none.ckpt", "--output", str(tmp_path / "o")], "test")
    with pytest.raises(UserError, match="no export of this toolkit"):
        load_exported(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"spec": {"class_path": "os.system"}, "assets": []}))
    with pytest.raises(UserError, match="outside s2s"):
        load_exported(tmp_path)

    class Bare:
        name = "bare"

    with pytest.raises(UserError, match="no ONNX graph"):
        export_task(Bare(), tmp_path, onnx=True)
