import pytest

from s2s_core.cli import runs


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        (["--config", "jasper/10x5"], "runs/10x5"),
        (["--config", "jasper/10x5", "-c", "mine/faster.yaml"], "runs/faster"),
        (["--config=jasper/10x5", "--config", "overlays/bf16-mixed"], "runs/10x5"),
        (["--config", "overlays/bf16-mixed"], "runs/bf16-mixed"),
        (["--config", "jasper/10x5", "--output", "elsewhere"], "elsewhere"),
        (["--ckpt_path", "elsewhere/checkpoints/best.ckpt"], "elsewhere"),
    ],
)
def test_a_run_is_named_after_its_recipe(arguments, folder):
    assert runs._run_folder(runs._peek(arguments)).as_posix() == folder
