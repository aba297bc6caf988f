"""On CI a test that doesn't run is a failure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")
RUNS = "def test_runs():\n    pass\n"
SKIPS = RUNS + "import pytest\n@pytest.mark.skip\ndef test_rests():\n    pass\n"
SKIPS_WITHIN = RUNS + "import pytest\ndef test_rests():\n    pytest.skip('tired')\n"
SKIPS_WHOLE = "import pytest\npytest.skip('tired', allow_module_level=True)\n"
EXPECTS_TO_FAIL = RUNS + "import pytest\n@pytest.mark.xfail\ndef test_rests():\n    assert 0\n"
FAILS = "def test_fails():\n    assert 0\n"


def run(folder: Path, tests: str, ci: str) -> "subprocess.CompletedProcess[str]":
    (folder / "conftest.py").write_text(CONFTEST.read_text())
    (folder / "test_it.py").write_text(tests)
    (folder / "pytest.ini").write_text("[pytest]\n")
    return subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider", str(folder)],
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("tests", [SKIPS, SKIPS_WITHIN, EXPECTS_TO_FAIL])
def test_a_skipped_test_fails_the_run_on_ci_and_is_named(tmp_path: Path, tests: str) -> None:
    done = run(tmp_path, tests, ci="true")
    assert done.returncode == 1, done.stdout
    assert "SKIPPED ON CI, which is a failure: test_it.py::test_rests" in done.stdout


def test_a_skipped_file_fails_the_run_on_ci(tmp_path: Path) -> None:
    done = run(tmp_path, SKIPS_WHOLE, ci="true")
    assert done.returncode != 0, done.stdout
    assert "SKIPPED ON CI, which is a failure: test_it.py" in done.stdout


def test_elsewhere_a_skipped_test_is_only_reported(tmp_path: Path) -> None:
    assert run(tmp_path, SKIPS, ci="").returncode == 0


@pytest.mark.parametrize(("tests", "status"), [(RUNS, 0), (FAILS, 1)])
def test_on_ci_other_outcomes_stay_what_they_are(tmp_path: Path, tests: str, status: int) -> None:
    done = run(tmp_path, tests, ci="true")
    assert done.returncode == status
    assert "SKIPPED" not in done.stdout
