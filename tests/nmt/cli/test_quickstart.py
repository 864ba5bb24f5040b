"""The newcomer's first minutes with text."""

import json

import pytest

from s2s_core.cli.main import main


@pytest.mark.slow
def test_the_quickstart_learns_german_of_sentences_it_has_never_seen(tmp_path, capfd):
    assert main(["run", "nmt", "quickstart", f"--output={tmp_path / 'demo'}", "--trainer.accelerator=cpu"]) == 0
    out, err = capfd.readouterr()
    lines = out.splitlines()
    figures = json.loads(next(line for line in lines if line.startswith("{")))
    assert figures["test/bleu"] > 95
    for word in ("source", "reference", "hypothesis"):
        assert sum(line.startswith(f"  {word} ") for line in lines) == 8
    assert [line.split()[4] for line in lines if line.startswith("$ ")] == ["prepare", "fit", "test"]
    for piece in ("loss=", "val/bleu=", "step/s", "100%"):
        assert piece in err, piece
