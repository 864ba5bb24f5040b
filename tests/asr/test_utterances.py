import numpy as np
import pytest
import soundfile
import torch
from lhotse import CutSet, Recording, SupervisionSegment

from s2s_asr.utterances import Utterances
from s2s_core.data.speech import CutTable
from s2s_core.text.tokenizers import CharTokenizer


@pytest.fixture
def cuts(tmp_path):
    made = []
    for name, samples, text in (("one", 800, "Ab"), ("two", 400, "b")):
        soundfile.write(tmp_path / f"{name}.wav", np.full(samples, 0.25), 8000)
        cut = Recording.from_file(tmp_path / f"{name}.wav", recording_id=name).to_cut()
        cut.supervisions = [SupervisionSegment(name, name, 0.0, cut.duration, text=text)]
        made.append(cut)
    CutSet.from_cuts(made).to_file(tmp_path / "cuts.jsonl.gz")
    return CutTable.load([tmp_path / "cuts.jsonl.gz"])


def test_a_batch_is_padded_audio_and_padded_labels_with_their_lengths(cuts):
    batch = Utterances(cuts, CharTokenizer(" ab"), 8000).__getitems__([0, 1]).batch
    assert batch.audio.shape == (2, 800)
    assert batch.audio_lengths.tolist() == [800, 400]
    torch.testing.assert_close(batch.audio[1], torch.tensor([0.25] * 400 + [0.0] * 400))
    assert batch.tokens.tolist() == [[1, 2], [2, 0]]
    assert (batch.token_lengths.tolist(), batch.texts) == ([2, 1], ["ab", "b"])


def test_without_a_tokenizer_texts_stay_as_they_are(cuts):
    batch = Utterances(cuts, None, 8000)[0].batch
    assert (batch.texts, batch.token_lengths.tolist()) == (["Ab"], [0])
