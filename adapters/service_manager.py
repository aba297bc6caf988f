"""The service manager's socket, as systemd's `sd_notify` defines it.

One datagram with `KEY=value` lines. It never waits: a manager whose queue is full misses a ping and
gets the next one, while a riskd that waited for it would stop serving.
"""

import contextlib
import socket
from collections.abc import Mapping, MutableMapping
from typing import Self

SPOKEN_TO_RISKD = (
    *("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"),
    *("LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "LISTEN_PIDFDID"),
)
"""By these a service manager speaks to the process that it starts, and to no other."""


class NotifySocket:
    """Where NOTIFY_SOCKET points to; nowhere when riskd was started by hand."""

    def __init__(self, environment: Mapping[str, str], process_id: int) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # A leading @ is how the environment spells the zero byte of an abstract address.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        self.watchdog_s = _watchdog_s(environment, process_id)

    def notify(self, *lines: str) -> None:
        if self._address:
            # One state a line: a newline inside a value would start another state.
            text = "\n".join(" ".join(line.splitlines()) for line in lines)
            with contextlib.suppress(OSError):
                self._socket.sendto(text.encode(errors="replace"), self._address)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _watchdog_s(environment: Mapping[str, str], process_id: int) -> float | None:
    """What the manager asks for, if it asks us and not the process that started us."""
    if environment.get("WATCHDOG_PID", str(process_id)) != str(process_id):
        return None
    microseconds = environment.get("WATCHDOG_USEC", "")
    return (int(microseconds) / 1e6 if microseconds.isdecimal() else 0.0) or None


def scrub(environment: MutableMapping[str, str]) -> None:
    """Children must not talk to the service manager in riskd's name, nor take its sockets."""
    for name in SPOKEN_TO_RISKD:
        environment.pop(name, None)
