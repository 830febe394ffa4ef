"""pyproject.toml, requirements.lock and environment.yml agree; the wheel holds all that a notebook needs."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from pipeline_tools import ROOT, empty_environment, wheel_of

# ruff: isort: split
import layout

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHONS = ["3.11", "3.12", "3.13"]


def required() -> list[Requirement]:
    """Everything pyproject.toml asks for, the extras too."""
    extras = PROJECT["optional-dependencies"]
    return [Requirement(line) for line in PROJECT["dependencies"] + extras["book"] + extras["test"]]


def locked() -> list[Requirement]:
    """The pins of requirements.lock."""
    text = (ROOT / "requirements.lock").read_text()
    lines = re.findall(r"^([A-Za-z0-9][^\\\n]*==[^\\\n]*?) *\\?$", text, re.MULTILINE)
    return [Requirement(line) for line in lines]


def canonical(name: str) -> str:
    """A package's name in its one spelling."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_tests_have_what_the_extras_of_readers_bring() -> None:
    extras = PROJECT["optional-dependencies"]
    assert set(extras["onnx"]) <= set(extras["test"])


@pytest.mark.parametrize("system", ["linux", "darwin"])
@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_pins_everything_asked_for(python: str, system: str) -> None:
    where = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": system}
    where |= {"platform_system": "Linux" if system == "linux" else "Darwin", "extra": ""}
    pins = {canonical(pin.name): pin for pin in locked() if not pin.marker or pin.marker.evaluate(where)}
    for need in required():
        if not need.marker or need.marker.evaluate(where):
            (pin,) = pins[canonical(need.name)].specifier
            assert need.specifier.contains(pin.version), f"{need}: locked at {pin.version}; run `make lock`"


def test_the_lock_has_hashes_and_names_no_place() -> None:
    text = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"\n(?=[A-Za-z0-9])", text.split("\n", 2)[2])
    assert len(entries) == len(locked()) > 100
    assert all("--hash=sha256:" in entry for entry in entries)
    assert not re.search(r"https?:|file:|--(extra-)?index|--find-links|@ ", text)


def test_torch_and_torchvision_are_the_ordinary_ones() -> None:
    for name in ("torch", "torchvision"):
        (pin,) = [pin for pin in locked() if pin.name == name]
        assert pin.marker is None
        (version,) = pin.specifier
        assert "+" not in version.version  # no build for one kind of machine


def test_environment_yml_agrees() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["name"] == PROJECT["name"]
    python = next(line for line in environment["dependencies"] if str(line).startswith("python"))
    ours, theirs = SpecifierSet(PROJECT["requires-python"]), SpecifierSet(python.removeprefix("python"))
    tried = [Version(f"3.{minor}.{micro}") for minor in range(9, 16) for micro in (0, 7)]
    assert [version in ours for version in tried] == [version in theirs for version in tried]
    pip = next(line["pip"] for line in environment["dependencies"] if isinstance(line, dict))
    assert pip == ["-r requirements.lock"]


def test_the_promised_pythons_are_tested() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "book.yml").read_text())
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == PYTHONS
    assert [f"3.{minor}" in SpecifierSet(PROJECT["requires-python"]) for minor in (10, 11, 12, 13, 14)] == [
        False, True, True, True, False
    ]  # fmt: skip
    oldest = next(need for need in required() if need.name == "torch")
    assert str(oldest.specifier).removeprefix(">=") in str(workflow["jobs"]["oldest-torch"])


def test_one_version_everywhere() -> None:
    import mdepth

    assert mdepth.__version__ == PROJECT["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert PROJECT["version"] in (ROOT / "CHANGELOG.md").read_text()


def test_the_wheel_holds_code_records_and_reported_numbers(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for path in [*(ROOT / "mdepth").rglob("*.py"), *(ROOT / "mdepth" / "pretrained").glob("*")]:
        assert path.relative_to(ROOT).as_posix() in names
    assert "mdepth/py.typed" in names
    assert "mdepth_bugs/eigen.py" in names
    for path in (ROOT / "data" / "reported").glob("*.yaml"):
        assert f"mdepth/reported/{path.name}" in names
    for path in [*(ROOT / "results/laptop").rglob("run.json"), *(ROOT / "results/benchmarks").glob("*.json")]:
        assert f"mdepth/_records/{path.relative_to(ROOT / 'results')}" in names
    assert not [name for name in names if name.startswith(("tests/", "ci/", "book/", "results/"))]
    assert not [name for name in names if name.endswith(("weights.safetensors", ".pt"))]


def test_the_wheel_imports_where_nothing_else_of_the_project_is(wheel: Path, tmp_path: Path) -> None:
    python = empty_environment(tmp_path / "environment")
    install = [python, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", wheel]
    subprocess.run(install, check=True, cwd=tmp_path)
    script = "import mdepth, mdepth.models, mdepth_bugs; print(mdepth.__file__, len(mdepth.models.names()))"
    done = subprocess.run([python, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    place, count = done.stdout.split()
    assert Path(place).is_relative_to(tmp_path)
    assert int(count) > 0


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return wheel_of(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_is_called_what_the_notebooks_install(wheel: Path) -> None:
    book = layout.Layout(ROOT)
    assert book.wheel_url == f"{book.repository}/raw/notebooks/{wheel.name}"
    workflow = (ROOT / ".github" / "workflows" / "book.yml").read_text()
    assert "pip wheel --no-deps --wheel-dir notebooks ." in workflow


def test_the_source_archive_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT, tmp_path / "source", ignore=ignored_by_archives)
    command = [sys.executable, "setup.py", "-q", "sdist", "--dist-dir", str(tmp_path)]
    subprocess.run(command, cwd=tmp_path / "source", check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    shutil.unpack_archive(archive, tmp_path / "unpacked", filter="data")
    (folder,) = (tmp_path / "unpacked").iterdir()
    rebuilt = wheel_of(tmp_path / "again", folder)
    assert sorted(zipfile.ZipFile(rebuilt).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())


def test_a_wheel_holds_no_records_of_an_earlier_build(tmp_path: Path) -> None:
    """Building leaves its folder behind, and a record may have been renamed since."""
    (tmp_path / "setup.py").write_bytes((ROOT / "setup.py").read_bytes())
    carried = tmp_path / "build" / "lib" / "mdepth" / "_records" / "laptop"
    files = ["mdepth/__init__.py", "book/bugs/__init__.py", "results/laptop/eigen/new/seed0/run.json"]
    for path in [*(tmp_path / name for name in files), carried / "eigen" / "old" / "seed0" / "run.json"]:
        path.parent.mkdir(parents=True)
        path.touch()
    command = [sys.executable, "setup.py", "-q", "build_py"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert [path.name for path in (carried / "eigen").iterdir()] == ["new"]


def test_jobs_that_run_the_tests_have_what_they_import() -> None:
    """Tests of the library show figures in notebooks too, so they want the tools of the book."""
    jobs = [
        "\n".join(step.get("run", "") for step in job["steps"])
        for path in (ROOT / ".github" / "workflows").glob("*.yml")
        for job in yaml.safe_load(path.read_text())["jobs"].values()
    ]
    by_pip = [commands for commands in jobs if "pytest" in commands]
    assert len(by_pip) == 2
    assert all("-e .[book,test]" in commands for commands in by_pip)


def ignored_by_archives(folder: str, names: list[str]) -> set[str]:
    """What no source archive needs."""
    left = {".git", ".venv", ".mdepth", ".hypothesis", "__pycache__", "build", "dist", "quick"}
    left |= {"_build", "_generated", "executed", "api"}  # a build of the book may be at work there
    return {
        name
        for name in names
        if name in left or name.endswith(("_cache", ".egg-info", "weights.safetensors"))
    }
