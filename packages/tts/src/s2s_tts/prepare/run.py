"""From a corpus on disk to manifests for synthesis: read, check, write, sum up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from s2s_core.audio.espeak import EspeakVoice
from s2s_core.data.manifests import all_or_nothing, check_free
from s2s_core.data.prepare.checks import CheckOptions, Utterance
from s2s_core.data.prepare.corpora import hold_out, read_librispeech, read_ljspeech, read_mailabs
from s2s_core.data.prepare.rows import Rejected, Row
from s2s_core.data.prepare.run import read_rows, split_rows, summarise
from s2s_core.data.prepare.summary import Summary
from s2s_core.data.prepare.tables import read_csv_corpus
from s2s_core.data.prepare.writing import write_rejected, write_split, write_summary

SPEAKERS_FILE = "speakers.txt"
SYNTHETIC_VOICE = EspeakVoice("en-us", "f2", 160, 50)
"""Who speaks the generated corpus, at 16 kHz."""


@dataclass(frozen=True)
class PrepareOptions:
    """What `prepare_corpus` does besides reading."""

    hold_out_share: float = 0.0
    """Part of ``train`` that becomes ``validation`` where the corpus has none, of every speaker."""
    test_share: float = 0.0
    """The same for ``test``."""
    decode: bool = True
    """Decode every file; otherwise believe the headers."""
    jobs: int = 1
    overwrite: bool = False
    audio_root: Path | None = None
    """For tables: what their relative file names are relative to."""
    seed: int = 0
    """For synthetic speech."""


def prepare_corpus(corpus: str, source: Path | None, output: Path, options: PrepareOptions) -> Summary:
    """Turn a corpus into Lhotse manifests in ``output``. Texts stay as they are: a model's tokenizer normalises them.

    Args:
        corpus: ``ljspeech``, ``mailabs``, ``csv``, ``librispeech``, ``synthetic`` or ``lhotse:NAME``.
        source: the corpus; None for ``synthetic`` only.
        output: gets ``SPLIT.jsonl.gz``, ``speakers.txt``, ``rejected.tsv`` and ``summary.json``, all at once or, after
            an error, not at all.
        options: the rest.

    Raises:
        UserError: if the corpus is not where or what it should be, or if none of its rows is good.
    """
    check_free(output, options.overwrite)
    rows = _held_out(list(_read(corpus, source, output, options)), options)
    checks = CheckOptions(
        labels=None, lower_case=False, strip_punctuation=False, decode=options.decode, ctc_frame_ms=0.0
    )
    splits, rejected = split_rows(rows, checks, options.jobs, source or output)
    return _write(output, splits, rejected, options.overwrite)


def _held_out(rows: list[Row | Rejected], options: PrepareOptions) -> list[Row | Rejected]:
    rows = hold_out(rows, options.hold_out_share, whole_speakers=False)
    if options.test_share and not any(isinstance(row, Row) and row.split == "test" for row in rows):
        return hold_out(rows, options.test_share, whole_speakers=False, split="test")
    return rows


def _read(corpus: str, source: Path | None, output: Path, options: PrepareOptions) -> Iterable[Row | Rejected]:
    if corpus == "synthetic":
        from s2s_core.data.synthetic import write_spoken_corpus

        write_spoken_corpus(
            output / "audio", seed=options.seed, train=600, validation=24, test=24, voice=SYNTHETIC_VOICE
        )
        return read_csv_corpus(output / "audio")
    readers = {"ljspeech": read_ljspeech, "mailabs": read_mailabs, "librispeech": read_librispeech}
    return read_rows(corpus, source, options.audio_root, readers)


def _write(output: Path, splits: dict[str, list[Utterance]], rejected: list[Rejected], overwrite: bool) -> Summary:
    summary = summarise(splits, rejected)
    everyone = (utterance.row.speaker for utterances in splits.values() for utterance in utterances)
    speakers = sorted({speaker for speaker in everyone if speaker})
    with all_or_nothing(output, overwrite) as scratch:
        for split, utterances in splits.items():
            summary.files.append(write_split(scratch, split, utterances, None, output))
        if speakers:
            (scratch / SPEAKERS_FILE).write_text("\n".join(speakers) + "\n", encoding="utf-8")
            summary.files.append(SPEAKERS_FILE)
        write_rejected(scratch, rejected)
        write_summary(scratch, summary)
    return summary
