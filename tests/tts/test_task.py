"""The synthesis task end to end: a run, its checkpoint, its measures, and what comes out of it."""

import io
import json

import pytest
import sentencepiece
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger

from s2s_core.checkpoint import load_task, read_checkpoint
from s2s_core.cli.main import run_task
from s2s_core.text.tokenizers import SentencePieceTokenizer
from s2s_tts.cli import TASK
from s2s_tts.data import SpeechSynthesisData
from s2s_tts.task import TextToSpeech


def lightning(*arguments):
    return run_task(TASK, [str(argument) for argument in arguments], "lightning run tts")


def test_a_checkpoint_rebuilds_the_task_with_its_voices(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    task = load_task(checkpoint, task="tts")
    assert isinstance(task, TextToSpeech)
    assert task.speakers.names == ["ann", "bob"]
    weights = read_checkpoint(checkpoint)["state_dict"]
    assert torch.equal(task.state_dict()["decoder.projection.weight"], weights["decoder.projection.weight"])


def test_a_tokenizer_of_pieces_takes_its_own_model_back(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["one two three four", "five six seven eight"] * 20),
        model_writer=model, vocab_size=20, minloglevel=2,
    )  # fmt: skip
    (tmp_path / "pieces.model").write_bytes(model.getvalue())
    task = load_task(checkpoint, task="tts")
    task.tokenizer = SentencePieceTokenizer("pieces.model")
    assets, ids = task.assets(), task.tokenizer.encode("five two")
    task.tokenizer, task.speakers.names = SentencePieceTokenizer("absent.model"), []
    task.load_assets(assets)
    assert task.tokenizer.encode("five two") == ids
    assert task.speakers.names == ["ann", "bob"]


def test_training_pictures_and_sound_are_logged(checkpoint):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (events,) = checkpoint.parents[1].rglob("events.out*")
    log = EventAccumulator(str(events))
    log.Reload()
    assert {"val/teacher_forced", "val/synthesised"} <= set(log.Tags()["images"])
    assert "val/audio" in log.Tags()["audio"]
    assert {"train/mel", "train/guide", "val/loss", "val/diagonality", "val/stop_accuracy"} <= set(
        log.Tags()["scalars"]
    )


def test_nothing_is_spoken_for_a_logger_of_numbers(checkpoint, manifests, tmp_path, monkeypatch):
    task = load_task(checkpoint, task="tts")
    monkeypatch.setattr(task, "synthesise", lambda *_: pytest.fail("spoken for nobody"))
    data = SpeechSynthesisData(validation=str(manifests / "validation.jsonl.gz"))
    trainer = Trainer(accelerator="cpu", logger=CSVLogger(tmp_path), enable_progress_bar=False)
    (figures,) = trainer.validate(task, data, verbose=False)
    assert "val/loss" in figures


def test_test_and_predict_measure_free_synthesis(checkpoint, manifests, tmp_path, capsys):
    manifest = manifests / "validation.jsonl.gz"
    assert lightning("test", "--ckpt_path", checkpoint, "--data.test", manifest) == 0
    figures = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert {"test/mcd_db", "test/finished", "test/loss"} <= set(figures)
    assert figures["test/mcd_db"] > 0
    rows = tmp_path / "rows.jsonl"
    assert lightning("predict", "--ckpt_path", checkpoint, "--data.predict", manifest, "--output", rows) == 0
    found = [json.loads(line) for line in rows.read_text().splitlines()]
    assert [row["id"] for row in found] == ["one", "two"]
    assert all(row["mcd_db"] > 0 for row in found)


@pytest.mark.slow
def test_a_resumed_run_ends_like_one_that_was_not_stopped(recipe, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert lightning("fit", "--config", recipe, "--output", whole) == 0
    assert lightning("fit", "--config", recipe, "--output", parts, "--trainer.max_epochs", 1) == 0
    assert lightning("fit", "--config", recipe, "--output", parts, "--ckpt_path", "last") == 0
    a, b = (read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"] for run in (whole, parts))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_sizes_of_neighbours_are_checked(checkpoint):
    task = load_task(checkpoint)
    spec = task.describe()["init_args"]
    with pytest.raises(ValueError, match=r"decoder.in_features is 15"):
        TextToSpeech(task.features, task.encoder, task.decoder, task.loss, task.tokenizer, torch.optim.Adam, style=None)
    assert spec["decoder"]["init_args"]["in_features"] == 15
