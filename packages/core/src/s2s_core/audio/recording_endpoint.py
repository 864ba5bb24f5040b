"""A verb over HTTP that hears one recording a request."""

from __future__ import annotations

from torch import Tensor

from s2s_core.audio.uploads import read_upload
from s2s_core.serving.endpoint import Endpoint, Upload


class RecordingEndpoint(Endpoint[Tensor]):
    """Takes recordings and hands on their audio ``(samples,)`` at the model's rate.

    Args:
        sample_rate_hz: of the model.
        most_s: seconds of a recording.
    """

    def __init__(self, sample_rate_hz: int, most_s: float) -> None:
        self.asks = "audio"
        self.sample_rate_hz, self.most_s = sample_rate_hz, most_s

    def prepare(self, asked: Upload) -> Tensor:
        return read_upload(asked, self.sample_rate_hz, self.most_s)
