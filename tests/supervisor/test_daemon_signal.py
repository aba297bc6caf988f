"""A real riskd hears of the risk from a real server, and from clients; orders go by it."""

import signal
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from riskd.actors.messages import (
    Check,
    Marked,
    OrderAsked,
    Refused,
    RiskIs,
    ShowRisk,
    Signal,
    Taken,
)

Start = Callable[..., Any]

CONFIG = """
[accounts.main]
balance = "1000000"
exchange = "sim"
[[instruments]]
symbol = "X"
[[rules]]
kind = "fresh_data"
max_mark_age_s = 3600
[lease]
length_s = 10
"""
OUTSIDE = """
[risk_signal.outside]
url = "http://127.0.0.1:{port}/risk"
token = "${{RISK_TOKEN}}"
every_s = 1
timeout_s = 2
max_age_s = 3.5
policy = "{policy}"
"""
GOOD = b'{"level":"info","score":3}'
PATIENCE_S = 20.0


class Server(ThreadingHTTPServer):
    """It says what `body` is, or does what `act` does."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.body = GOOD
        self.act: Callable[[Any], None] | None = None
        self.keys: set[str | None] = set()
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def end(self) -> None:
        self.shutdown()
        self.server_close()
        self.thread.join()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.keys.add(self.headers["Authorization"])
        if self.server.act is not None:
            self.server.act(self)
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.server.body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    if server.thread.is_alive():
        server.end()


def begin(start: Start, place: Path, port: int | None = None, policy: str = "critical") -> Any:
    file = place / "riskd.toml"
    outside = "" if port is None else OUTSIDE.format(port=port, policy=policy)
    file.write_text(CONFIG + outside)
    return start("--config", str(file), env={"RISK_TOKEN": "k3y"}).wait_ready()


def code(daemon: Any, name: str) -> str:
    """The answer to an order that adds risk."""
    order = OrderAsked(
        client_order_id=name, account="main", symbol="X", side="buy", qty="1", price="1"
    )
    return str(daemon.ask(Check(order=order)).code)


def outside(daemon: Any) -> dict[str, Any]:
    (row,) = daemon.status()["risk_signal"]["sources"]
    assert row["source"] == "outside"
    return dict(row)


def is_so(daemon: Any, state: str, level: str) -> Callable[[], bool]:
    def true() -> bool:
        row = outside(daemon)
        return (row["state"], row["level"]) == (state, level)

    return true


def test_whatever_a_server_does_is_heard_and_then_it_is_good_again(
    start: Start, place: Path, server: Server
) -> None:
    daemon = begin(start, place, server.port)
    daemon.until(is_so(daemon, "said", "info"))
    assert server.keys == {"Bearer k3y"}
    assert "k3y" not in daemon.logged()

    def status(number: int, **heads: str) -> Callable[[Any], None]:
        def act(handler: Any) -> None:
            handler.send_response(number)
            for name, value in heads.items():
                handler.send_header(name, value)
            handler.end_headers()

        return act

    silence = threading.Event()
    bodies = [b"garbage", b'{"level":"info","more":1}', b"\xff" * 90_000]
    acts: list[tuple[Any, bytes, str]] = [
        (status(500), GOOD, "unusable"),
        (status(302, Location="/elsewhere"), GOOD, "unusable"),
        (lambda _: silence.wait(PATIENCE_S) and None, GOOD, "unreachable"),
        *((None, body, "unusable") for body in bodies),
    ]
    for act, body, state in acts:
        server.act, server.body = act, body
        daemon.until(is_so(daemon, state, "critical"))
        silence.set()
        server.act, server.body = None, GOOD
        daemon.until(is_so(daemon, "said", "info"))
    port = server.port
    server.end()
    daemon.until(is_so(daemon, "unreachable", "critical"))
    again = Server(port)
    try:
        daemon.until(is_so(daemon, "said", "info"))
    finally:
        again.end()


def test_what_is_old_by_its_own_time_is_stale(start: Start, place: Path, server: Server) -> None:
    server.body = b'{"level":"info","ts":"2026-01-01T00:00:00Z"}'
    daemon = begin(start, place, server.port, policy="warning")
    daemon.until(is_so(daemon, "stale", "warning"))
    row = outside(daemon)
    assert (row["policy"], row["max_age_s"]) == ("warning", 3.5)
    assert row["age_s"] > 3.5


def test_a_level_outlives_kill_9_and_a_server_that_is_gone(
    start: Start, place: Path, server: Server
) -> None:
    server.body = b'{"level":"critical","critical_issues":["the desk is closed"]}'
    daemon = begin(start, place, server.port, policy="ignore")
    daemon.until(is_so(daemon, "said", "critical"))
    port = server.port
    server.end()
    daemon.until(is_so(daemon, "unreachable", "critical"))
    daemon.signal(signal.SIGKILL)
    daemon.end()
    daemon = begin(start, place, port, policy="ignore")
    row = outside(daemon)
    assert (row["level"], row["critical_issues"]) == ("critical", ["the desk is closed"])
    again = Server(port)
    try:
        daemon.until(is_so(daemon, "said", "info"))
    finally:
        again.end()


def test_orders_go_by_what_a_client_says(start: Start, place: Path) -> None:
    daemon = begin(start, place)
    daemon.ask(Marked(symbol="X", price="1"))
    assert code(daemon, "a1") == "ok"
    said = Signal(source="desk", level="critical", critical_issues=("the venue is unwell",))
    assert isinstance(daemon.ask(said), Taken)
    assert code(daemon, "a2") == "risk_signal_critical"
    reply = daemon.ask(ShowRisk(account="main"))
    assert isinstance(reply, RiskIs)
    assert reply.level == "critical"
    assert [row["scope"] for row in reply.scopes] == ["account:main", "exchange:sim", "all"]
    assert reply.sources[0]["critical_issues"] == ["the venue is unwell"]
    assert all(row["since"].endswith("Z") for row in reply.sources)
    assert isinstance(daemon.ask(Signal(source="desk", level="info")), Taken)
    assert code(daemon, "a3") == "ok"
    assert isinstance(daemon.ask(ShowRisk(account="nobody")), Refused)
    refused = daemon.ask(Signal(source="outside", level="info"))
    assert refused.code == "not_expected"
