"""From a corpus on disk to manifests: read, check, write, sum up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from s2s_asr.prepare.vocabulary import train_sentencepiece
from s2s_core.data.manifests import all_or_nothing, check_free
from s2s_core.data.prepare.checks import CheckOptions, Utterance
from s2s_core.data.prepare.corpora import hold_out, read_an4, read_librispeech, read_ljspeech
from s2s_core.data.prepare.rows import Rejected, Row
from s2s_core.data.prepare.run import read_rows, split_rows, summarise
from s2s_core.data.prepare.summary import Summary
from s2s_core.data.prepare.tables import read_common_voice, read_csv_corpus
from s2s_core.data.prepare.writing import write_rejected, write_split, write_summary

SENTENCEPIECE_FILE = "sentencepiece.model"


@dataclass(frozen=True)
class PrepareOptions:
    """What `prepare_corpus` does besides reading."""

    checks: CheckOptions
    hold_out_share: float = 0.0
    """Part of ``train`` that becomes ``validation`` where the corpus has none."""
    shar_size: int | None = None
    """Recordings in a Shar archive; plain manifests if None."""
    sentencepiece_size: int | None = None
    """Pieces of a SentencePiece model to be trained on ``train``."""
    jobs: int = 1
    overwrite: bool = False
    audio_root: Path | None = None
    """For tables: what their relative file names are relative to."""
    seed: int = 0
    """For synthetic speech."""
    relative: bool = False
    """Name recordings relative to the manifests also where they do not lie beside or under them."""


def prepare_corpus(corpus: str, source: Path | None, output: Path, options: PrepareOptions) -> Summary:
    """Turn a corpus into Lhotse manifests in ``output``.

    Args:
        corpus: ``csv``, ``an4``, ``librispeech``, ``ljspeech``, ``commonvoice``, ``synthetic`` or ``lhotse:NAME``.
        source: the corpus; None for ``synthetic`` only.
        output: gets ``SPLIT.jsonl.gz`` (or ``SPLIT-shar``), ``rejected.tsv`` and ``summary.json``, all at once or,
            after an error, not at all.
        options: the rest.

    Raises:
        UserError: if the corpus is not where or what it should be, or if none of its rows is good.
    """
    check_free(output, options.overwrite)
    rows = hold_out(_read(corpus, source, output, options), options.hold_out_share)
    splits, rejected = split_rows(rows, options.checks, options.jobs, source or output)
    return _write(output, splits, rejected, options)


def _read(corpus: str, source: Path | None, output: Path, options: PrepareOptions) -> Iterable[Row | Rejected]:
    if corpus == "synthetic":
        from s2s_core.data.synthetic import write_spoken_corpus

        write_spoken_corpus(output / "audio", seed=options.seed)
        return read_csv_corpus(output / "audio")
    readers = {
        "an4": read_an4,
        "librispeech": read_librispeech,
        "ljspeech": read_ljspeech,
        "commonvoice": read_common_voice,
    }
    return read_rows(corpus, source, options.audio_root, readers)


def _write(
    output: Path, splits: dict[str, list[Utterance]], rejected: list[Rejected], options: PrepareOptions
) -> Summary:
    summary = summarise(splits, rejected)
    with all_or_nothing(output, options.overwrite) as scratch:
        for split, utterances in splits.items():
            summary.files.append(write_split(scratch, split, utterances, options.shar_size, output, options.relative))
        if options.sentencepiece_size is not None:
            learnt = [splits["train"]] if "train" in splits else splits.values()
            texts = [utterance.text for utterances in learnt for utterance in utterances]
            train_sentencepiece(texts, options.sentencepiece_size, scratch / SENTENCEPIECE_FILE)
            summary.files.append(SENTENCEPIECE_FILE)
        write_rejected(scratch, rejected)
        write_summary(scratch, summary)
    return summary
