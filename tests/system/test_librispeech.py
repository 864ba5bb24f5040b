"""The LibriSpeech recipe over the utterances at hand, as a user types it; only its layers are narrower."""

import json

import pytest

from s2s_core.cli.main import main
from s2s_core.testing import shared_data

NARROW = [
    {"channels": 16, "kernel": 11, "stride": 2, "dropout": 0.2},
    {"channels": 16, "kernel": 11, "repeat": 5, "dropout": 0.2, "residual": "dense"},
    {"channels": 24, "kernel": 13, "repeat": 5, "dropout": 0.2, "residual": "dense"},
    {"channels": 1024, "kernel": 1, "dropout": 0.4},
]


@pytest.mark.slow
def test_prepare_fit_and_transcribe(tmp_path, capsys):
    corpus, data = shared_data("LibriSpeech"), tmp_path / "data"
    assert main(["run", "asr", "prepare", "librispeech", f"--input={corpus}", f"--output={data}", "--quick"]) == 0
    manifest = str(data / "train-clean-5.jsonl.gz")
    blocks = f"--model.init_args.encoder.init_args.blocks={json.dumps(NARROW)}"
    train = [f"--data.{split}={manifest}" for split in ("train", "validation", "test")]
    few = ["--trainer.max_steps=2", "--trainer.max_epochs=1", "--trainer.limit_val_batches=1"]
    sizes = ["--data.batch_size=4", "--data.details.train_weights=[1]", "--data.details.epoch_utterances=8"]
    run = tmp_path / "run"
    assert main(["run", "asr", "fit", "--config", "librispeech", blocks, *train, *few, *sizes, f"--output={run}"]) == 0
    checkpoint = run / "checkpoints" / "last.ckpt"
    capsys.readouterr()
    assert main(["run", "asr", "transcribe", manifest, "--checkpoint", str(checkpoint), "--format", "json"]) == 0
    found = capsys.readouterr()
    rows = [json.loads(line) for line in found.out.splitlines()]
    assert len(rows) == 20
    assert all(row["reference"] for row in rows)
    assert "WER" in found.err
