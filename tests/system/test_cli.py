"""The command line as a user types it, mistakes included."""

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest
import torch

from s2s_core.cli.main import main

pytestmark = pytest.mark.slow


@pytest.fixture
def best(trained):
    return trained / "checkpoints" / "best.ckpt"


def mistake(capfd, *arguments):
    assert main(["run", "asr", *map(str, arguments)]) == 2
    err = capfd.readouterr().err
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, err
    assert "Traceback" not in err
    return lines[0]


def test_a_run_folder_holds_what_is_needed_to_go_on_and_to_repeat(trained):
    names = {path.name for path in trained.iterdir()}
    assert names == {"checkpoints", "config.yaml", "csv", "machine.json", "tensorboard"}
    assert {path.name for path in (trained / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}


def test_a_checkpoint_is_tested_with_no_config(best, capfd):
    from s2s_asr.task import SpeechToText

    assert main(["run", "asr", "test", "--ckpt_path", str(best)]) == 0
    metrics = json.loads(capfd.readouterr().out.strip().splitlines()[-1])
    assert set(metrics) == {"test/loss", "test/wer", "test/cer"}
    assert set(metrics) == {f"test/{name}" for name in SpeechToText.measured()}, "what a sweep can search for"


def test_predict_keeps_the_manifests_order(best, corpus, capfd):
    manifest = corpus / "test.jsonl.gz"
    assert main(["run", "asr", "predict", "--ckpt_path", str(best), f"--data.predict={manifest}"]) == 0
    rows = [json.loads(line) for line in capfd.readouterr().out.splitlines() if line.startswith("{")]
    cuts = [json.loads(line) for line in gzip.decompress(manifest.read_bytes()).splitlines()]
    assert [row["id"] for row in rows] == [cut["id"] for cut in cuts]
    assert [row["reference"] for row in rows] == [cut["supervisions"][0]["text"] for cut in cuts]


def test_two_processes_predict_and_measure_what_one_does(best, corpus, lightning, tmp_path):
    manifest = f"--data.{{}}={corpus / 'test.jsonl.gz'}"
    two = ["--trainer.devices=2", "--trainer.strategy=ddp", "--trainer.accelerator=cpu"]
    found = {}
    for processes, options in ((1, []), (2, two)):
        output = tmp_path / f"{processes}.jsonl"
        words = ["predict", "--ckpt_path", best, manifest.format("predict"), "--output", output, *options]
        process = lightning(*words, cwd=tmp_path)
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        words = ["test", "--ckpt_path", best, manifest.format("test"), *options]
        process = lightning(*words, cwd=tmp_path, stdout=subprocess.PIPE)
        metrics, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        assert "sync_dist" not in errors
        found[processes] = output.read_text(), json.loads(metrics)
    assert found[1][0].count("\n") == 4
    assert found[2][0] == found[1][0]
    assert found[2][1] == pytest.approx(found[1][1], rel=1e-6, abs=2e-6)  # a float32 loss of hundreds


def test_the_config_of_a_run_is_shown_again(trained, tiny_config, capsys):
    with pytest.raises(SystemExit) as done:
        main(["run", "asr", "fit", "--config", str(tiny_config), f"--output={trained}", "--print_config"])
    assert not done.value.code
    assert "batch_seconds: 12.0" in capsys.readouterr().out


def test_a_run_without_validation_says_that_it_has_no_best(tiny_config, tmp_path, capfd):
    words = ["fit", "--config", tiny_config, "--output", tmp_path / "run", "--data.validation=null"]
    assert main(["run", "asr", *map(str, words), "--trainer.max_steps=2"]) == 0
    err = capfd.readouterr().err
    assert err.count("val/wer was never measured: there is last.ckpt, but no best.ckpt") == 1
    assert "monitored key" not in err
    assert {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()} == {"last.ckpt"}


def test_ctrl_c_ends_with_one_line_and_the_run_goes_on(lightning, tiny_config, tmp_path):
    words = ["fit", "--config", tiny_config, "--output", "run"]
    # a shell's background job ignores Ctrl-C, and so would its children, this one included
    heeding = {"start_new_session": True, "preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    process = lightning(*words, "--trainer.max_steps=100000", cwd=tmp_path, **heeding)
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    deadline = time.monotonic() + 300
    while not last.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to the loader's workers too
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 130, errors
    assert re.fullmatch(r"interrupted at step \d+; go on with --ckpt_path last", errors.splitlines()[-1])
    assert "Traceback" not in errors
    process = lightning(*words, "--ckpt_path", "last", "--trainer.max_steps=1", cwd=tmp_path)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "going on from" in errors


def test_a_vocabulary_of_pieces_travels_in_the_checkpoint(corpus, tiny_config, tmp_path, capfd):
    def run(*arguments):
        assert main(["run", "asr", *map(str, arguments)]) == 0, capfd.readouterr().err
        return capfd.readouterr().out

    shar = tmp_path / "shar"
    options = ["--sentencepiece", 40, "--shar", 16]
    run("prepare", "csv", "--input", corpus.parent / "speech", "--output", shar, *options)
    pieces = {"class_path": "s2s_core.text.tokenizers.SentencePieceTokenizer"}
    pieces["init_args"] = {"model_file": str(shar / "sentencepiece.model")}
    changes = {"model": {"init_args": {"tokenizer": pieces, "decoder": {"init_args": {"vocab_size": 40}}}}}
    changes["data"] = {"init_args": {f: str(shar / f"{f}-shar") for f in ("train", "validation", "test")}}
    (tmp_path / "pieces.yaml").write_text(json.dumps(changes))
    words = ["--config", tiny_config, "--config", tmp_path / "pieces.yaml", "--output", tmp_path / "run"]
    run("fit", *words, "--trainer.max_steps=4")

    (shar / "sentencepiece.model").unlink()
    (tmp_path / "elsewhere").mkdir()
    best = shutil.copy(tmp_path / "run/checkpoints/last.ckpt", tmp_path / "elsewhere")
    metrics = json.loads(run("test", "--ckpt_path", best).splitlines()[-1])
    rows = run("transcribe", "--checkpoint", best, "--format=json", shar / "test-shar").splitlines()
    assert len(rows) == 4
    assert metrics["test/wer"] > 0
    run("fit", "--output", tmp_path / "run", "--ckpt_path", "last", "--trainer.max_steps=6")


def test_a_checkpoint_rebuilds_the_same_model_through_lightning_too(best):
    from s2s_asr.task import SpeechToText
    from s2s_core.checkpoint import load_task

    ours = load_task(best, "asr")
    lightnings = SpeechToText.load_from_checkpoint(best, weights_only=True)
    for (name, a), (_, b) in zip(ours.state_dict().items(), lightnings.state_dict().items(), strict=True):
        assert torch.equal(a, b), name
    assert not ours.training


def test_fine_tuning_starts_from_the_weights(best, tiny_config, tmp_path, capfd):
    arguments = ["fit", "--config", tiny_config, "--output", tmp_path / "run", "--init_from", best]
    assert (
        main(
            ["run", "asr", *map(str, arguments), "--trainer.max_steps=1", "--model.init_args.optimizer.init_args.lr=0"]
        )
        == 0
    )
    assert "0 of them do not match" in capfd.readouterr().err
    last, first = (
        torch.load(p, weights_only=True)["state_dict"] for p in (best, tmp_path / "run/checkpoints/last.ckpt")
    )
    assert torch.equal(last["decoder.linear.weight"], first["decoder.linear.weight"])


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("--trainer.max_epoch=3", "trainer.max_epoch"),
        ("--model.init_args.encoder.init_args.blokcs=[]", "blokcs"),
        ("--model.init_args.encoder.class_path=s2s_asr.losses.ctc.CtcLoss", "encoder"),
        ("--model.init_args.encoder.init_args.in_features=three", "in_features"),
        ("--model.init_args.encoder.init_args.in_features=17", "encoder.in_features is 17"),
        ("--data.train=absent.jsonl.gz", "absent.jsonl.gz"),
        ("--data.batch_seconds=-1", "batch_seconds must be positive"),
    ],
)
def test_a_wrong_key_or_value_is_named(capfd, tiny_config, tmp_path, key, expected):
    assert expected in mistake(capfd, "fit", "--config", tiny_config, "--output", tmp_path / "run", key)


def test_a_misspelt_option_is_named(capfd):
    assert "'--confg'; did you mean '--config'?" in mistake(capfd, "fit", "--confg", "an4")


def test_an_unreadable_manifest_is_named(capfd, tiny_config, tmp_path):
    (tmp_path / "bad.jsonl.gz").write_bytes(b"not gzip")
    (tmp_path / "empty.jsonl.gz").write_bytes(b"")
    for name in ("bad", "empty"):
        manifest = tmp_path / f"{name}.jsonl.gz"
        line = mistake(capfd, "fit", "--config", tiny_config, "--output", tmp_path / "run", f"--data.train={manifest}")
        assert f"{name}.jsonl.gz" in line


def test_a_config_that_is_no_yaml_is_named(capfd, tmp_path):
    (tmp_path / "bad.yaml").write_text("model: [unclosed\n")
    assert "bad.yaml" in mistake(capfd, "fit", "--config", tmp_path / "bad.yaml")


def test_a_run_is_not_overwritten(capfd, trained, tiny_config):
    assert "already holds a run" in mistake(capfd, "fit", "--config", tiny_config, "--output", trained)


def test_nothing_to_go_on_from_is_said(capfd, tiny_config, tmp_path):
    line = mistake(capfd, "fit", "--config", tiny_config, "--output", tmp_path / "run", "--ckpt_path", "last")
    assert "nothing to go on from" in line


def test_checkpoints_that_will_not_do_are_named(capfd, best, tmp_path):
    truncated = tmp_path / "truncated.ckpt"
    truncated.write_bytes(best.read_bytes()[:1000])
    shutil.copy(best, tmp_path / "good.ckpt")
    assert "good.ckpt" in mistake(capfd, "test", "--ckpt_path", truncated)
    other = torch.load(best, weights_only=True)
    other["s2s"]["task"] = "nmt"
    torch.save(other, tmp_path / "other.ckpt")
    assert "of task 'nmt', expected one of task 'asr'" in mistake(capfd, "test", "--ckpt_path", tmp_path / "other.ckpt")
    other["s2s"].update(task="asr", spec={"class_path": "os.mkdir", "init_args": {"path": "pwned"}})
    torch.save(other, tmp_path / "evil.ckpt")
    assert "outside s2s" in mistake(capfd, "test", "--ckpt_path", tmp_path / "evil.ckpt")
