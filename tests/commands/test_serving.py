import io
import json

import numpy as np
import pytest
import soundfile
from PIL import Image

from s2s_commands.classify_image import ImageClassifier
from s2s_commands.classify_sound import CommandClassifier
from s2s_commands.cli.classify import main
from s2s_commands.serving import ClassifyImageEndpoint, ClassifySoundEndpoint
from s2s_core.errors import UserError
from s2s_core.serving.endpoint import TooLong, Upload
from s2s_core.testing.serving import answers_in_any_company


def test_sounds_are_named_as_the_verb_names_them_in_any_company(checkpoint, tones, capsys):
    files = sorted(tones.parent.joinpath("audio", "test").rglob("*.wav"))[::5]
    endpoint = ClassifySoundEndpoint(CommandClassifier.load(checkpoint), most_s=1)
    asked = [Upload(file.name, io.BytesIO(file.read_bytes())) for file in files]
    answers = answers_in_any_company(endpoint, asked, tolerance=1e-5)
    words = ["--checkpoint", str(checkpoint), "--device", "cpu", "--format", "json", *map(str, files)]
    assert main(words) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for row, answer, file in zip(rows, answers, files, strict=True):
        assert row.pop("path") == str(file)
        assert row.keys() == answer.keys()
        assert (row["label"], row["duration_s"]) == (answer["label"], answer["duration_s"])
        assert row["probabilities"] == pytest.approx(answer["probabilities"], abs=2e-6)
    held = io.BytesIO()
    soundfile.write(held, np.zeros(9000), 8000, format="WAV")
    with pytest.raises(TooLong, match=r"lasts 1\.1 s, expected at most 1 s"):
        endpoint.prepare(Upload("long.wav", held))


@pytest.fixture
def images(picture_task):
    return ClassifyImageEndpoint(ImageClassifier(picture_task()), most_megapixels=0.01)


def picture(form="PNG", size=(9, 12), mode="RGB"):
    pixels = np.random.default_rng(size[0]).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    held = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(held, form)
    return Upload(f"a.{form.lower()}", held)


def test_pictures_are_named_alike_in_any_company(images, tmp_path):
    asked = [picture(), picture("JPEG", (20, 8)), picture("GIF", (8, 8), "P"), picture("BMP", (30, 31), "L")]
    answers = answers_in_any_company(images, asked, tolerance=1e-5)
    (tmp_path / "a.png").write_bytes(asked[0].file.getvalue())
    [expected] = images.classifier.classify([tmp_path / "a.png"])
    assert answers[0]["label"] == expected.label
    assert answers[0]["probabilities"] == pytest.approx(expected.probabilities, abs=1e-6)
    assert len({answer["probability"] for answer in answers}) == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a picture"),
        (b"GIF89a but no more", "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", r"not a picture \(JPEG, PNG"),
        (picture().file.getvalue()[:-40], "cannot be read"),
    ],
)
def test_what_is_no_picture_is_said(images, content, message):
    with pytest.raises(UserError, match=rf"a\.png: {message}"):
        images.prepare(Upload("a.png", io.BytesIO(content)))


def test_large_pictures_are_refused_by_their_header(images, monkeypatch):
    large = picture(size=(101, 100))
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("was decoded"))
    with pytest.raises(TooLong, match=r"a\.png: 101x100, expected at most 0\.01 megapixels"):
        images.prepare(large)
