"""Batches of synthesis data: what is in them, what is left out, and what is said of it."""

import logging

import pytest
import torch

from s2s_core.errors import UserError
from s2s_tts.data import SpeechSynthesisData, SynthesisDetails
from s2s_tts.speakers import Speakers
from s2s_tts.spectrogram import MelSpectrogram
from s2s_tts.tokenizers import CharacterTokenizer


def data_of(manifests, **options):
    data = SpeechSynthesisData(train=str(manifests / "train.jsonl.gz"), **options)
    data.tokenizer, data.features = CharacterTokenizer(), MelSpectrogram(10, 8000, 128)
    data.speakers = Speakers(2, 3, str(manifests / "speakers.txt"))
    return data


def test_batches_hold_tokens_audio_and_speakers(manifests):
    data = data_of(manifests, batch_size=4)
    data.setup("fit")
    batches = list(data.loader("train"))
    assert sorted(name for batch in batches for name in batch.ids) == sorted(
        ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    )
    for batch in batches:
        assert batch.audio.shape == (len(batch.ids), int(batch.audio_lengths.max()))
        for row, name in enumerate(batch.ids):
            ids = batch.tokens[row, : batch.token_lengths[row]].tolist()
            assert data.tokenizer.decode(ids) == batch.texts[row]
            assert batch.texts[row].startswith(name)
            assert batch.speakers[row] == (0 if name in ("two", "four", "six", "eight") else 1)
            assert not batch.audio[row, batch.audio_lengths[row] :].any()


def test_frames_are_the_budget_and_the_limit(manifests, caplog):
    data = data_of(manifests, batch_frames=500, max_frames=200)
    with caplog.at_level(logging.INFO):
        data.setup("fit")
    assert "longer than 200 frames left out" in caplog.text
    for batch in data.loader("train"):
        frames = 1 + batch.audio.shape[1] // 32
        assert frames <= 200
        assert frames * len(batch.ids) <= 500


def test_unknown_characters_and_speakers_are_named(manifests):
    data = data_of(manifests)
    data.tokenizer = CharacterTokenizer(labels="abcdefghijklmnopqrstuvw \"'!(),-.:;?")
    with pytest.raises(UserError, match=r"unknown characters 'x'.*on_error=skip"):
        data.setup("fit")
    data = data_of(manifests, on_error="skip", details=SynthesisDetails(min_frames=1))
    data.speakers.names = ["ann"]
    data.setup("fit")
    assert all(torch.equal(batch.speakers, torch.zeros_like(batch.speakers)) for batch in data.loader("train"))
