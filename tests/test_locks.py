"""What gets installed is pinned, hashed and nobody's address."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
LOCKS = ("build", "dev", "extras", "lock", "run")
HASH = re.compile(r" +--hash=sha256:[0-9a-f]{64}")

Pins = dict[str, set[str]]


def text(lock: str) -> str:
    return (ROOT / "requirements" / f"{lock}.lock").read_text(encoding="utf-8")


def bare(lock: str) -> str:
    """The lock without its comments."""
    return "\n".join(line for line in text(lock).splitlines() if not line.lstrip().startswith("#"))


def entries(lock: str) -> list[list[str]]:
    """The lock's entries, each as its requirement and the hashes below it."""
    return [entry.split("\\\n") for entry in re.split(r"\n(?! )", bare(lock)) if entry]


def pins(lock: str) -> Pins:
    """Name to versions; more than one where Pythons differ."""
    found: Pins = {}
    for entry in entries(lock):
        requirement = Requirement(entry[0].strip())
        (pin,) = requirement.specifier
        found.setdefault(canonicalize_name(requirement.name), set()).add(pin.version)
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_each_entry_is_one_exact_version_with_its_hashes(lock: str) -> None:
    assert entries(lock)
    for requirement, *hashes in entries(lock):
        assert re.fullmatch(r"[\w.-]+==[\w.+!]+( ; .+)?", requirement.strip()), requirement
        assert hashes, requirement
        assert all(HASH.fullmatch(line.rstrip()) for line in hashes), requirement


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_index_and_no_host(lock: str) -> None:
    assert not re.search(r"://|@|index|pypi", text(lock), re.IGNORECASE)
    assert set(re.findall(r"(?<!\S)-[-a-z]+", bare(lock))) == {"--hash"}


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("build", PROJECT["build-system"]["requires"]),
        ("run", PROJECT["project"]["dependencies"]),
        ("dev", [*PROJECT["project"]["dependencies"], *EXTRAS["dev"]]),
        (
            "extras",
            [
                *PROJECT["project"]["dependencies"],
                *(item for extra in sorted(set(EXTRAS) - {"dev"}) for item in EXTRAS[extra]),
            ],
        ),
    ],
)
def test_what_the_project_asks_for_is_in_its_lock(lock: str, wanted: list[str]) -> None:
    locked = pins(lock)
    for requirement in map(Requirement, wanted):
        versions = locked[canonicalize_name(requirement.name)]
        assert all(requirement.specifier.contains(version) for version in versions), requirement


@pytest.mark.parametrize("lock", ["dev", "extras"])
def test_tests_and_extras_stand_on_the_versions_that_run(lock: str) -> None:
    locked = pins(lock)
    assert {name: locked.get(name) for name in pins("run")} == pins("run")


def test_whatever_is_tested_was_built_by_the_backend_that_builds_what_runs() -> None:
    assert pins("build")["setuptools"] == pins("dev")["setuptools"]
