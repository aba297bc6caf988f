"""The process that asks for a risk signal, and real servers that answer in every way."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from riskd.adapters import fetch

PATIENCE_S = 20.0
KEY = "t0k"


class Server(ThreadingHTTPServer):
    """It answers as `answer` says, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer: Callable[[Any], None] = lambda handler: reply(handler, 200, b"{}")
        self.heads: list[dict[str, str]] = []
        self.paths: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.heads.append(dict(self.headers))
        self.server.paths.append(self.path)
        self.server.answer(self)

    def log_message(self, *_: Any) -> None:
        pass


def reply(handler: Any, status: int, body: bytes, **heads: str) -> None:
    handler.send_response(status)
    for name, value in heads.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(url: str, token: str | None = None, timeout_s: float = PATIENCE_S) -> tuple[int, bytes]:
    """As riskd starts it."""
    question = {"url": url, "timeout_s": timeout_s, "token": token, "ca_file": None}
    program = str(Path(fetch.__file__))
    ran = subprocess.run(
        [sys.executable, "-I", "-S", program], input=json.dumps(question).encode(),
        capture_output=True, check=False, timeout=PATIENCE_S, env={},
    )  # fmt: skip
    assert ran.stderr == b""
    return ran.returncode, ran.stdout


def test_a_good_answer_is_given_as_it_came(server: Server) -> None:
    server.answer = lambda handler: reply(handler, 200, b'{"level":"info"}')
    assert ask(f"{server.url}/risk?desk=1", token=KEY) == (0, b'{"level":"info"}')
    assert server.paths == ["/risk?desk=1"]
    (head,) = server.heads
    assert head["Authorization"] == f"Bearer {KEY}"
    assert head["Accept"] == "application/json"


def test_without_a_token_none_is_shown(server: Server) -> None:
    assert ask(server.url)[0] == 0
    assert "Authorization" not in server.heads[0]


@pytest.mark.parametrize("status", [201, 204, 301, 302, 307, 404, 500, 503])
def test_any_other_status_is_no_answer_and_a_redirect_is_not_followed(
    server: Server, status: int
) -> None:
    server.answer = lambda handler: reply(handler, status, b"", Location=f"{server.url}/other")
    code, said = ask(f"{server.url}/first")
    assert (code, said) == (
        fetch.UNUSABLE, f"it answered with status {status}, not 200".encode()
    )  # fmt: skip
    assert server.paths == ["/first"]


@pytest.mark.parametrize(
    ("size", "code"), [(fetch.BODY_BYTES_MAX, 0), (fetch.BODY_BYTES_MAX + 1, fetch.UNUSABLE)]
)
def test_a_body_has_a_size(server: Server, size: int, code: int) -> None:
    server.answer = lambda handler: reply(handler, 200, b"a" * size)
    found, said = ask(server.url)
    assert found == code
    assert len(said) <= fetch.BODY_BYTES_MAX


def test_what_says_nothing_is_waited_for_no_longer_than_it_may_take(server: Server) -> None:
    silence = threading.Event()
    server.answer = lambda _: silence.wait(PATIENCE_S) and None
    try:
        assert ask(server.url, timeout_s=0.2)[0] == fetch.UNREACHABLE
    finally:
        silence.set()


def test_what_is_no_http_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def speak() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4_096)
                connection.sendall(b"\xff\xfe nonsense\r\n\r\n")

        thread = threading.Thread(target=speak)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert ask(url)[0] == fetch.UNREACHABLE
        thread.join()


def test_nobody_there_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert ask(f"http://127.0.0.1:{port}")[0] == fetch.UNREACHABLE


def test_what_is_not_verified_is_not_asked(server: Server) -> None:
    """Nothing is said to it, the token least of all."""
    assert ask(server.url.replace("http:", "https:"), token=KEY)[0] == fetch.UNREACHABLE
    assert server.paths == []


@pytest.mark.parametrize("token", [f"{KEY}\n", f"a\r\n{KEY}", f"{KEY}\u20ac"])
def test_a_token_that_no_header_can_hold_is_told_to_nobody(server: Server, token: str) -> None:
    code, said = ask(server.url, token=token)
    assert code == fetch.UNREACHABLE
    assert KEY.encode() not in said
    assert server.paths == []
