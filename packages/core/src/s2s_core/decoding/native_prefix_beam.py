"""The compiled prefix beam search: arguments for ``ctc_prefix_beam.cpp``."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from s2s_core.decoding.hypothesis import CtcHypothesis
from s2s_core.nn.native import load_library

if TYPE_CHECKING:
    from s2s_core.decoding.ctc_prefix_beam import CtcPrefixBeam
    from s2s_core.decoding.word_fusion import WordFusion

SOURCE = Path(__file__).with_name("ctc_prefix_beam.cpp")


class _Words(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("order", "vocab_size", "begin_id", "end_id", "unknown_id", "alphabet")),
        *((name, ctypes.c_void_p) for name in ("keys", "log_probs", "backoffs", "counts", "next", "word", "best")),
        *((name, ctypes.c_void_p) for name in ("spelling", "spelling_starts", "begins")),
        *((name, ctypes.c_double) for name in ("weight", "bonus", "unknown_penalty")),
    ]


class _Batch(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("utterances", "frames", "labels")),
        *((name, ctypes.c_void_p) for name in ("log_probs", "lengths")),
        *((name, ctypes.c_int64) for name in ("beam", "nbest")),
        ("beam_threshold", ctypes.c_double),
    ]


class _Found(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("tokens", "lengths", "counts", "acoustic", "words")]


def available() -> bool:
    """Whether the kernel can be had on this machine; compiles it the first time."""
    return load_library(SOURCE) is not None


def search(
    settings: CtcPrefixBeam, log_probs: Tensor, lengths: Tensor, fusion: WordFusion | None
) -> list[list[CtcHypothesis]]:
    """Search a batch on the host, utterances side by side on torch's number of threads; see `CtcPrefixBeam`."""
    library = load_library(SOURCE)
    assert library is not None
    log_probs, lengths = log_probs.float().contiguous(), lengths.long().contiguous()
    utterances, frames, labels = log_probs.shape
    batch = _Batch(
        utterances=utterances,
        frames=frames,
        labels=labels,
        log_probs=log_probs.data_ptr(),
        lengths=lengths.data_ptr(),
        beam=settings.beam_width,
        nbest=settings.nbest,
        beam_threshold=settings.beam_threshold,
    )
    results = {
        "tokens": torch.zeros(utterances, settings.nbest, frames, dtype=torch.int32),
        "lengths": torch.zeros(utterances, settings.nbest, dtype=torch.int64),
        "counts": torch.zeros(utterances, dtype=torch.int64),
        "acoustic": torch.zeros(utterances, settings.nbest, dtype=torch.float64),
        "words": torch.zeros(utterances, settings.nbest, dtype=torch.float64),
    }
    found = _Found(**{name: tensor.data_ptr() for name, tensor in results.items()})
    words = None if fusion is None else _words(fusion)
    library.s2s_ctc_prefix_beam(
        ctypes.byref(batch),
        None if words is None else ctypes.byref(words[0]),
        ctypes.byref(found),
        ctypes.c_int64(torch.get_num_threads()),
    )
    return [
        [
            CtcHypothesis(tokens[:length].tolist(), acoustic, words)
            for tokens, length, acoustic, words in zip(
                results["tokens"][row],
                results["lengths"][row, :count].tolist(),
                results["acoustic"][row].tolist(),
                results["words"][row].tolist(),
                strict=False,
            )
        ]
        for row, count in enumerate(results["counts"].tolist())
    ]


def _words(fusion: WordFusion) -> tuple[_Words, list[object]]:
    """The struct, and what it points to for as long as it is used."""
    tables = fusion.scorer.tables
    counts = np.array([len(table.keys) for table in tables], dtype=np.int64)
    pointers = [
        (ctypes.c_void_p * len(tables))(*(getattr(table, name).ctypes.data for table in tables))
        for name in ("keys", "log_probs", "backoffs")
    ]
    lexicon = fusion.lexicon
    struct = _Words(
        order=fusion.scorer.order,
        vocab_size=fusion.scorer.vocab_size,
        begin_id=fusion.scorer.begin_id,
        end_id=fusion.scorer.end_id,
        unknown_id=fusion.scorer.unk_id,
        alphabet=lexicon.next.shape[1],
        keys=ctypes.addressof(pointers[0]),
        log_probs=ctypes.addressof(pointers[1]),
        backoffs=ctypes.addressof(pointers[2]),
        counts=counts.ctypes.data,
        next=lexicon.next.ctypes.data,
        word=lexicon.word.ctypes.data,
        best=lexicon.best.ctypes.data,
        spelling=lexicon.spelling.ctypes.data,
        spelling_starts=lexicon.spelling_starts.ctypes.data,
        begins=lexicon.begins.ctypes.data,
        weight=fusion.weight,
        bonus=fusion.bonus,
        unknown_penalty=fusion.unknown_penalty,
    )
    return struct, [fusion, counts, *pointers]
