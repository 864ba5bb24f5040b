"""Recordings that are decoded once where memory allows."""

from __future__ import annotations

from torch import Tensor

from s2s_core.data.speech import CutTable


class KeptAudio:
    """The audio of cuts by index, decoded when it is first asked for.

    Args:
        cuts: the recordings.
        sample_rate_hz: of the audio.
        keep: keep what is decoded; what is given out is then shared and must not be changed.
    """

    def __init__(self, cuts: CutTable, sample_rate_hz: int, keep: bool = False) -> None:
        self.cuts, self.sample_rate_hz = cuts, sample_rate_hz
        self._kept: dict[int, Tensor] | None = {} if keep else None

    def __getitem__(self, index: int) -> Tensor:
        """A cut's sound ``(samples,)``, see `CutTable.audio`."""
        if self._kept is None:
            return self.cuts.audio(index, self.sample_rate_hz)
        if index not in self._kept:
            self._kept[index] = self.cuts.audio(index, self.sample_rate_hz)
        return self._kept[index]


def fits(cuts: CutTable, sample_rate_hz: int, megabytes: float) -> bool:
    """Whether the audio of all cuts, float32, takes no more than so many units of 2**20 bytes."""
    return bool(cuts.durations_s.sum() * sample_rate_hz * 4 <= megabytes * 2**20)
