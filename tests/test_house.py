"""The house rules that no other tool holds: one version, whole packages, names that say something, no stray files."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import tomllib

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = sorted(path.name for path in REPOSITORY.glob("packages/*") if path.is_dir())
MODULES = {package: REPOSITORY / "packages" / package / "src" / f"s2s_{package}" for package in PACKAGES}
PACKAGE_FILES = ["pyproject.toml", "README.md", "LICENSE", "BUILD", "src/BUILD", "src/s2s_{}/py.typed"]
WHOLE_PACKAGE_TESTS = {"acceptance"}
LARGEST_FILE_BYTES = 350_000


def tracked_files():
    """What a clone would hold: tracked files, and new ones that git does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout: the tracked files are unknown")
    return [path for name in done.stdout.splitlines() if (path := REPOSITORY / name).is_file()]


def project(package):
    return tomllib.loads((REPOSITORY / "packages" / package / "pyproject.toml").read_text())["project"]


def test_the_six_packages_are_the_makefiles():
    makefile = (REPOSITORY / "Makefile").read_text()
    listed = re.search(r"^PACKAGES := (.*)$", makefile, re.MULTILINE).group(1).split()
    assert sorted(listed) == PACKAGES == ["asr", "commands", "core", "lm", "nmt", "tts"]


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize(
    "name", ["pyproject.toml", "README.md", "LICENSE", "BUILD", "src/BUILD", "src/s2s_{}/py.typed"]
)
def test_every_package_is_complete(package, name):
    assert (REPOSITORY / "packages" / package / name.format(package)).is_file()


def test_versions_move_together():
    versions = {f"{package}/pyproject.toml": project(package)["version"] for package in PACKAGES}
    for package, folder in MODULES.items():
        versions[f"s2s_{package}"] = re.search(r'__version__ = "(.+)"', (folder / "__init__.py").read_text()).group(1)
        build = (REPOSITORY / "packages" / package / "BUILD").read_text()
        versions[f"{package}/BUILD"] = re.search(r'version="(.+?)"', build).group(1)
    assert len(set(versions.values())) == 1, versions


def test_the_oldest_python_is_the_same_everywhere():
    workspace = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]
    assert {project(package)["requires-python"] for package in PACKAGES} == {">=3.10"}
    assert workspace["ruff"]["target-version"] == "py310"
    assert workspace["pyright"]["pythonVersion"] == "3.10"
    pants = tomllib.loads((REPOSITORY / "pants.toml").read_text())["python"]
    assert pants["interpreter_constraints"] == ["CPython>=3.10,<3.13"]
    tested = [f"Programming Language :: Python :: 3.{minor}" for minor in (10, 11, 12)]
    for package in PACKAGES:
        named = [line for line in project(package)["classifiers"] if "Python :: 3" in line]
        assert named == tested, package


@pytest.mark.parametrize("package", [package for package in PACKAGES if package != "core"])
def test_a_domain_depends_on_this_core_and_on_no_other_domain(package):
    dependencies = project(package)["dependencies"]
    ours = [name for name in dependencies if name.startswith("s2s-")]
    assert len(ours) == 1
    assert re.fullmatch(rf"s2s-core(\[[a-z,]+\])?=={re.escape(project('core')['version'])}", ours[0])


def test_the_licence_is_the_same_everywhere():
    licence = (REPOSITORY / "LICENSE").read_text()
    assert "Apache License" in licence
    for package in PACKAGES:
        assert (REPOSITORY / "packages" / package / "LICENSE").read_text() == licence


def test_constraints_hold_names_and_exact_versions_only():
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    wrong = [line for line in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line)]
    assert not wrong
    assert len(pins) > 50
    assert {"torch==2.11.0", "torchaudio==2.11.0"} <= set(pins)


def distribution_name(requirement):
    return re.sub(r"[-_.]+", "-", re.match(r"[A-Za-z0-9._-]+", requirement).group()).lower()


def test_constraints_name_every_requirement():
    pins = [line for line in (REPOSITORY / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    groups = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["dependency-groups"]
    extras = project("core")["optional-dependencies"]
    requirements = [
        *groups["dev"],
        *groups["docs"],
        *extras["audio"],
        *extras["text"],
        *extras["wandb"],
        *extras["serve"],
    ]
    for package in PACKAGES:
        requirements += project(package)["dependencies"]
    missing = {distribution_name(line) for line in requirements} - {distribution_name(line) for line in pins}
    assert not {name for name in missing if not name.startswith("s2s-")}


def test_the_type_checker_reads_the_sources():
    # it passes over an entry that matches nothing, and then finds nothing wrong
    included = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["pyright"]["include"]
    folders = [REPOSITORY / entry for entry in included]
    assert all(folder.is_dir() for folder in folders)
    assert all(any(source.is_relative_to(folder) for folder in folders) for source in MODULES.values())


def test_files_are_named_after_an_idea():
    meaningless = {"utils", "util", "helpers", "misc", "common", "stuff"}
    named = [path for path in tracked_files() if path.stem in meaningless or path.stem.endswith("_utils")]
    assert not named


def named_after(name, folder):
    """Whether a test may be called ``test_NAME``: after a module, several with a suffix each, or after its folder."""
    modules = {entry.stem for entry in folder.glob("*") if entry.suffix == ".py" or entry.is_dir()}
    modules |= {folder.name, *WHOLE_PACKAGE_TESTS}
    return any(name == module or name.startswith(f"{module}_") for module in modules)


def test_tests_mirror_sources():
    strays = []
    for package, source in MODULES.items():
        tests = REPOSITORY / "tests" / package
        for path in sorted(tests.rglob("test_*.py")):
            if not named_after(path.stem.removeprefix("test_"), source / path.parent.relative_to(tests)):
                strays.append(path.relative_to(REPOSITORY).as_posix())
    assert not strays, "a test file is named after the module it tests"


def test_no_file_names_a_place_on_somebodys_machine():
    places = re.compile(rb"(?<![\w.}])/(?:" + b"|".join([b"ro" + b"ot", b"wo" + b"rk", b"ho" + b"me"]) + rb")/")
    named = [path.relative_to(REPOSITORY).as_posix() for path in tracked_files() if places.search(path.read_bytes())]
    assert not named


def test_no_file_is_large():
    large = [path for path in tracked_files() if path.stat().st_size > LARGEST_FILE_BYTES]
    assert not large


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_loads_nothing_heavy(package):
    heavy = ("torch", "torchaudio", "lightning", "lhotse", "numpy", "jsonargparse", "tensorboard")
    code = f"import sys, s2s_{package}; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("arguments", [["run", "--help"], ["run", "asr", "--help"], ["run", "asr", "configs"]])
def test_help_needs_no_heavy_import(arguments):
    blocked = ("torch", "torchaudio", "lightning", "lhotse", "tensorboard")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked!r})); "
        f"from s2s_core.cli.main import main; sys.exit(main({arguments!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
