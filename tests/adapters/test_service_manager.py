"""The service manager's socket: what goes over it, and that it never waits."""

import contextlib
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from riskd.adapters.service_manager import NotifySocket, scrub


def listening(address: str) -> socket.socket:
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind("\0" + address[1:] if address.startswith("@") else address)
    manager.setblocking(False)
    return manager


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "notify") if request.param == "path" else f"@riskd-{uuid.uuid4()}"


@pytest.fixture
def manager(address: str) -> Iterator[socket.socket]:
    with listening(address) as manager:
        yield manager


@pytest.fixture
def notify(address: str, manager: socket.socket) -> Iterator[NotifySocket]:
    notify = NotifySocket({"NOTIFY_SOCKET": address}, 1)
    yield notify
    notify.close()


def test_each_notification_is_one_datagram_with_a_line_for_each_state(
    notify: NotifySocket, manager: socket.socket
) -> None:
    notify.notify("WATCHDOG=1", "STATUS=all is well")
    notify.notify("STOPPING=1")
    assert [manager.recv(4096), manager.recv(4096)] == [
        b"WATCHDOG=1\nSTATUS=all is well",
        b"STOPPING=1",
    ]


def test_a_value_can_not_forge_another_state(notify: NotifySocket, manager: socket.socket) -> None:
    notify.notify("STATUS=gate\nWATCHDOG=1\r\nSTOPPING=1\x0bREADY=1\u2028MAINPID=1")
    assert len(manager.recv(4096).splitlines()) == 1


def test_text_that_has_no_encoding_is_sent_as_far_as_it_has(
    notify: NotifySocket, manager: socket.socket
) -> None:
    notify.notify("STATUS=actor \udcff")
    assert manager.recv(4096) == b"STATUS=actor ?"


def test_a_manager_that_does_not_read_is_not_waited_for(
    notify: NotifySocket, manager: socket.socket
) -> None:
    sent = 5000  # more than any queue of datagrams holds
    for _ in range(sent):
        notify.notify("WATCHDOG=1")
    assert 0 < drained(manager) < sent
    notify.notify("WATCHDOG=1")
    assert manager.recv(4096) == b"WATCHDOG=1"


def drained(manager: socket.socket) -> int:
    received = 0
    with contextlib.suppress(BlockingIOError):
        while manager.recv(4096):
            received += 1
    return received


def test_a_manager_that_has_gone_away_is_no_error(
    notify: NotifySocket, manager: socket.socket
) -> None:
    manager.close()
    notify.notify("WATCHDOG=1")


@pytest.mark.parametrize("address", ["", "/nowhere/at/all", "nonsense", "/" + 200 * "x", "@"])
def test_nobody_to_talk_to_is_no_error(address: str) -> None:
    notify = NotifySocket({"NOTIFY_SOCKET": address}, 1)
    notify.notify("READY=1")
    notify.close()


@pytest.mark.parametrize(
    ("environment", "watchdog_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "2500000"}, 2.5),
        ({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "42"}, 2.5),
        ({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "41"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_the_watchdog_is_ours_only_when_it_is_meant_for_this_process(
    environment: dict[str, str], watchdog_s: float | None
) -> None:
    notify = NotifySocket(environment, process_id=42)
    assert notify.watchdog_s == watchdog_s
    notify.close()


def test_children_inherit_nothing_that_speaks_to_riskd_alone() -> None:
    environment = dict.fromkeys(
        [
            *("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"),
            *("LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "LISTEN_PIDFDID"),
        ],
        "1",
    )
    environment["PATH"] = "/bin"
    scrub(environment)
    assert environment == {"PATH": "/bin"}
