"""The script that runs Pants without its launcher, and the rules of the BUILD files; nothing is fetched."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
import tomllib

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "3rdparty" / "pants.sh"
VERSION = tomllib.loads((REPOSITORY / "pants.toml").read_text())["GLOBAL"]["pants_version"]
DOMAINS = ["asr", "commands", "lm", "nmt", "tts"]
STAND_IN = """#!/bin/sh
echo "ran $0 $*"
echo "in $PWD"
echo "pex $PANTS_PEX_CLI_URL_TEMPLATE"
echo "known $PANTS_PEX_CLI_KNOWN_VERSIONS"
"""


def executable(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(STAND_IN)
    path.chmod(0o755)
    return path


def run_pants(home, **environ):
    """The script with an empty home folder and no other settings, in a folder that is not the repository."""
    settings = {"PATH": "/usr/bin:/bin", "HOME": str(home), **{key: str(value) for key, value in environ.items()}}
    command = ["bash", SCRIPT, "list", "::"]
    return subprocess.run(command, env=settings, cwd=home, capture_output=True, text=True, check=False)


def test_the_launcher_is_used_where_it_is_installed(tmp_path):
    launcher = executable(tmp_path / "bin" / "pants")
    done = run_pants(tmp_path, PATH=f"{launcher.parent}:/usr/bin:/bin")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:2] == [f"ran {launcher} list ::", f"in {REPOSITORY}"]


def test_without_the_launcher_the_version_of_the_settings_runs_with_its_helper_from_disk(tmp_path):
    home = tmp_path / ".cache" / "s2s" / f"pants-{VERSION}"
    python = executable(home / "venv" / "bin" / "python")
    (home / "pex").write_bytes(b"a helper")
    done = run_pants(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    ran, folder, pex, known = done.stdout.splitlines()
    assert ran == f"ran {python} -m pants list ::"
    assert folder == f"in {REPOSITORY}"
    assert pex == f"pex file://{home}/pex"
    assert f"|linux_x86_64|{hashlib.sha256(b'a helper').hexdigest()}|8'" in known


def test_a_missing_interpreter_is_told_in_one_line_and_leaves_nothing(tmp_path):
    done = run_pants(tmp_path, PANTS_PYTHON="/nowhere/python3.9")
    if done.returncode == 0 or "installing" in done.stderr:
        pytest.skip("this machine has Python 3.9 in the system's path")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: Pants {VERSION} from a package index needs Python 3.9: PANTS_PYTHON=")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_script_can_be_run():
    assert os.access(SCRIPT, os.X_OK)


def rules_of(build):
    """The dependency rules that a BUILD file of sources declares."""
    declared = []
    ignored = dict.fromkeys(["python_sources", "resources"], lambda **_: None)
    exec(build.read_text(), {"__dependencies_rules__": lambda *rules: declared.extend(rules), **ignored})
    return declared


@pytest.mark.parametrize("package", DOMAINS)
def test_pants_lets_a_domain_depend_on_itself_core_and_libraries_only(package):
    build = REPOSITORY / "packages" / package / "src" / "BUILD"
    assert rules_of(build) == [("*", "/**", "//packages/core/**", "//3rdparty/**", "!*")]


def test_pants_lets_core_depend_on_itself_and_libraries_only():
    assert rules_of(REPOSITORY / "packages" / "core" / "src" / "BUILD") == [("*", "/**", "//3rdparty/**", "!*")]


def globs_of(build):
    """The sources that a BUILD file names."""
    named = []
    targets = ["python_sources", "resources", "python_distribution"]
    collect = dict.fromkeys(targets, lambda **fields: named.extend(fields.get("sources", [])))
    exec(build.read_text(), {"__dependencies_rules__": lambda *_: None, "python_artifact": dict, **collect})
    return named


@pytest.mark.parametrize("package", ["core", *DOMAINS])
def test_pants_packs_every_file_of_a_package(package):
    home = REPOSITORY / "packages" / package
    packed = set()
    for folder in (home, home / "src"):
        packed |= {file for glob in globs_of(folder / "BUILD") for file in folder.glob(glob)}
    there = {file for folder in (home / "src", home / "configs") for file in folder.rglob("*") if file.is_file()}
    there = {file for file in there if file.name != "BUILD" and file.suffix != ".pyc"}
    assert there
    assert there <= packed
