"""Speech from text with the eSpeak NG library of the ``espeakng-loader`` wheel: no download, no temporary files."""

from __future__ import annotations

import contextlib
import ctypes
import json
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from s2s_core.errors import UserError

_SYNCHRONOUS_RETRIEVAL = 2
_DO_NOT_EXIT_ON_FAILURE = 0x8000
_RATE, _PITCH = 1, 3
_TEXT_IS_UTF8 = 1
_IPA = 2
RATE_RANGE_WPM = (80, 450)
"""Slowest and fastest."""

_HEADER = struct.Struct("<II")  # sample rate in Hz and number of float32 samples that follow
_USER_ERROR_PREFIX = "UserError: "

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
# The library keeps its voice, its parameters and its output in globals: one caller at a time.
_lock = threading.Lock()


@dataclass(frozen=True)
class EspeakVoice:
    """A speaker of eSpeak NG.

    Raises:
        ValueError: if the rate or the pitch is outside of what the library takes.
    """

    voice: str = "en-us"
    """A language or accent of `voices`: ``en-us``, ``en`` (British), ``en-gb-scotland``, ``de``."""
    variant: str = "m3"
    """A timbre of `variants`: ``m1`` to ``m8``, ``f1`` to ``f5``, or a name."""
    rate_wpm: int = 170
    """Words a minute, 80 to 450."""
    pitch: int = 50
    """0 to 99; 50 is the variant's own."""

    def __post_init__(self) -> None:
        low, high = RATE_RANGE_WPM
        if not low <= self.rate_wpm <= high:
            raise ValueError(f"rate_wpm must be {low} to {high}, got {self.rate_wpm}")
        if not 0 <= self.pitch <= 99:
            raise ValueError(f"pitch must be 0 to 99, got {self.pitch}")


@dataclass(frozen=True)
class _Library:
    handle: ctypes.CDLL
    sample_rate_hz: int
    collected: list[np.ndarray]
    callback: Callable[..., int]  # the library holds only its address: it must not be garbage-collected


def warm_up() -> None:
    """Load the library into this process, which is done anyway when it speaks: a fork then need not.

    Raises:
        UserError: if the wheel is not installed.
    """
    with _lock:
        _library()


def synthesize(text: str, voice: EspeakVoice) -> tuple[np.ndarray, int]:
    """Speak ``text`` in this process.

    The library carries phases and echoes over from what it spoke before, so the samples of an utterance vary a
    little (inaudibly) with the process's history; `synthesize_all` repeats itself to the bit.

    Returns:
        float32 samples ``(time,)`` in [-1, 1] and the library's own sample rate in Hz (22 050).

    Raises:
        UserError: if the wheel is not installed, or the voice or the variant does not exist.
    """
    with _lock:
        library = _library()
        _check_names(voice)
        if library.handle.espeak_SetVoiceByName(f"{voice.voice}+{voice.variant}".encode()) != 0:
            raise RuntimeError(f"eSpeak NG could not load its voice {voice.voice}+{voice.variant}")
        library.handle.espeak_SetParameter(_RATE, voice.rate_wpm, 0)
        library.handle.espeak_SetParameter(_PITCH, voice.pitch, 0)
        library.handle.espeak_ng_SetRandSeed(1)  # else breath is as random as the time of day
        library.collected.clear()
        encoded = text.encode()
        status = library.handle.espeak_Synth(encoded, len(encoded) + 1, 0, 0, 0, _TEXT_IS_UTF8, None, None)
        if status != 0:
            raise RuntimeError(f"eSpeak NG failed with status {status} on {text!r}")
        samples = np.concatenate([np.empty(0, np.int16), *library.collected])
    return samples.astype(np.float32) / 32768.0, library.sample_rate_hz


def phonemes(text: str, voice: str = "en-us") -> str:
    """Return how ``text`` is pronounced, in the International Phonetic Alphabet; punctuation is lost.

    Args:
        text: one clause or several.
        voice: a language or accent of `voices`.

    Raises:
        UserError: if the wheel is not installed, or the voice does not exist.
    """
    with _lock:
        library = _library()
        _check_names(EspeakVoice(voice))
        if library.handle.espeak_SetVoiceByName(voice.encode()) != 0:
            raise RuntimeError(f"eSpeak NG could not load its voice {voice}")
        translate = library.handle.espeak_TextToPhonemes
        translate.restype = ctypes.c_char_p
        rest = ctypes.c_char_p(text.encode())
        clauses: list[bytes] = []
        while rest.value:  # the library moves the pointer past each clause, and to null at the end
            clauses.append(translate(ctypes.byref(rest), _TEXT_IS_UTF8, _IPA) or b"")
    return " ".join(b" ".join(clauses).decode().split())


def synthesize_all(utterances: Sequence[tuple[str, EspeakVoice]]) -> Iterator[tuple[np.ndarray, int]]:
    """Speak texts one after another in a fresh process; the same list gives the same samples to the bit.

    Yields:
        for each ``(text, voice)`` what `synthesize` returns, in order, as soon as it has been spoken.

    Raises:
        UserError: if the wheel is not installed, or a voice or a variant does not exist.
        RuntimeError: if the process that speaks has died.
    """
    _loader_paths()
    request = json.dumps([[text, asdict(voice)] for text, voice in utterances]).encode()
    command = [sys.executable, "-m", __name__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        with contextlib.suppress(BrokenPipeError):  # a process that died at once is reported below, with its reason
            process.stdin.write(request)
            process.stdin.close()
        try:
            for _ in utterances:
                header = process.stdout.read(_HEADER.size)
                if len(header) < _HEADER.size:
                    raise _failure(process.stderr.read().decode(errors="replace").strip())
                sample_rate_hz, count = _HEADER.unpack(header)
                yield np.frombuffer(process.stdout.read(4 * count), np.float32), sample_rate_hz
        finally:
            process.kill()  # harmless at the end of the list; ends the speech of an iteration that was given up


@lru_cache(maxsize=1)
def voices() -> tuple[str, ...]:
    """Return the names of the languages and accents, sorted.

    Raises:
        UserError: if the wheel is not installed.
    """
    return tuple(sorted(path.name.lower() for path in (_data_path() / "lang").rglob("*") if path.is_file()))


@lru_cache(maxsize=1)
def variants() -> tuple[str, ...]:
    """Return the names of the timbres that every voice can take, sorted.

    Raises:
        UserError: if the wheel is not installed.
    """
    return tuple(sorted(path.name for path in (_data_path() / "voices" / "!v").iterdir()))


def _check_names(voice: EspeakVoice) -> None:
    if voice.voice not in voices():
        raise UserError(f"eSpeak NG has no voice {voice.voice!r}; it has {', '.join(voices())}")
    # the library takes an unknown variant without a word and speaks with the default timbre
    if voice.variant not in variants():
        raise UserError(f"eSpeak NG has no variant {voice.variant!r}; it has {', '.join(variants())}")


def _data_path() -> Path:
    return Path(_loader_paths()[1])


@lru_cache(maxsize=1)
def _loader_paths() -> tuple[str, str]:
    try:
        import espeakng_loader
    except ImportError as error:
        raise UserError("synthetic speech needs the package espeakng-loader: pip install espeakng-loader") from error
    return espeakng_loader.get_library_path(), espeakng_loader.get_data_path()


@lru_cache(maxsize=1)
def _library() -> _Library:
    # cached for the process: initialising the library a second time crashes it
    library_path, data_path = _loader_paths()
    handle = ctypes.CDLL(library_path)
    sample_rate_hz = handle.espeak_Initialize(_SYNCHRONOUS_RETRIEVAL, 0, data_path.encode(), _DO_NOT_EXIT_ON_FAILURE)
    if sample_rate_hz <= 0:
        raise RuntimeError(f"eSpeak NG could not be initialised with the data in {data_path}")
    collected: list[np.ndarray] = []

    def collect(samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int | None) -> int:
        if samples and count > 0:
            collected.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    callback = _Callback(collect)
    handle.espeak_SetSynthCallback(callback)
    return _Library(handle, sample_rate_hz, collected, callback)


def _failure(message: str) -> Exception:
    if message.startswith(_USER_ERROR_PREFIX):
        return UserError(message.removeprefix(_USER_ERROR_PREFIX))
    return RuntimeError(f"the process that speaks with eSpeak NG has died: {message}")


def _speak_standard_input() -> None:
    for text, voice in json.load(sys.stdin):
        try:
            samples, sample_rate_hz = synthesize(text, EspeakVoice(**voice))
        except UserError as error:
            sys.exit(f"{_USER_ERROR_PREFIX}{error}")
        sys.stdout.buffer.write(_HEADER.pack(sample_rate_hz, len(samples)))
        sys.stdout.buffer.write(samples.tobytes())
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _speak_standard_input()
