"""A toy corpus of sounds, three classes of tones, a classifier that learns them in seconds, and one of pictures."""

import functools
import math

import numpy as np
import pytest
import soundfile
import torch

from s2s_commands.decoders.linear import LinearHead
from s2s_commands.encoders.matchbox import MatchboxEncoder
from s2s_commands.encoders.resnet import ResNetEncoder
from s2s_commands.image_task import ImageClassification
from s2s_commands.image_view import ImageView
from s2s_commands.interfaces import SoundBatch
from s2s_commands.losses.cross_entropy import CrossEntropy
from s2s_commands.prepare.sounds import prepare_sounds
from s2s_commands.sound_task import SoundClassifier
from s2s_core.audio.features import LogMel
from s2s_core.checkpoint import section_of

RATE = 8000
TONES = {"high": 1600.0, "low": 300.0, "middle": 800.0}


def tone(name, number):
    rng = np.random.default_rng([number, len(name)])
    hz = TONES[name] * rng.uniform(0.9, 1.1)
    samples = int(RATE * rng.uniform(0.25, 0.4))
    return 0.5 * np.sin(2 * math.pi * hz * np.arange(samples) / RATE) + rng.normal(0, 0.02, samples)


@pytest.fixture(scope="session")
def tones(tmp_path_factory):
    """The folder of the manifests: 8 clips of a class to train on, 3 to validate and 5 to test."""
    root = tmp_path_factory.mktemp("tones")
    number = 0
    for split, count in (("train", 8), ("validation", 3), ("test", 5)):
        for name in TONES:
            folder = root / "audio" / split / name
            folder.mkdir(parents=True)
            for place in range(count):
                number += 1
                soundfile.write(folder / f"{place}.wav", tone(name, number), RATE)
    prepare_sounds("folders", root / "audio", root / "manifests")
    return root / "manifests"


@pytest.fixture(scope="session")
def classifier_of():
    """Builds the toy classifier; arguments go to `SoundClassifier`."""

    def build(norm="batch", num_classes=3, lr=0.02, **arguments):
        torch.manual_seed(0)
        task = SoundClassifier(
            LogMel(12, RATE, window_ms=32.0, hop_ms=16.0, normalise="utterance"),
            MatchboxEncoder(12, 1, 1, 8, 16, norm=norm),
            LinearHead(16, num_classes),
            CrossEntropy(),
            functools.partial(torch.optim.AdamW, lr=lr),
            **arguments,
        )
        task.classes = list(TONES)[:num_classes]
        return task

    return build


@pytest.fixture
def noise_batch():
    """Six clips of noise, each shorter than the one before, of three classes in turn."""
    count, samples = 6, 4000
    generator = torch.Generator().manual_seed(4)
    lengths = torch.linspace(samples, samples // 2, count).long()
    audio = 0.1 * torch.randn(count, samples, generator=generator)
    audio = audio.masked_fill(torch.arange(samples) >= lengths[:, None], 0.0)
    return SoundBatch(audio, lengths, torch.arange(count) % 3, [str(i) for i in range(count)])


@pytest.fixture
def picture_task():
    """Builds an untrained classifier of small pictures as cat, dog and eel; arguments go to `ImageView`."""

    def build(**view):
        torch.manual_seed(0)
        task = ImageClassification(
            ResNetEncoder(depth=18, small_images=True, width=4, blocks=[1]),
            LinearHead(4, 3),
            CrossEntropy(),
            functools.partial(torch.optim.SGD, lr=0.1),
            view=ImageView(8, 8, **view),
        )
        task.classes = ["cat", "dog", "eel"]
        return task

    return build


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory, classifier_of):
    """A checkpoint of the toy classifier, trained by hand until it knows the tones."""
    task = classifier_of()
    audio = [torch.from_numpy(tone(name, 100 + place)).float() for place in range(6) for name in TONES]
    lengths = torch.tensor([len(sound) for sound in audio])
    batch = torch.nn.utils.rnn.pad_sequence(audio, batch_first=True)
    labels = task.targets_of(torch.arange(18) % 3)
    optimizer = torch.optim.AdamW(task.parameters(), lr=0.02)
    for _ in range(40):
        optimizer.zero_grad()
        task.loss(task.logits(batch, lengths), labels).mean.backward()
        optimizer.step()
    path = tmp_path_factory.mktemp("checkpoint") / "tones.ckpt"
    torch.save({"s2s": section_of(task), "state_dict": task.state_dict()}, path)
    return path
