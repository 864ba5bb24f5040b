import pytest

from s2s_commands.cli import IMAGES
from s2s_core.cli.main import run_task
from s2s_core.errors import UserError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["classify", "a.png"], "--checkpoint"),
        (["classify", "--checkpoint", "x.ckpt"], "FILES"),
        (["classify", "--checkpoint", "x.ckpt", "a.png", "--top", "0"], "above 0, got '0'"),
        (["classify", "--checkpoint", "x.ckpt", "a.png"], "x.ckpt': no such file"),
        (["classify", "--checkpoint", "x.ckpt", "a.png", "--output", "no/where"], "no folder 'no'"),
        (["prepare", "cifar", "--output", "o"], "no corpus 'cifar'"),
        (["prepare", "cifar10", "--output", "o"], "--input DIR is missing"),
        (["prepare", "digits", "--output", "o", "--holdout", "1"], "--holdout"),
        (["prepare", "digits", "--output", "o", "--jobs", "0"], "--jobs"),
        (["export", "--output", "o"], "--ckpt_path"),
        (["clasify"], "did you mean classify"),
    ],
)
def test_mistakes_take_one_line(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        run_task(IMAGES, arguments, "test")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("verb", ["classify", "prepare", "quickstart", "export", "configs"])
def test_help_brings_no_torch(verb):
    import subprocess
    import sys

    code = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'torchvision', 'lightning', 'PIL'))); "
        f"from s2s_core.cli.main import main; sys.exit(main(['run', 'images', '{verb}', '--help']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert "usage: lightning run images" in done.stdout
