"""The command that exports a checkpoint."""

import pytest

from s2s_core.cli.export import main
from s2s_core.cli.tasks import installed_tasks
from s2s_core.errors import UserError
from untrained import write_recogniser

if "asr" not in installed_tasks():
    pytest.skip("exports a recogniser: needs s2s-asr", allow_module_level=True)


@pytest.fixture
def run(tmp_path):
    """The command on an untrained recogniser."""
    write_recogniser(tmp_path / "model.ckpt")

    def run(*more, output=tmp_path / "out", checkpoint=tmp_path / "model.ckpt"):
        words = ["--ckpt_path", str(checkpoint), "--output", str(output), "--format", "safetensors", *more]
        return main(installed_tasks()["asr"], words)

    return run


def test_the_files_are_written_and_listed_with_their_sizes(run, tmp_path, capsys):
    pytest.importorskip("safetensors")
    assert run() == 0
    lines = capsys.readouterr().out.splitlines()
    assert {"model.safetensors", "config.json"} <= {path.name for path in (tmp_path / "out").iterdir()}
    for line in lines:
        name, size, unit = line.split()
        assert unit == "MB"
        assert float(size) == pytest.approx((tmp_path / name).stat().st_size / 1e6, abs=0.05)


def test_a_folder_that_holds_something_is_left_alone_unless_asked_for(run, tmp_path):
    pytest.importorskip("safetensors")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty; --overwrite"):
        run()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
    assert run("--overwrite") == 0


def test_mistakes_are_named(run, tmp_path):
    with pytest.raises(UserError, match=r"model\.ckpt: is a file, expected a folder"):
        run(output=tmp_path / "model.ckpt")
    with pytest.raises(UserError, match=r"absent\.ckpt"):
        run(checkpoint=tmp_path / "absent.ckpt")
