"""A real riskd with workers, and clients that speak to its socket as any program would."""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from riskd.actors.core.access import TOKEN_BYTES, Tokens

PATIENCE_S = 30.0
WORKERS = {f"w{number}": "other" if number == 8 else "main" for number in range(9)}
"""The account of each. Nothing starts workers yet: riskd is told that it has."""
PROGRAM = f"""
from riskd.actors.core.access import TOKEN_BYTES, Tokens
from riskd.actors.core.gate.asked import Identity
from riskd.supervisor import compose
from riskd.supervisor.cli import main

WORKERS = {WORKERS!r}


def tokens():
    made = Tokens()
    for number, name in enumerate(WORKERS):
        made.issue(name, bytes([number] * TOKEN_BYTES))
    return made


def build(self, whole=compose.Riskd._build_gate):
    self._workers = {{one: Identity(one, account, None) for one, account in WORKERS.items()}}
    whole(self)


compose.Tokens = tokens
compose.Riskd._build_gate = build
main()
"""


def token_of(worker: str) -> str:
    """The one that riskd has issued."""
    return Tokens().issue(worker, bytes([list(WORKERS).index(worker)] * TOKEN_BYTES))


class Client:
    """One connection. A worker proves itself first."""

    def __init__(self, path: Path, worker: str | None = None) -> None:
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(PATIENCE_S)
        self.connection.connect(str(path))
        self.replies = self.connection.makefile("rb")
        if worker is not None:
            assert self.ask({"type": "hello", "token": token_of(worker)})["worker"] == worker

    def ask(self, said: dict[str, Any] | bytes) -> Any:
        self.connection.sendall(
            (said if isinstance(said, bytes) else json.dumps(said).encode()) + b"\n"
        )
        return json.loads(self.replies.readline())

    def check(self, **order: Any) -> Any:
        said = {"account": "main", "symbol": "X", "side": "buy", "qty": "1", "price": "1", **order}
        return self.ask({"type": "check", "order": said})

    def tell(self, what: str, order: str, **more: Any) -> Any:
        return self.ask({"type": what, "account": "main", "client_order_id": order, **more})

    def close(self) -> None:
        self.replies.close()
        self.connection.close()


@pytest.fixture
def client() -> Iterator[Callable[..., Client]]:
    """Make one: `client(path, "w1")`."""
    made: list[Client] = []

    def client(path: Path, worker: str | None = None) -> Client:
        made.append(Client(path, worker))
        return made[-1]

    yield client
    for each in made:
        each.close()


@pytest.fixture
def begin(start: Callable[..., Any], place: Path) -> Callable[..., Any]:
    """Start riskd with workers and this configuration. There is a price of X."""

    def begin(toml: str) -> Any:
        file = place / "riskd.toml"
        file.write_text(toml)
        daemon = start("--config", str(file), program=PROGRAM).wait_ready()
        operator = Client(daemon.socket)
        assert operator.ask({"type": "mark", "symbol": "X", "price": "1"})["type"] == "reported"
        operator.close()
        return daemon

    return begin


@pytest.fixture(scope="session")
def token() -> Callable[[str], str]:
    """Of a worker."""
    return token_of
