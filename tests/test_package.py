"""The wheel holds riskd and nothing else, and is enough to run both commands."""

import shutil
import subprocess
import sys
import tomllib
import venv
from configparser import ConfigParser
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import pytest
import riskd

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES: list[str] = PROJECT["tool"]["setuptools"]["packages"]
PIP = ["-P", "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
BUILD = ["wheel", "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir"]


def run(*command: str | Path, cwd: Path) -> str:
    """Run to a good end and return what was printed; otherwise show what went wrong."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build_wheel(source: Path, into: Path) -> Path:
    run(sys.executable, *PIP, *BUILD, into, source, cwd=into)
    (wheel,) = into.glob("*.whl")
    return wheel


def names(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that a checkout holds, for a build leaves traces where it runs."""
    copy = tmp_path_factory.mktemp("source") / "checkout"
    unwanted = shutil.ignore_patterns(".*", "__pycache__", "build", "*.egg-info")
    return Path(shutil.copytree(ROOT, copy, ignore=unwanted))


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(checkout, tmp_path_factory.mktemp("wheel"))


def folder(package: str) -> Path:
    return ROOT.joinpath(*package.split(".")[1:])


def test_tests_run_on_the_installed_package() -> None:
    assert Path(riskd.__file__).parents[1].name == "site-packages"


def test_every_folder_with_modules_is_a_listed_package() -> None:
    beside = {"tests", "docs", "build"}
    folders = {
        file.parent.relative_to(ROOT)
        for top in ROOT.iterdir()
        if top.is_dir() and top.name not in beside and not top.name.startswith(".")
        for file in top.rglob("*.py")
    }
    listed = {folder(package).relative_to(ROOT) for package in PACKAGES}
    assert listed - {Path()} == folders


def test_the_wheel_holds_the_modules_of_the_listed_packages_and_what_they_read(wheel: Path) -> None:
    modules = {
        str(PurePosixPath(*package.split("."), file.name))
        for package in PACKAGES
        for file in folder(package).glob("*.py")
    }
    assert names(wheel) == modules | {"riskd/py.typed", "riskd/config/paper.toml"}


def test_the_wheel_declares_both_commands(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        (path,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        declared = ConfigParser()
        declared.read_string(archive.read(path).decode())
    assert set(declared["console_scripts"]) == {"riskd", "riskctl"}


def test_a_source_distribution_builds_the_same_wheel(
    checkout: Path, wheel: Path, tmp_path: Path
) -> None:
    backend = "import setuptools.build_meta as b, sys; b.build_sdist(sys.argv[1])"
    run(sys.executable, "-P", "-c", backend, tmp_path, cwd=checkout)
    (archive,) = tmp_path.glob("riskd-*.tar.gz")
    built = tmp_path / "built"
    built.mkdir()
    assert names(build_wheel(archive, built)) == names(wheel)


def test_the_wheel_gives_both_commands_to_an_empty_venv(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    lock = ROOT / "requirements" / "run.lock"
    run(python, *PIP, "install", "--require-hashes", "--requirement", lock, cwd=tmp_path)
    run(python, *PIP, "install", "--no-index", "--no-deps", wheel, cwd=tmp_path)
    run(python, *PIP, "check", cwd=tmp_path)
    version = PROJECT["project"]["version"]
    assert version in run(home / "bin" / "riskd", "--version", cwd=tmp_path)
    assert version in run(home / "bin" / "riskctl", "--version", cwd=tmp_path)


def test_importing_the_root_loads_nothing(tmp_path: Path) -> None:
    program = (
        "import sys; before = set(sys.modules); import riskd; "
        "print(*sorted(set(sys.modules) - before))"
    )
    assert run(sys.executable, "-P", "-c", program, cwd=tmp_path).split() == ["riskd"]


def test_the_version_is_read_when_asked_for() -> None:
    assert riskd.__version__ == PROJECT["project"]["version"]
    with pytest.raises(AttributeError, match="nonsense"):
        riskd.nonsense  # noqa: B018 - reading it is what must fail
