"""Speaks the lines of a manifest in worker processes, goes on past those that fail, and after a kill."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from s2s_core.errors import UserError
from s2s_tts.sound_files import write_audio
from s2s_tts.synthetic.engines import Engine
from s2s_tts.synthetic.journal import Journal
from s2s_tts.synthetic.transcripts import Line

MANIFEST = "synthetic.jsonl.gz"
_FILES_A_FOLDER = 1000
_AHEAD = 4
"""Lines handed to each worker before it has asked for them."""


@dataclass(frozen=True)
class Writing:
    """Where the sound goes, and as what."""

    folder: Path
    sample_rate_hz: int = 16000
    audio_format: str = "wav"
    seed: int = 0

    def path(self, place: int) -> Path:
        """Of a line's recording."""
        return self.folder / "audio" / f"{place // _FILES_A_FOLDER:04d}" / f"{place:07d}.{self.audio_format}"


def speak_lines(
    lines: Sequence[Line],
    engine: Engine,
    writing: Writing,
    journal: Journal,
    workers: int,
    told: Callable[[dict[str, Any]], None],
) -> None:
    """Speak every line that the journal has not as spoken; what failed before is tried again.

    A line's voice and sound are functions of the seed, its place and its text, whatever the number of workers.

    Args:
        lines: of the manifest.
        engine: speaks.
        writing: where to.
        journal: keeps each result: ``place``, and ``samples`` and ``voice``, or ``error``.
        workers: processes.
        told: called with each new result.

    Raises:
        UserError: if a worker cannot begin, or died.
    """
    waiting = [line for line in lines if "samples" not in journal.results.get(line.place, {})]
    for result in _results(waiting, engine, writing, workers):
        journal.note(result)
        told(result)


def _results(lines: Sequence[Line], engine: Engine, writing: Writing, workers: int) -> Iterator[dict[str, Any]]:
    if not lines:
        return
    workers = min(workers, len(lines))
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin, (engine, writing))
    running: set[Future[dict[str, Any]]] = set()
    try:
        for line in lines:
            if len(running) >= workers * _AHEAD:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
            running.add(pool.submit(_speak, line))
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process could not begin or died; the same command goes on with what is left"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


_ready: tuple[Engine, Writing] | None = None


def _begin(engine: Engine, writing: Writing) -> None:
    global _ready  # noqa: PLW0603 - what the process was started with
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to hear
    engine.prepare()
    _ready = (engine, writing)


def _speak(line: Line) -> dict[str, Any]:
    assert _ready is not None
    engine, writing = _ready
    result: dict[str, Any] = {"place": line.place, "id": line.id}
    if line.fault:
        return {**result, "error": f"{line.where}: {line.fault}"}
    rng = random.Random(f"{writing.seed} {line.place}")
    try:
        voice = engine.draw(rng)
        samples = _write(engine, line.text, voice, writing, line.place)
    except Exception as error:  # whatever a line does to an engine, the others are spoken
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        return {**result, "error": f"{line.where}: {reason}"}
    return {**result, "samples": samples, "voice": voice}


def _write(engine: Engine, text: str, voice: dict[str, Any], writing: Writing, place: int) -> int:
    from s2s_core.data.synthetic import resampled

    samples, rate_hz = engine.speak(text, voice)
    samples = resampled(samples, rate_hz, writing.sample_rate_hz)
    path = writing.path(place)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_audio(path, samples, writing.sample_rate_hz)
    return len(samples)


def write_manifest(lines: Sequence[Line], journal: Journal, writing: Writing) -> Path:
    """Write Lhotse cuts of what was spoken, in the manifest's order; the transcripts are the manifest's own.

    Returns:
        the manifest's path. It replaces an earlier one whole.
    """
    from lhotse import CutSet

    from s2s_core.data.audio_files import AudioInfo
    from s2s_core.data.manifests import recording_cut

    def cuts() -> Iterator[Any]:
        for line in lines:
            result = journal.results.get(line.place, {})
            if "samples" in result:
                audio = AudioInfo(result["samples"], writing.sample_rate_hz, 1)
                name, speaker = f"{line.id}-synthetic", f"synthetic-{result['voice']['speaker']}"
                yield recording_cut(name, writing.path(line.place), audio, line.text, speaker)

    path = writing.folder / MANIFEST
    partial = path.with_name(f".partial-{MANIFEST}")
    with CutSet.open_writer(partial, overwrite=True) as writer:
        for cut in cuts():
            writer.write(cut)
    os.replace(partial, path)  # noqa: PTH105 - atomic
    return path
