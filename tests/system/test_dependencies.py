"""What each package would bring along, as the metadata of what is installed here says."""

import ast
import subprocess
import sys
from collections import deque
from importlib import metadata
from pathlib import Path

import pytest
import tomllib
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = sorted(path.parent.name for path in REPOSITORY.glob("packages/*/pyproject.toml"))
AUDIO = {"torchaudio", "torchcodec", "lhotse", "soundfile", "audioread", "librosa", "espeakng-loader"}


def wanted(requirement: Requirement, extras: set[str]) -> bool:
    """Whether a requirement's marker holds here, for a distribution that was asked for with these extras."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""})


def requirements_of(name: str) -> list[Requirement]:
    """Of our packages as their sources say now, of others as they are installed."""
    source = REPOSITORY / "packages" / name.removeprefix("s2s-") / "pyproject.toml"
    if name.startswith("s2s-") and source.is_file():
        project = tomllib.loads(source.read_text())["project"]
        listed = [Requirement(line) for line in project["dependencies"]]
        for extra, lines in project.get("optional-dependencies", {}).items():
            for line in lines:
                needed = Requirement(line)
                assert needed.marker is None
                listed.append(Requirement(f'{line} ; extra == "{extra}"'))
        return listed
    return [Requirement(line) for line in metadata.requires(name) or []]


def brought_by(requirement: str) -> set[str]:
    """The names of all distributions that installing one brings, itself among them."""
    seen: dict[str, set[str]] = {}
    queue = deque([Requirement(requirement)])
    while queue:
        asked = queue.popleft()
        name = canonicalize_name(asked.name)
        if name in seen and asked.extras <= seen[name]:
            continue
        extras = seen.setdefault(name, set())
        extras |= asked.extras
        try:
            needs = requirements_of(name)
        except metadata.PackageNotFoundError:
            pytest.fail(f"{name}, which {requirement} needs, is not installed")
        queue.extend(need for need in needs if wanted(need, extras))
    return set(seen)


@pytest.mark.parametrize("package", ["core", "nmt", "lm"])
def test_text_brings_no_audio_library(package):
    brought = brought_by(f"s2s-{package}")
    assert {"torch", "lightning", "numpy"} <= brought
    assert not brought & AUDIO


@pytest.mark.parametrize("package", ["asr", "tts", "commands"])
def test_speech_brings_the_audio_libraries(package):
    assert {"torchaudio", "lhotse", "soundfile", "espeakng-loader"} <= brought_by(f"s2s-{package}")


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_brings_no_domain_but_itself(package):
    ours = {name for name in brought_by(f"s2s-{package}") if name.startswith("s2s-")}
    assert ours == {"s2s-core", f"s2s-{package}"}


def test_trackers_and_exporters_come_on_request_alone():
    optional = {"wandb", "deepspeed", "onnx", "onnxruntime", "onnxscript", "kenlm", "pyctcdecode"}
    for package in PACKAGES:
        assert not brought_by(f"s2s-{package}") & optional
    assert "wandb" in brought_by("s2s-core[wandb]")


def test_pants_knows_every_requirement():
    requirements = (REPOSITORY / "3rdparty/python/requirements.txt").read_text().splitlines()
    known = {canonicalize_name(Requirement(line).name) for line in requirements if not line.startswith("#")}
    for package in PACKAGES:
        project = tomllib.loads((REPOSITORY / "packages" / package / "pyproject.toml").read_text())["project"]
        listed = [project["dependencies"], *project.get("optional-dependencies", {}).values()]
        names = {canonicalize_name(Requirement(line).name) for lines in listed for line in lines}
        assert {name for name in names if not name.startswith("s2s-")} <= known, package


def imported_by(folder: Path) -> dict[str, Path]:
    """Top-level names that a package's sources import, each with a file that does; help for tests needs pytest."""
    names: dict[str, Path] = {}
    for file in set(folder.rglob("*.py")) - set(folder.glob("s2s_core/testing/*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules = [node.module]
            else:
                continue
            names |= {module.partition(".")[0]: file for module in modules}
    return names


def asked_for(package: str) -> set[str]:
    """Distributions that a package itself asks for, with all its extras and those of core that it asks for."""
    asked: set[str] = set()
    for need in requirements_of(f"s2s-{package}"):
        asked.add(canonicalize_name(need.name))
        if need.name == "s2s-core":
            core = requirements_of("s2s-core")
            asked |= {canonicalize_name(line.name) for line in core if wanted(line, need.extras) or package == "core"}
    return asked


@pytest.fixture(scope="module")
def providers():
    """Top-level names to the distributions that have them."""
    return metadata.packages_distributions()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_asks_for_what_it_imports(package, providers):
    missing = {}
    for module, file in imported_by(REPOSITORY / "packages" / package / "src").items():
        if module in sys.stdlib_module_names or module.startswith("s2s_"):
            continue
        distributions = {canonicalize_name(name) for name in providers.get(module, [])}
        if not distributions & asked_for(package):
            missing[module] = (file.name, distributions)
    assert not missing


CLASSES = {
    "asr": ["Transcriber"],
    "commands": ["CommandClassifier", "ImageClassifier"],
    "lm": ["LanguageModel", "SentimentClassifier"],
    "nmt": ["Translator"],
    "tts": ["Synthesizer"],
}


def test_what_a_user_imports_waits_with_lightning_until_it_is_needed():
    assert set(CLASSES) == set(PACKAGES) - {"core"}
    names = [(f"s2s_{package}", name) for package, found in CLASSES.items() for name in found]
    imports = "; ".join(f"from {package} import {name}" for package, name in names)
    heavy = "{'lightning', 'torchmetrics', 'lhotse', 'wandb', 'deepspeed'}"
    command = [sys.executable, "-c", f"import sys; {imports}; print(sorted({heavy} & set(sys.modules)))"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"
