"""Sound and image classification over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image, UnidentifiedImageError
from torch import Tensor

from s2s_commands.answer_row import answer_row
from s2s_commands.classify_image import ImageClassifier
from s2s_commands.classify_sound import CommandClassifier
from s2s_core.audio.recording_endpoint import RecordingEndpoint
from s2s_core.errors import UserError
from s2s_core.serving.endpoint import Answer, Endpoint, TooLong, Upload

PICTURE_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
"""Pillow knows more, and hands some of them to other programs."""


class LabelAnswer(Answer):
    """What something is taken for."""

    label: str
    probability: float
    probabilities: dict[str, float]


class SoundAnswer(LabelAnswer):
    """What a recording is taken for."""

    duration_s: float


class ClassifySoundEndpoint(RecordingEndpoint):
    """Recordings to labels.

    Args:
        classifier: the loaded model.
        most_s: seconds of a recording.
    """

    name = "classify"
    summary = "A recording (WAV, FLAC, Ogg, Opus, MP3) to the command that is spoken in it"
    answers = SoundAnswer

    def __init__(self, classifier: CommandClassifier, most_s: float) -> None:
        super().__init__(classifier.sample_rate_hz, most_s)
        self.classifier = classifier

    def run(self, batch: Sequence[Tensor]) -> list[dict[str, Any] | UserError]:
        results = self.classifier.classify_each(batch, len(batch))
        return [
            one if isinstance(one, UserError) else {**answer_row(one), "duration_s": one.duration_s} for one in results
        ]


class ClassifyImageEndpoint(Endpoint[Image.Image]):
    """Pictures to labels.

    Args:
        classifier: the loaded model.
        most_megapixels: of a picture.
    """

    name = "classify"
    summary = "A picture (JPEG, PNG, BMP, GIF, WebP, TIFF, PPM) to what it shows"
    answers = LabelAnswer

    def __init__(self, classifier: ImageClassifier, most_megapixels: float) -> None:
        self.asks = "image"
        self.classifier, self.most_megapixels = classifier, most_megapixels

    def prepare(self, asked: Upload) -> Image.Image:
        try:
            with Image.open(asked.file, formats=PICTURE_FORMATS) as picture:
                width, height = picture.size
                if width * height > self.most_megapixels * 1e6:
                    raise TooLong(
                        f"{asked.name}: {width}x{height}, expected at most {self.most_megapixels:g} megapixels"
                    )
                return self.classifier.task.view.coloured(picture)
        except UnidentifiedImageError:
            raise UserError(f"{asked.name}: not a picture ({', '.join(PICTURE_FORMATS)})") from None
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise UserError(f"{asked.name}: cannot be read ({' '.join(str(error).split())})") from None

    def run(self, batch: Sequence[Image.Image]) -> list[dict[str, Any] | UserError]:
        results = self.classifier.classify_each(batch, len(batch))
        return [one if isinstance(one, UserError) else answer_row(one) for one in results]
