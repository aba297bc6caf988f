"""Daemon and riskctl find the same places by themselves, or are told what to set."""

from pathlib import Path

import pytest
from riskd.config.paths import (
    SOCKET_PATH_BYTES_MAX,
    PathRefused,
    checked_socket,
    default_socket,
    default_state_dir,
)

USER, ROOT = 1000, 0


@pytest.mark.parametrize(
    ("environment", "uid", "expected"),
    [
        (
            {"RISKD_SOCKET": "/a/b", "XDG_RUNTIME_DIR": "/run/user/1000", "HOME": "/home/u"},
            USER,
            "/a/b",
        ),
        (
            {"RISKD_SOCKET": "", "XDG_RUNTIME_DIR": "/run/user/1000", "HOME": "/home/u"},
            USER,
            "/run/user/1000/riskd/riskd.sock",
        ),
        ({"XDG_RUNTIME_DIR": "/run/user/0", "HOME": "/root"}, ROOT, "/run/user/0/riskd/riskd.sock"),
        ({"HOME": "/root"}, ROOT, "/run/riskd/riskd.sock"),
        ({}, ROOT, "/run/riskd/riskd.sock"),
        ({"HOME": "/home/u"}, USER, "/home/u/.local/state/riskd/riskd.sock"),
        (
            {"XDG_RUNTIME_DIR": "relative", "HOME": "/home/u"},
            USER,
            "/home/u/.local/state/riskd/riskd.sock",
        ),
        (
            {"XDG_STATE_HOME": "/state", "HOME": "/home/u"},
            USER,
            "/home/u/.local/state/riskd/riskd.sock",
        ),
    ],
)
def test_the_socket_is_where_the_first_rule_that_applies_puts_it(
    environment: dict[str, str], uid: int, expected: str
) -> None:
    assert default_socket(environment, uid) == Path(expected)


@pytest.mark.parametrize(
    ("environment", "uid", "expected"),
    [
        ({"XDG_STATE_HOME": "/state", "HOME": "/home/u"}, USER, "/state/riskd"),
        ({"XDG_STATE_HOME": "/state"}, ROOT, "/state/riskd"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/home/u"}, USER, "/home/u/.local/state/riskd"),
        ({"HOME": "/root"}, ROOT, "/root/.local/state/riskd"),
        ({}, ROOT, "/var/lib/riskd"),
        ({"HOME": ""}, ROOT, "/var/lib/riskd"),
    ],
)
def test_the_state_is_where_the_first_rule_that_applies_puts_it(
    environment: dict[str, str], uid: int, expected: str
) -> None:
    assert default_state_dir(environment, uid) == Path(expected)


@pytest.mark.parametrize("home", [{}, {"HOME": ""}, {"HOME": "relative"}])
def test_a_user_without_a_home_is_told_what_to_set(home: dict[str, str]) -> None:
    with pytest.raises(PathRefused, match="RISKD_SOCKET"):
        default_socket(home, USER)
    with pytest.raises(PathRefused, match="XDG_STATE_HOME"):
        default_state_dir(home, USER)


def test_a_socket_path_is_as_long_as_the_kernel_takes_and_no_longer() -> None:
    longest = "/" + "x" * (SOCKET_PATH_BYTES_MAX - 1)
    assert default_socket({"RISKD_SOCKET": longest}, USER) == Path(longest)
    with pytest.raises(PathRefused, match=r"1 bytes longer than the 107.*shorter"):
        default_socket({"RISKD_SOCKET": longest + "x"}, USER)


def test_a_socket_path_is_counted_in_bytes() -> None:
    with pytest.raises(PathRefused):
        checked_socket(Path("/" + "é" * 60))


@pytest.mark.parametrize("variable", ["XDG_RUNTIME_DIR", "HOME"])
def test_a_default_that_is_too_long_is_refused_too(variable: str) -> None:
    with pytest.raises(PathRefused, match="set RISKD_SOCKET"):
        default_socket({variable: "/" + "x" * 100}, USER)
