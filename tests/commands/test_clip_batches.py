import numpy as np
import torch

from s2s_commands.clip_batches import ClipBatches
from s2s_core.data.speech import CutTable

RATE = 8000


def batches(tones, **options):
    cuts = CutTable.load([str(tones / "test.jsonl.gz")])
    names = [f"clip {number}" for number in range(len(cuts))]
    return ClipBatches(cuts, names, np.arange(len(cuts)) - 1, RATE, **options)


def test_a_batch_holds_each_clip_with_its_own_length_name_and_label(tones):
    clips = batches(tones)
    loaded = clips.__getitems__([4, 0, 2])
    assert loaded.failures == []
    batch = loaded.batch
    assert batch.ids == ["clip 4", "clip 0", "clip 2"]
    assert batch.labels.tolist() == [3, -1, 1]
    assert batch.audio.shape == (3, int(batch.audio_lengths.max()))
    for row, length, index in zip(batch.audio, batch.audio_lengths.tolist(), [4, 0, 2], strict=True):
        assert torch.equal(row[:length], clips.cuts.audio(index, RATE))
        assert not row[length:].any()


def test_what_cannot_be_read_is_named_as_a_clip(tones, monkeypatch):
    clips = batches(tones, substitute=True)
    monkeypatch.setattr(clips, "_readable", lambda indices, failures: failures.append("gone.wav: no such file") or [])
    assert clips[0].fatal == "no clip of a batch can be read, nor any after it; gone.wav: no such file"
