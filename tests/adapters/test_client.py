"""The blocking client: one question, one answer or one named reason, within its time; and news."""

import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from riskd.actors.messages import (
    Error,
    KillActor,
    Refused,
    Status,
    StatusIs,
    Subscribe,
    Version,
    VersionIs,
)
from riskd.adapters import client as module
from riskd.adapters.client import Client, News, NotReachable, NotSubscribed, ProtocolError

Script = Callable[[socket.socket], None]


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="r") as directory:
        yield Path(directory) / "riskd.sock"


@contextmanager
def serving(place: Path, script: Script) -> Iterator[None]:
    """Another end that takes one connection and does what the script says, in a thread."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen()

        def take() -> None:
            connection, _ = listener.accept()
            with connection:
                script(connection)

        thread = threading.Thread(target=take)
        thread.start()
        yield
        thread.join()


def answering(*parts: bytes) -> Script:
    def script(connection: socket.socket) -> None:
        connection.recv(65_536)
        for part in parts:
            connection.sendall(part)
        connection.recv(1)  # Until the client has gone.

    return script


def test_an_answer_is_the_typed_reply(place: Path) -> None:
    reply = b'{"type":"version","id":1,"version":"9","protocol":1,"python":"3.11.7"}\n'
    with serving(place, answering(reply)), Client(place) as client:
        assert client.ask(Version()) == VersionIs(id=1, version="9", protocol=1, python="3.11.7")


def test_an_answer_may_come_in_any_pieces(place: Path) -> None:
    pieces = [bytes([byte]) for byte in b'{"type":"status","id":1,"status":{"a":[1]}}\n']
    with serving(place, answering(*pieces)), Client(place) as client:
        assert client.ask(Status()) == StatusIs(id=1, status={"a": [1]})


def test_questions_of_one_connection_have_ids_of_their_own(place: Path) -> None:
    asked: list[bytes] = []

    def script(connection: socket.socket) -> None:
        for number in (b"1", b"2"):
            asked.append(connection.recv(65_536))
            connection.sendall(b'{"type":"status","id":' + number + b',"status":{}}\n')

    with serving(place, script), Client(place) as client:
        assert client.ask(Status(id=77)).id == 1
        assert client.ask(Status(id=77)).id == 2
    assert asked == [b'{"type":"status","id":1}\n', b'{"type":"status","id":2}\n']


def test_a_refusal_is_an_answer(place: Path) -> None:
    reply = b'{"type":"refused","id":1,"code":"no_such_actor","message":"no"}\n'
    with serving(place, answering(reply)), Client(place) as client:
        assert client.ask(KillActor(name="x")) == Refused(id=1, code="no_such_actor", message="no")


def test_fields_of_a_newer_riskd_are_ignored(place: Path) -> None:
    with (
        serving(place, answering(b'{"type":"status","id":1,"status":{},"newer":1}\n')),
        Client(place) as client,
    ):
        assert client.ask(Status()) == StatusIs(id=1, status={})


def test_a_word_without_an_id_is_the_answer_that_ends_the_connection(place: Path) -> None:
    def script(connection: socket.socket) -> None:
        connection.sendall(b'{"type":"error","id":null,"code":"too_many_clients","message":"m"}\n')

    with serving(place, script), Client(place) as client:
        reply = client.ask(Status())
    assert reply == Error(code="too_many_clients", message="m")


def test_what_riskd_said_before_it_closed_is_read_though_sending_fails(place: Path) -> None:
    gone = threading.Event()

    def script(connection: socket.socket) -> None:
        connection.sendall(b'{"type":"error","id":null,"code":"not_permitted","message":"m"}\n')
        connection.close()
        gone.set()

    with serving(place, script), Client(place) as client:
        gone.wait()
        assert client.ask(Status()) == Error(code="not_permitted", message="m")


# --- not reachable --------------------------------------------------------------------------------


def test_no_file_is_not_reachable(place: Path) -> None:
    with pytest.raises(NotReachable, match=f"{place}: there is no such socket") as no:
        Client(place)
    assert (no.value.reason, no.value.sent, no.value.path) == ("no_such_file", False, place)


def test_a_parent_that_is_a_file_is_no_such_file(place: Path) -> None:
    place.write_text("")
    with pytest.raises(NotReachable) as no:
        Client(place / "riskd.sock")
    assert no.value.reason == "no_such_file"


def test_a_dead_socket_refuses(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(place))
    with pytest.raises(NotReachable) as no:
        Client(place)
    assert no.value.reason == "refused"


def test_a_path_that_is_too_long_is_unusable(place: Path) -> None:
    with pytest.raises(NotReachable) as no:
        Client(place.with_name("x" * 200))
    assert no.value.reason == "unusable_path"


def test_a_forbidden_socket_is_a_matter_of_permission(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Forbidden(socket.socket):
        def connect(self, address: object) -> None:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket, "socket", Forbidden)
    with pytest.raises(NotReachable) as no:
        Client(place)
    assert no.value.reason == "permission"


def test_a_full_queue_ends_in_a_timeout(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(place))
        busy.listen(0)
        waiting.connect(str(place))
        with pytest.raises(NotReachable) as no:
            Client(place, timeout_s=0.05)
    assert (no.value.reason, no.value.sent) == ("timeout", False)


def test_a_full_queue_is_waited_for_within_the_time(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(place))
        busy.listen(0)
        waiting.connect(str(place))
        trying, connected = threading.Event(), threading.Event()

        def connect() -> None:
            trying.set()
            with Client(place, timeout_s=20):
                connected.set()

        thread = threading.Thread(target=connect)
        thread.start()
        trying.wait()
        for _ in range(2):
            busy.accept()[0].close()
        thread.join()
        assert connected.is_set()


def test_all_waiting_for_one_answer_shares_one_deadline(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    class Timed(socket.socket):
        def settimeout(self, value: float | None) -> None:
            waits.append(value or 0)
            super().settimeout(value)

    pieces = [bytes([byte]) for byte in b'{"type":"status","id":1,"status":{}}\n']
    with serving(place, answering(*pieces)):
        monkeypatch.setattr(socket, "socket", Timed)
        with Client(place, timeout_s=20) as client:
            client.ask(Status())
    assert waits == sorted(waits, reverse=True)
    assert 20 > waits[0] > waits[-1]


def test_silence_ends_in_a_timeout_and_the_command_counts_as_sent(place: Path) -> None:
    with (
        serving(place, answering()),
        Client(place, timeout_s=0.05) as client,
        pytest.raises(NotReachable) as no,
    ):
        client.ask(KillActor(name="gate"))
    assert (no.value.reason, no.value.sent) == ("timeout", True)


def test_a_drip_of_bytes_does_not_stretch_the_deadline(place: Path) -> None:
    def script(connection: socket.socket) -> None:
        connection.settimeout(0.01)
        while True:
            try:
                connection.sendall(b" ")
                if connection.recv(65_536) == b"":
                    return
            except TimeoutError:
                continue
            except OSError:
                return

    with (
        serving(place, script),
        Client(place, timeout_s=0.1) as client,
        pytest.raises(NotReachable) as no,
    ):
        client.ask(Status())
    assert no.value.reason == "timeout"


def test_a_connection_that_ends_is_closed_and_the_command_counts_as_sent(place: Path) -> None:
    def script(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b'{"type":"stat')

    with (
        serving(place, script),
        Client(place) as client,
        pytest.raises(NotReachable, match="ended before the answer") as no,
    ):
        client.ask(KillActor(name="gate"))
    assert (no.value.reason, no.value.sent) == ("closed", True)


def test_after_a_failure_the_connection_stays_closed(place: Path) -> None:
    with serving(place, answering(b"{}\n")), Client(place) as client:
        for expected in (ProtocolError, NotReachable):
            with pytest.raises(expected):
                client.ask(Status())


# --- answers that are none ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"{}\n",
        b'{"type":"melted","id":1}\n',
        b'{"type":"status","id":1}\n',
        b'{"type":"status","id":1,"status":"\xff"}\n',
        b'{"type":"status","id":1,"status":{"a":' + b"[" * 60_000 + b"\n",
        b"\n",
    ],
)
def test_an_unreadable_answer_is_an_error_of_the_protocol(place: Path, line: bytes) -> None:
    with (
        serving(place, answering(line)),
        Client(place) as client,
        pytest.raises(ProtocolError, match="unreadable answer"),
    ):
        client.ask(Status())


def test_an_answer_to_something_else_is_an_error_of_the_protocol(place: Path) -> None:
    with (
        serving(place, answering(b'{"type":"status","id":9,"status":{}}\n')),
        Client(place) as client,
        pytest.raises(ProtocolError, match="not asked"),
    ):
        client.ask(Status())


def test_an_endless_answer_is_cut_at_the_bound(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REPLY_BYTES_MAX", 100_000)
    sent = 0

    def script(connection: socket.socket) -> None:
        nonlocal sent
        connection.recv(65_536)
        try:
            while sent < 50_000_000:
                sent += connection.send(b"x" * 65_536)
        except OSError:
            return

    with (
        serving(place, script),
        Client(place) as client,
        pytest.raises(ProtocolError, match="over 100000 bytes"),
    ):
        client.ask(Status())
    assert sent < 50_000_000


# --- news -----------------------------------------------------------------------------------------

SUBSCRIBED = b'{"type":"subscribed","id":1,"from_lsn":4,"lsn":4}\n'
STORED = b'"lsn":4,"at":"2026-01-02T03:04:05Z","monotonic_s":1.5,"fact":{"type":"unheard_of"}}'
TOLD = b'{"type":"recorded","id":1,' + STORED + b"\n"
POSITION = b'{"type":"position","id":1,"lsn":9}\n'


@pytest.mark.parametrize("size", [1, 10, 1000])
def test_news_come_in_order_and_facts_as_they_are_stored(place: Path, size: int) -> None:
    """Facts of a newer riskd too: their bytes are passed on."""
    stream = SUBSCRIBED + TOLD + POSITION
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    with serving(place, answering(*pieces)), Client(place) as client:
        news = client.subscribe(Subscribe(from_lsn=4))
        assert [next(news), next(news)] == [News(4, b"{" + STORED), News(9, None)]


def test_a_subscription_is_asked_for_at_once_and_with_all_that_was_chosen(place: Path) -> None:
    asked: list[bytes] = []

    def script(connection: socket.socket) -> None:
        asked.append(connection.recv(65_536))
        connection.sendall(SUBSCRIBED)

    command = Subscribe(id=8, from_lsn=4, facts=("child_held",), actor="a", account="b")
    with serving(place, script), Client(place) as client:
        client.subscribe(command)
    assert asked == [msgspec.json.encode(msgspec.structs.replace(command, id=1)) + b"\n"]


def test_news_may_take_longer_than_any_answer(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float | None] = []

    class Timed(socket.socket):
        def settimeout(self, value: float | None) -> None:
            waits.append(value)
            super().settimeout(value)

    def script(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(SUBSCRIBED)
        subscribed.wait()
        connection.sendall(POSITION)
        connection.recv(1)

    subscribed = threading.Event()
    with serving(place, script):
        monkeypatch.setattr(socket, "socket", Timed)
        with Client(place, timeout_s=20) as client:
            news = client.subscribe(Subscribe())
            assert all(wait is not None for wait in waits)
            subscribed.set()
            next(news)
    assert waits[-1] is None


@pytest.mark.parametrize(
    "reply",
    [
        Refused(id=1, code="too_old", message="the oldest is 9"),
        Error(id=1, code="invalid_value", message="no such fact", field="facts"),
        Error(id=None, code="too_many_clients", message="full"),
    ],
)
def test_a_subscription_that_is_refused_has_no_news(place: Path, reply: Refused | Error) -> None:
    with (
        serving(place, answering(msgspec.json.encode(reply) + b"\n")),
        Client(place) as client,
        pytest.raises(NotSubscribed) as no,
    ):
        client.subscribe(Subscribe(from_lsn=4))
    assert no.value.reply == reply
    assert str(no.value) == reply.message


def test_a_subscription_that_can_not_go_on_says_why_after_the_last_news(place: Path) -> None:
    lost = Error(id=1, code="feed_lost", message="fact 5 is damaged")
    stream = SUBSCRIBED + TOLD + msgspec.json.encode(lost) + b"\n"
    with serving(place, answering(stream)), Client(place) as client:
        news = client.subscribe(Subscribe(from_lsn=4))
        assert next(news).lsn == 4
        with pytest.raises(NotSubscribed) as no:
            next(news)
    assert no.value.reply == lost


@pytest.mark.parametrize("rest", [b"", TOLD[:-1]])
def test_a_connection_that_ends_is_never_taken_for_the_end_of_the_news(
    place: Path, rest: bytes
) -> None:
    def script(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(SUBSCRIBED + TOLD + rest)

    with serving(place, script), Client(place) as client:
        news = client.subscribe(Subscribe(from_lsn=4))
        assert next(news).lsn == 4
        with pytest.raises(NotReachable) as no:
            next(news)
    assert no.value.reason == "closed"


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"status","id":1,"status":{}}\n',
        POSITION.replace(b'"id":1', b'"id":2'),
        TOLD.replace(b'"id":1', b'"id":2'),
        TOLD.replace(b'"id":1,', b'"id": 1,'),
        b"{}\n",
    ],
)
def test_news_that_were_not_subscribed_to_are_an_error_of_the_protocol(
    place: Path, line: bytes
) -> None:
    with serving(place, answering(SUBSCRIBED, line)), Client(place) as client:
        news = client.subscribe(Subscribe(from_lsn=4))
        with pytest.raises(ProtocolError):
            next(news)
        with pytest.raises(NotReachable):
            client.ask(Status())


def test_a_subscription_that_is_answered_by_something_else_is_an_error_of_the_protocol(
    place: Path,
) -> None:
    with (
        serving(place, answering(b'{"type":"status","id":1,"status":{}}\n')),
        Client(place) as client,
        pytest.raises(ProtocolError, match="something else"),
    ):
        client.subscribe(Subscribe())


def test_importing_the_client_loads_neither_trio_nor_numpy() -> None:
    code = "import sys, riskd.adapters.client; print({'trio', 'numpy'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "set()\n"
