"""Recordings on disk, whole or not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from s2s_core.errors import UserError


def write_audio(path: Path, audio: np.ndarray, sample_rate_hz: int) -> None:
    """Write samples ``(time,)`` of 16 bits in the format that the file's name ends in; beyond [-1, 1] they are clipped.

    A file of that name is always whole: it replaces an earlier one once everything has been written.

    Raises:
        UserError: if it cannot be written; the message names the file.
    """
    import soundfile

    partial = path.with_name(f".{path.name}.partial")
    try:
        soundfile.write(partial, audio, sample_rate_hz, format=path.suffix[1:].upper(), subtype="PCM_16")
        partial.replace(path)
    except (OSError, soundfile.LibsndfileError) as error:
        raise UserError(f"{path}: cannot be written ({error})") from None
    finally:
        partial.unlink(missing_ok=True)
