"""The wheels as a user gets them: built, installed into clean environments, imported and run there."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = sorted(path.parent.name for path in REPOSITORY.glob("packages/*/pyproject.toml"))
VERSION = "0.1.0"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """Package name to its wheel, built through a source distribution as a release is."""
    folder = tmp_path_factory.mktemp("dist")
    for package in PACKAGES:
        command = [
            sys.executable,
            "-m",
            "build",
            "--no-isolation",
            "--outdir",
            folder,
            REPOSITORY / "packages" / package,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return {package: next(folder.glob(f"s2s_{package}-*.whl")) for package in PACKAGES}


@pytest.fixture(scope="module")
def dependencies(tmp_path_factory):
    """A folder of links to everything that is installed here, except this workspace's packages."""
    folder = tmp_path_factory.mktemp("dependencies")
    for site in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in Path(site).iterdir():
            ours = entry.name.startswith(("s2s_", "_s2s_", "_editable_impl_s2s", "__editable__"))
            if not ours and entry.suffix != ".pth" and not (folder / entry.name).exists():
                (folder / entry.name).symlink_to(entry)
    return folder


@pytest.fixture(scope="module")
def environment(wheels, dependencies, tmp_path_factory):
    """A function from package names to the ``bin`` of a clean environment that has just their wheels of ours."""
    made: dict[tuple[str, ...], Path] = {}

    def install(*packages: str) -> Path:
        if packages not in made:
            home = tmp_path_factory.mktemp("environment")
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
            files = [wheels[package] for package in packages]
            pip = [sys.executable, "-m", "pip", "--python", home / "bin/python", "install", "--quiet"]
            subprocess.run([*pip, "--no-deps", "--no-index", *files], check=True)
            site = next(home.glob("lib/python*/site-packages"))
            (site / "dependencies.pth").write_text(f"{dependencies}\n")
            made[packages] = home / "bin"
        return made[packages]

    return install


def run(*command, cwd):
    """Run a command as a user would, away from the repository and without its environment's paths."""
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environ, timeout=120, check=False)


def needed(package: str) -> tuple[str, ...]:
    return ("core",) if package == "core" else ("core", package)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_wheel_tells_nothing_of_the_machine_that_built_it(wheels, package):
    with zipfile.ZipFile(wheels[package]) as wheel:
        names = wheel.namelist()
        for name in names:
            content = wheel.read(name)
            assert str(REPOSITORY).encode() not in content, name
            assert b"file://" not in content, name
        metadata = Parser().parsestr(wheel.read(f"s2s_{package}-{VERSION}.dist-info/METADATA").decode())
    assert metadata["Version"] == VERSION
    assert metadata["License-Expression"] == "Apache-2.0"
    assert not [line for line in metadata.get_all("Requires-Dist") or [] if "@" in line]
    assert f"s2s_{package}/py.typed" in names
    assert f"s2s_{package}-{VERSION}.dist-info/licenses/LICENSE" in names
    assert all(name.startswith((f"s2s_{package}/", f"s2s_{package}-{VERSION}.dist-info/")) for name in names)


@pytest.mark.parametrize("package", ["asr", "core"])
def test_a_wheel_has_every_config(wheels, package):
    sources = REPOSITORY / "packages" / package / "configs"
    expected = {path.relative_to(sources).as_posix() for path in sources.rglob("*.yaml")}
    with zipfile.ZipFile(wheels[package]) as wheel:
        packed = {name.removeprefix(f"s2s_{package}/configs/") for name in wheel.namelist() if name.endswith(".yaml")}
    assert expected
    assert packed == expected


@pytest.mark.parametrize("package", PACKAGES)
def test_an_installed_package_imports_from_its_wheel_and_without_torch(environment, package, tmp_path):
    python = environment(*needed(package)) / "python"
    code = (
        f"import sys, s2s_{package} as p, importlib.metadata as m; "
        f"print(p.__file__, p.__version__, m.version('s2s-{package}'), 'torch' in sys.modules)"
    )
    done = run(python, "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    file, version, distribution_version, has_torch = done.stdout.split()
    assert Path(file).is_relative_to(python.parents[1])
    assert (version, distribution_version, has_torch) == (VERSION, VERSION, "False")


@pytest.mark.parametrize("command", [("lightning", "run", "asr"), ("s2s-asr",)])
def test_the_commands_of_recognition_work_where_its_wheels_are_installed(environment, command, tmp_path):
    folder = environment("core", "asr")
    done = run(folder / command[0], *command[1:], "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "transcribe" in done.stdout
    listed = run(folder / command[0], *command[1:], "configs", cwd=tmp_path)
    assert listed.returncode == 0, listed.stderr
    assert "quickstart" in listed.stdout


def test_a_packaged_recipe_builds_from_the_wheels(environment, tmp_path):
    arguments = ("fit", "--config", "quickstart", "--print_config")
    done = run(environment("core", "asr") / "s2s-asr", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "class_path: s2s_asr.task.SpeechToText" in done.stdout


@pytest.mark.parametrize(
    ("installed", "task", "message"),
    [
        (("core",), "asr", "error: task 'asr' needs the package s2s-asr: pip install s2s-asr"),
        (("core", "asr"), "tts", "error: task 'tts' needs the package s2s-tts: pip install s2s-tts"),
    ],
)
def test_a_task_without_its_package_is_answered_with_what_to_install(environment, installed, task, message, tmp_path):
    done = run(environment(*installed) / "lightning", "run", task, "fit", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (2, "", message)
