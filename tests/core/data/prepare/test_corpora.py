"""Held-out rows of corpora with several speakers; the readers are tested through ``prepare``, in tests/asr/prepare."""

from pathlib import Path

from s2s_core.data.prepare.corpora import hold_out
from s2s_core.data.prepare.rows import Row


def rows():
    return [Row("train", f"u{n}", Path(f"u{n}.wav"), "text", f"t:{n}", f"s{n % 4}") for n in range(80)]


def test_whole_speakers_move_unless_voices_must_be_known():
    moved = [row for row in hold_out(rows(), 0.25) if row.split == "validation"]
    assert len({row.speaker for row in moved}) == 1
    assert len(moved) == 20
    moved = [row for row in hold_out(rows(), 0.25, whole_speakers=False) if row.split == "validation"]
    assert len({row.speaker for row in moved}) == 4
    assert 18 <= len(moved) <= 22
