"""The newcomer's first minutes with speech commands, and the precisions of a whole run."""

import json

import pytest

from s2s_core.cli.main import main


@pytest.mark.slow
def test_the_quickstart_learns_words_from_voices_and_knows_them_from_others(tmp_path, capfd):
    arguments = ["run", "commands", "quickstart", f"--output={tmp_path / 'demo'}", "--trainer.accelerator=cpu"]
    assert main(arguments) == 0
    lines = capfd.readouterr().out.splitlines()
    metrics = json.loads(next(line for line in lines if line.startswith("{")))
    assert metrics["test/accuracy"] >= 0.95
    said = [line for line in lines if line.startswith("  said ")]
    assert len(said) == 10
    assert sum(line.split()[1] == line.split()[3] for line in said) >= 9
    assert [line.split()[4] for line in lines if line.startswith("$ ")] == ["prepare", "fit", "test"]
    assert sum(" s  " in line for line in lines) >= 6, "keywords heard in the stream"


@pytest.mark.slow
@pytest.mark.parametrize("overlay", [None, "overlays/bf16-mixed", "overlays/fp16-master"])
def test_precisions_agree(tones, tmp_path, capsys, overlay):
    manifests = [f"--data.{split}={tones / f'{split}.jsonl.gz'}" for split in ("train", "validation", "test")]
    model = "--model.init_args."
    small = [
        f"{model}features.init_args.sample_rate_hz=8000",
        f"{model}features.init_args.num_features=12",
        f"{model}encoder.init_args.in_features=12",
        f"{model}encoder.init_args.channels=8",
        f"{model}encoder.init_args.outer=16",
        f"{model}decoder.init_args.in_features=16",
        f"{model}decoder.init_args.num_classes=3",
        f"{model}augment=null",
        "--data.batch_size=8",
        "--trainer.max_epochs=12",
        "--trainer.accelerator=cpu",
    ]
    configs = ["--config", "quickstart", *(["--config", overlay] if overlay else [])]
    run = tmp_path / "run"
    assert main(["run", "commands", "fit", *configs, *manifests, *small, f"--output={run}"]) == 0
    assert main(["run", "commands", "test", f"--ckpt_path={run / 'checkpoints' / 'last.ckpt'}"]) == 0
    metrics = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert metrics["test/accuracy"] >= 0.85
    assert metrics["test/loss"] == pytest.approx(0.55, abs=0.2)
