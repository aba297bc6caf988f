"""What holds for every test: how hypothesis searches, that on CI no test is skipped, and how root
is refused what other users are."""

import os
from collections.abc import Callable

import pytest
from hypothesis import settings

ON_CI = bool(os.environ.get("CI"))

# Machines differ in speed, so no example has a deadline. On CI the examples are the same each time:
# a red build is then about the change; whoever works on the code gets new examples at every run.
settings.register_profile("riskd", deadline=None, print_blob=True)
settings.register_profile("riskd-ci", deadline=None, print_blob=True, derandomize=True)
settings.load_profile("riskd-ci" if ON_CI else "riskd")


class NoSkips:
    """Fails the run when a test was skipped or expected to fail, and names it."""

    def __init__(self) -> None:
        self.skipped: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped:
            self.skipped.append(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self.skipped and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for test in self.skipped:
            terminalreporter.write_line(f"SKIPPED ON CI, which is a failure: {test}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    if ON_CI:
        config.pluginmanager.register(NoSkips(), "no-skips")


@pytest.fixture
def unprivileged() -> Callable[[str], str]:
    """The program that runs a module so that file permissions hold for it, also as root."""
    return _UNPRIVILEGED.format


_UNPRIVILEGED = """
import ctypes, os, sys
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2
for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)  # who is not root has neither
os.execv(sys.executable, [sys.executable, "-P", "-m", "{}", *sys.argv[1:]])
"""
