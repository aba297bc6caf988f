"""Where riskd and riskctl meet when nobody says where: pure functions of environment and user."""

from collections.abc import Mapping
from pathlib import Path

SOCKET_PATH_BYTES_MAX = 107
"""Linux keeps a Unix socket's path in 108 bytes, the last of which is a zero."""


class PathRefused(ValueError):
    """No usable path follows from the environment, or the path that does is too long."""


def default_socket(environment: Mapping[str, str], uid: int) -> Path:
    """The control socket: $RISKD_SOCKET, else the place that this user's runtime files have."""
    if named := environment.get("RISKD_SOCKET"):
        return checked_socket(Path(named))
    if runtime := _absolute(environment, "XDG_RUNTIME_DIR"):
        return checked_socket(runtime / "riskd" / "riskd.sock")
    if uid == 0:
        return Path("/run/riskd/riskd.sock")
    return checked_socket(_home_state(environment, "RISKD_SOCKET") / "riskd.sock")


def default_state_dir(environment: Mapping[str, str], uid: int) -> Path:
    """The state directory: $XDG_STATE_HOME/riskd, else below the home, else the system's own."""
    if state := _absolute(environment, "XDG_STATE_HOME"):
        return state / "riskd"
    if uid == 0 and not _absolute(environment, "HOME"):
        return Path("/var/lib/riskd")
    return _home_state(environment, "XDG_STATE_HOME")


def checked_socket(path: Path) -> Path:
    """The path itself, if the kernel can bind it."""
    if excess := socket_path_excess(str(path)):
        raise PathRefused(
            f"the socket path {path} is {excess} bytes longer than the {SOCKET_PATH_BYTES_MAX} "
            "that Linux takes; set RISKD_SOCKET or riskd.socket to a shorter one"
        )
    return path


def socket_path_excess(path: str) -> int:
    """By how many bytes a path is too long for a Unix socket; 0 when it fits."""
    return max(0, len(path.encode("utf-8", "surrogateescape")) - SOCKET_PATH_BYTES_MAX)


def _absolute(environment: Mapping[str, str], name: str) -> Path | None:
    """A directory named by a variable. The XDG rule: what is relative counts as unset."""
    path = Path(environment.get(name, ""))
    return path if path.is_absolute() else None


def _home_state(environment: Mapping[str, str], remedy: str) -> Path:
    home = _absolute(environment, "HOME")
    if home is None:
        raise PathRefused(f"HOME names no absolute directory; set it, or set {remedy}")
    return home / ".local" / "state" / "riskd"
