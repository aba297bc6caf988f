"""One daemon a place: the living are never robbed, the dead are replaced, no file is lost."""

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from riskd.supervisor.endpoint import (
    PATH_BYTES_MAX,
    AnotherDaemon,
    SocketUnusable,
    claim,
)

HOLD = """
import sys
from pathlib import Path
from riskd.supervisor.endpoint import claim
endpoint = claim(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.read()
"""


HOLD_AND_SPAWN = """
import subprocess
import sys
from pathlib import Path
from riskd.supervisor.endpoint import claim
endpoint = claim(Path(sys.argv[1]))
child = "import os, sys; print(os.getpid(), flush=True); sys.stdin.read()"
subprocess.Popen([sys.executable, "-c", child], close_fds=False).wait()
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A path short enough for a socket, in a private directory."""
    with tempfile.TemporaryDirectory(prefix="r") as directory:
        yield Path(directory) / "riskd" / "riskd.sock"


@pytest.fixture
def holder(place: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the place."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def bound(path: Path, *, kind: int = socket.SOCK_STREAM) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True)
    found = socket.socket(socket.AF_UNIX, kind)
    found.bind(str(path))
    return found


def modes(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


# --- what is claimed ------------------------------------------------------------------------------


def test_directories_are_private_and_the_socket_is_the_users_own(place: Path) -> None:
    with claim(place / "deeper" / "riskd.sock") as endpoint:
        assert modes(place) == 0o700
        assert modes(endpoint.path.parent) == 0o700
        assert modes(endpoint.path) == 0o600
        assert not endpoint.socket.get_inheritable()
        assert not endpoint.socket.getblocking()


def test_a_group_may_reach_the_socket_and_see_or_change_nothing_else(place: Path) -> None:
    with claim(place, os.getegid()):
        assert modes(place.parent) == 0o710
        assert modes(place) == 0o660
        assert modes(place.with_name("riskd.sock.lock")) == 0o600
        assert {place.stat().st_gid, place.parent.stat().st_gid} == {os.getegid()}
    with claim(place):
        assert modes(place) == 0o600


def test_a_group_does_not_change_a_directory_that_was_open_to_others_already(place: Path) -> None:
    place.parent.mkdir(mode=0o755)
    with claim(place, os.getegid()):
        assert modes(place.parent) == 0o755


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_no_umask_opens_or_closes_the_socket(place: Path, umask: int) -> None:
    place.parent.mkdir()
    (place.parent / "riskd.sock.lock").touch()
    before = os.umask(umask)
    try:
        with claim(place):
            assert modes(place) == 0o600
    finally:
        os.umask(before)


def test_the_socket_is_private_from_the_instant_it_exists(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    class Watched(socket.socket):
        def bind(self, address: object) -> None:
            super().bind(address)  # type: ignore[arg-type]  # passed on as it came
            seen.append(modes(place))

    monkeypatch.setattr(socket, "socket", Watched)
    before = os.umask(0)
    try:
        claim(place).release()
    finally:
        os.umask(before)
    assert seen == [0o600]


def test_a_claimed_socket_takes_connections_at_once(place: Path) -> None:
    with claim(place), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(place))


def test_a_relative_path_is_claimed_where_it_points_now(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.parent.mkdir()
    monkeypatch.chdir(place.parent)
    with claim(Path("riskd.sock")) as endpoint:
        monkeypatch.chdir("/")
        assert endpoint.path == place
    assert not place.exists()


# --- release --------------------------------------------------------------------------------------


def test_release_takes_the_socket_away_and_lets_the_next_one_in(place: Path) -> None:
    first = claim(place)
    first.release()
    first.release()
    assert not place.exists()
    assert (place.parent / "riskd.sock.lock").read_bytes() == b""
    claim(place).release()


def test_release_leaves_a_socket_that_is_not_ours(place: Path) -> None:
    endpoint = claim(place)
    place.unlink()
    with bound(place):
        endpoint.release()
        assert place.exists()


def test_release_copes_with_a_socket_that_somebody_took_away(place: Path) -> None:
    endpoint = claim(place)
    place.unlink()
    endpoint.release()
    claim(place).release()


# --- another daemon -------------------------------------------------------------------------------


def test_a_living_daemon_is_named_and_left_alone(
    place: Path, holder: subprocess.Popen[str]
) -> None:
    with pytest.raises(AnotherDaemon, match=f"process {holder.pid} is serving here; stop it") as no:
        claim(place)
    assert no.value.process_id == holder.pid
    assert place.exists()


def test_the_lock_alone_keeps_the_place_though_the_socket_is_gone(
    place: Path, holder: subprocess.Popen[str]
) -> None:
    place.unlink()
    with pytest.raises(AnotherDaemon) as no:
        claim(place)
    assert no.value.process_id == holder.pid


def test_a_killed_daemon_leaves_a_place_that_is_taken_over(
    place: Path, holder: subprocess.Popen[str]
) -> None:
    left = place.lstat().st_ino
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert place.exists()
    with claim(place), socket.socket(socket.AF_UNIX) as client:
        assert (place.lstat().st_ino, modes(place)) != (left, 0)
        client.connect(str(place))
        assert (place.parent / "riskd.sock.lock").read_text() == f"{os.getpid()}\n"


def test_whoever_answers_without_holding_the_lock_is_alive_too(place: Path) -> None:
    with bound(place) as other:
        other.listen()
        with pytest.raises(AnotherDaemon) as no:
            claim(place)
    assert no.value.process_id == os.getpid()
    assert place.exists()


def test_a_full_backlog_means_that_somebody_is_there(place: Path) -> None:
    with bound(place) as other, socket.socket(socket.AF_UNIX) as waiting:
        other.listen(0)
        waiting.connect(str(place))
        with pytest.raises(AnotherDaemon, match="another process"):
            claim(place)
    assert place.exists()


def test_a_refused_claim_leaves_the_lock_free(place: Path) -> None:
    with bound(place) as other:
        other.listen()
        with pytest.raises(AnotherDaemon):
            claim(place)
    claim(place).release()


def test_of_many_that_start_at_once_one_wins(place: Path) -> None:
    start = threading.Barrier(8)
    won, lost = [], []

    def contend() -> None:
        start.wait()
        try:
            won.append(claim(place))
        except AnotherDaemon:
            lost.append(1)

    threads = [threading.Thread(target=contend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 7)
    won[0].release()


def test_the_children_of_a_dead_daemon_do_not_keep_its_place(place: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_AND_SPAWN, str(place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.kill()
        process.wait()
        os.kill(child, 0)  # It lives on, as it must for this to say anything.
        claim(place).release()


# --- unusable places ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["file", "directory", "link", "fifo"])
def test_what_is_no_socket_is_never_deleted(place: Path, kind: str) -> None:
    place.parent.mkdir(mode=0o700)
    if kind == "file":
        place.write_text("precious")
    elif kind == "directory":
        place.mkdir()
    elif kind == "link":
        place.symlink_to("nowhere")
    else:
        os.mkfifo(place)
    before = place.lstat()
    with pytest.raises(SocketUnusable, match=r"no socket.*move it away"):
        claim(place)
    assert place.lstat().st_ino == before.st_ino


def test_a_socket_of_another_kind_is_never_deleted(place: Path) -> None:
    with bound(place, kind=socket.SOCK_DGRAM):
        with pytest.raises(SocketUnusable):
            claim(place)
        assert place.exists()


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_a_directory_that_others_can_write_is_refused(place: Path, mode: int) -> None:
    place.parent.mkdir()
    place.parent.chmod(mode)
    with pytest.raises(SocketUnusable, match=r"writable by others.*chmod go-w"):
        claim(place)
    assert list(place.parent.iterdir()) == []


def test_a_sticky_directory_is_accepted(place: Path) -> None:
    place.parent.mkdir()
    place.parent.chmod(0o1777)
    claim(place).release()


def test_a_directory_of_somebody_else_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.parent.mkdir(mode=0o700)
    owner = place.parent.stat().st_uid
    if owner == 0:  # Root may give a directory away; everybody else can only pretend to be another.
        os.chown(place.parent, 4711, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(SocketUnusable, match="belongs to user"):
        claim(place)


def test_a_lock_that_is_a_link_is_refused(place: Path) -> None:
    place.parent.mkdir(mode=0o700)
    victim = place.parent / "victim"
    victim.write_text("precious")
    (place.parent / "riskd.sock.lock").symlink_to(victim)
    with pytest.raises(SocketUnusable):
        claim(place)
    assert victim.read_text() == "precious"


def test_a_lock_that_is_no_file_is_refused(place: Path) -> None:
    place.parent.mkdir(mode=0o700)
    os.mkfifo(place.parent / "riskd.sock.lock")
    with pytest.raises(SocketUnusable, match="not a regular file"):
        claim(place)


@pytest.mark.parametrize(("length", "fits"), [(PATH_BYTES_MAX, True), (PATH_BYTES_MAX + 1, False)])
def test_the_length_that_fits_is_exactly_the_kernels(place: Path, length: int, fits: bool) -> None:
    path = place.parent / ("x" * (length - len(str(place.parent)) - 1))
    if fits:
        claim(path).release()
    else:
        with pytest.raises(SocketUnusable, match="choose a shorter --socket"):
            claim(path)
        assert not path.parent.exists()


def test_a_path_with_a_zero_byte_is_refused(place: Path) -> None:
    with pytest.raises(SocketUnusable, match="zero byte"):
        claim(Path(f"{place}\0"))


def test_a_parent_that_is_a_file_is_refused_in_one_line(place: Path) -> None:
    place.parent.write_text("in the way")
    with pytest.raises(SocketUnusable) as no:
        claim(place)
    assert "\n" not in str(no.value)
    assert no.value.path == place
