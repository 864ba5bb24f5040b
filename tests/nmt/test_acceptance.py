"""The toy task of OpenSeq2Seq's tests, which printed its BLEU and hoped for more than 90: here it must be."""

import json

import pytest

from s2s_core.cli.main import main
from s2s_nmt.prepare.made import prepare_reversal


@pytest.fixture(scope="module")
def reversal(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reversal")
    prepare_reversal(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rr", "tt", "cc", "cr", "rc"])
def test_reversal_with_the_originals_settings_and_steps(name, reversal, tmp_path, capfd):
    files = [f"--data.{split}={reversal / f'{split}.arrow'}" for split in ("train", "validation", "test")]
    plain = ["--trainer.accelerator=cpu", "--trainer.limit_val_batches=0"]
    assert main(["run", "nmt", "fit", "--config", f"toy/{name}", f"--output={tmp_path / 'run'}", *files, *plain]) == 0
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    assert main(["run", "nmt", "test", f"--ckpt_path={checkpoint}", "--trainer.accelerator=cpu"]) == 0
    figures = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert figures["test/bleu"] > 90
