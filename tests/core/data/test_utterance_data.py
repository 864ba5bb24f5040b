"""Which utterances are used, and what is said of the others."""

import logging

import numpy as np
import pytest

from s2s_core.data.sampling import BucketBatchSampler
from s2s_core.data.speech import CutInfo
from s2s_core.data.utterance_data import UtteranceData, given_manifest
from s2s_core.errors import UserError


class Cuts:
    """Cut ``i`` is called so, lasts as long as it is told, and says its text."""

    def __init__(self, durations, texts):
        self.durations_s, self.texts = np.array(durations), texts

    def __len__(self):
        return len(self.texts)

    def info(self, index):
        return CutInfo(f"u{index}", self.texts[index], float(self.durations_s[index]))


class Data(UtteranceData):
    unit = "s"

    def __init__(self, least=0.0, largest=None, on_error="skip"):
        super().__init__({"train": "train.jsonl.gz"}, 0, on_error)
        self.limits = least, largest

    def loader(self, split):
        raise AssertionError("nothing is loaded here")

    def _flaw(self, info):
        return "has a digit" if any(letter.isdigit() for letter in info.text) else None

    def _sizes(self, cuts):
        return cuts.durations_s

    def _limits(self):
        return self.limits

    def _sampler(self, split, cuts):
        return BucketBatchSampler(cuts.durations_s, 4.0)


CUTS = Cuts([0.5, 1.0, 2.0, 9.0, 9.0], ["a", "b", "c 3", "d", "e 5"])


def test_flaws_and_sizes_are_counted_once_each(caplog):
    keep, notes = Data(least=1.0, largest=8.0)._usable("train", CUTS)
    assert keep.tolist() == [False, True, False, False, False]
    assert notes == [
        "2 with unknown characters left out", "1 shorter than 1 s left out", "1 longer than 8 s left out",
    ]  # fmt: skip
    [listing] = caplog.messages
    assert listing == "train: 2 utterances left out:\n  cut 'u2': has a digit\n  cut 'u4': has a digit"


def test_only_training_has_limits_and_only_what_is_checked_flaws():
    data = Data(least=1.0, largest=8.0)
    assert data._usable("test", CUTS)[0].tolist() == [True, True, False, True, False]
    keep, notes = data._usable("test", CUTS, checks=False)
    assert (keep.all(), notes) == (True, [])
    assert Data()._usable("train", CUTS, checks=False)[0].all()


def test_a_flaw_ends_the_run_unless_told_otherwise():
    with pytest.raises(UserError, match=r"^train: cut 'u2': has a digit \(data\.init_args\.on_error=skip leaves "):
        Data(on_error="raise")._usable("train", CUTS)


def test_where_none_is_left_the_manifest_is_named_with_the_reasons():
    with pytest.raises(UserError, match=r"train\.jsonl\.gz: none of the 5 utterances is left \(2 with .*; 3 shorter"):
        Data(least=10.0)._usable("train", CUTS)


def test_what_is_read_is_announced_and_named(caplog):
    data = Data()
    data._read = {"train": CUTS, "predict": CUTS}
    with caplog.at_level(logging.INFO):
        data._announce("train", CUTS, ["1 left out"])
    batches = BucketBatchSampler(CUTS.durations_s, 4.0)
    assert caplog.messages == [
        f"train: 5 utterances, 0.01 h, {batches.batches_per_epoch} batches of up to 4 s, "
        f"padding {100 * data.padding_waste:.1f} %, 1 left out"
    ]
    assert data.padding_waste == pytest.approx(batches.padding_waste())
    assert data.predict_ids() == ["u0", "u1", "u2", "u3", "u4"]


def test_a_split_that_is_not_given_is_named():
    assert given_manifest({"train": "a.jsonl.gz"}, "train") == "a.jsonl.gz"
    with pytest.raises(UserError, match=r"init_args\.test: no manifest given; `prepare CORPUS` writes test\.jsonl\.gz"):
        given_manifest({"train": "a.jsonl.gz", "test": None}, "test")
    with pytest.raises(UserError, match=r"init_args\.predict: no manifest given; any that `prepare` wrote will do"):
        given_manifest({}, "predict")
