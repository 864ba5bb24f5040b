"""What is done to training audio and features, on the training device, for whole batches.

All randomness comes from the CPU generator that the caller passes: the same state gives the same result on any device,
a resumed run repeats what an uninterrupted one drew, and evaluation, which passes none, is untouched. Whatever is
padding stays zero; inputs are never changed in place.
"""

from s2s_core.audio.augment.augment import Augment, FeatureAugment, WaveAugment
from s2s_core.audio.augment.background import BackgroundNoise
from s2s_core.audio.augment.crop import RandomCrop
from s2s_core.audio.augment.level import Gain, WhiteNoise
from s2s_core.audio.augment.shift import RandomPlace, TimeShift
from s2s_core.audio.augment.spec_augment import SpecAugment
from s2s_core.audio.augment.speed import SpeedPerturb
from s2s_core.audio.augment.stretch import Pitch, Stretch

__all__ = [
    "Augment",
    "BackgroundNoise",
    "FeatureAugment",
    "Gain",
    "Pitch",
    "RandomCrop",
    "RandomPlace",
    "SpecAugment",
    "SpeedPerturb",
    "Stretch",
    "TimeShift",
    "WaveAugment",
    "WhiteNoise",
]
