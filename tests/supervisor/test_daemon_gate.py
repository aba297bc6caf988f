"""A real riskd judges orders of real processes: what is permitted counts once, whoever is killed.

A journal is read as any other program could read it, and folded again.
"""

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from riskd.actors.core.books import Books
from riskd.actors.messages import (
    ActorKilled,
    Filled,
    KillActor,
    Marked,
    OrderDecided,
    Recorded,
    Refused,
    Reported,
    Unfreeze,
)
from riskd.adapters.disk import SystemDisk
from riskd.supervisor.journal.reader import read_segment

Start = Callable[..., "RunningDaemon"]  # noqa: F821 - the fixture's class lives in conftest.py
Running = Any

CONFIG = """
[accounts.main]
balance = "1000000"
[[instruments]]
symbol = "X"
quote = "USD"
lot = "1"
[[rules]]
kind = "fresh_data"
max_mark_age_s = 3600
[lease]
length_s = 10
"""
HELD = 100
PROCESSES = 8
ORDERS = 60
"""Of each process: more than there is room for."""
PATIENCE_S = 30.0
KILLS = 3

WORKER = """
import json, random, socket, sys
path, name, orders = sys.argv[1], sys.argv[2], int(sys.argv[3])
chance = random.Random(name)
with socket.socket(socket.AF_UNIX) as connection:
    connection.settimeout(30)
    connection.connect(path)
    replies = connection.makefile("rb")
    asked = [str(chance.randint(1, 30)) for _ in range(orders)]
    for number, qty in enumerate(asked):
        order = dict(client_order_id=f"{name}-{number}", account="main", symbol="X", side="sell",
                     qty=qty, price="1", reduce_only=True)
        line = json.dumps(dict(type="check", id=number, order=order))
        connection.sendall(line.encode() + b"\\n")
        # By turns one at a time and some at once.
        if number % 7 < 3:
            continue
        while number + 1 > len(heard := globals().setdefault("heard", [])):
            heard.append(json.loads(replies.readline()))
    while len(heard) < orders:
        heard.append(json.loads(replies.readline()))
print(json.dumps([[qty, reply] for qty, reply in zip(asked, heard)]))
"""


@pytest.fixture
def riskd(start: Start, place: Path) -> Running:
    file = place / "riskd.toml"
    file.write_text(CONFIG)
    daemon = start("--config", str(file)).wait_ready()
    assert isinstance(daemon.ask(Marked(symbol="X", price="1")), Reported)
    return daemon


def decided(directory: Path) -> list[OrderDecided]:
    return [one.fact for one in history(directory) if isinstance(one.fact, OrderDecided)]


def history(directory: Path) -> Iterator[Recorded]:
    for segment in sorted((directory / "state" / "journal").glob("*.log")):
        for _, fact in read_segment(SystemDisk(), segment):
            yield msgspec.json.decode(fact, type=Recorded)


def worst(directory: Path) -> tuple[Decimal, Decimal]:
    """Of what the facts add up to."""
    books = Books(ZoneInfo)
    for recorded in history(directory):
        books.apply(recorded)
    book = books.accounts["main"].book
    path = book.worth.paths["X"]
    return book.exposures.remaining("X").worst(path.qty)


def line(number: int, **more: Any) -> bytes:
    order = {
        "client_order_id": f"o{number}",
        "account": "main",
        "symbol": "X",
        "side": "buy",
        "qty": "1",
        "price": "1",
        **more,
    }
    return json.dumps({"type": "check", "id": number, "order": order}).encode() + b"\n"


class Asking:
    """A client that sends many lines and reads what comes, for as long as something does."""

    def __init__(self, path: Path, lines: Sequence[bytes]) -> None:
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(PATIENCE_S)
        self.connection.connect(str(path))
        self.replies: list[dict[str, Any]] = []
        self.heard = threading.Semaphore(0)
        self.sender = threading.Thread(target=self._send, args=(lines,))
        self.reader = threading.Thread(target=self._read, args=(len(lines),))
        self.sender.start()
        self.reader.start()

    def _send(self, lines: Sequence[bytes]) -> None:
        try:
            for one in lines:
                self.connection.sendall(one)
        except OSError:
            return

    def _read(self, most: int) -> None:
        try:
            for said in self.connection.makefile("rb"):
                if not said.endswith(b"\n"):
                    return
                self.replies.append(json.loads(said))
                self.heard.release()
                if len(self.replies) == most:
                    return
        except OSError:
            return

    def wait(self, replies: int) -> None:
        for _ in range(replies):
            assert self.heard.acquire(timeout=PATIENCE_S)

    def end(self) -> list[dict[str, Any]]:
        self.sender.join(PATIENCE_S)
        self.reader.join(PATIENCE_S)
        self.connection.close()
        return self.replies


def allowed(replies: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [reply for reply in replies if reply["decision"] == "allow"]


def buy(riskd: Running, qty: int) -> None:
    fill = Filled(account="main", fill_id="f", symbol="X", side="buy", qty=str(qty), price="1")
    assert isinstance(riskd.ask(fill), Reported)


def test_eight_processes_never_get_more_than_there_is(riskd: Running) -> None:
    """Of a position that may be reduced, and of which each wants a part."""
    buy(riskd, HELD)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(riskd.socket), f"w{number}", str(ORDERS)],
            stdout=subprocess.PIPE,
        )
        for number in range(PROCESSES)
    ]
    heard = [json.loads(process.communicate(timeout=PATIENCE_S)[0]) for process in processes]
    answers = [(int(qty), reply) for each in heard for qty, reply in each]
    assert len(answers) == PROCESSES * ORDERS
    given = sum(int(reply["qty"]) for _, reply in answers if reply["decision"] == "allow")
    assert 0 < given <= HELD
    left = HELD - given
    for qty, reply in answers:
        assert int(reply["qty"]) == (qty if reply["decision"] == "allow" else 0)
        assert reply["decision"] == "allow" or qty > left, "it would have fitted"
    riskd.signal(signal.SIGTERM)
    riskd.end()
    facts = decided(riskd.directory)
    assert sum(int(fact.verdict.qty) for fact in facts) == given
    assert worst(riskd.directory) == (HELD, left)


def test_of_two_processes_that_each_want_most_of_the_rest_one_passes_whole(riskd: Running) -> None:
    buy(riskd, HELD)
    for attempt in count(1):
        want = {"side": "sell", "qty": "60", "reduce_only": True}
        askers = [
            Asking(riskd.socket, [line(0, **want, client_order_id=f"{attempt}-{who}")])
            for who in "ab"
        ]
        replies = [asker.end()[0] for asker in askers]
        assert sorted(reply["decision"] for reply in replies) == ["allow", "block"]
        if attempt == 3:
            return
        (won,) = allowed(replies)
        name = f"{attempt}-{'ab'[replies.index(won)]}"
        dropped = {"type": "dropped", "account": "main", "client_order_id": name}
        Asking(riskd.socket, [json.dumps(dropped).encode() + b"\n"]).end()


@pytest.mark.parametrize("after", [1, 40, 150])
def test_a_kill_in_the_middle_of_a_batch_loses_and_doubles_nothing(
    riskd: Running, start: Start, place: Path, after: int
) -> None:
    lines = [line(number) for number in range(400)]
    asking = Asking(riskd.socket, lines)
    asking.wait(after)
    riskd.signal(signal.SIGKILL)
    riskd.end()
    told = allowed(asking.end())
    assert len(told) >= after
    facts = {fact.order.client_order_id for fact in decided(riskd.directory)}
    assert {f"o{reply['id']}" for reply in told} <= facts
    assert worst(riskd.directory)[0] == len(facts), "each is reserved once"

    again = start("--config", str(place / "riskd.toml")).wait_ready()
    again.ask(Unfreeze(scope="all", reason="looked"))
    answers = Asking(again.socket, lines).end()
    assert len(allowed(answers)) == len(lines)
    before = {reply["id"]: {**reply, "ticket": None} for reply in told}
    assert {reply["id"]: reply for reply in answers if reply["id"] in before} == before
    again.signal(signal.SIGTERM)
    again.end()
    assert worst(again.directory)[0] == len(lines)


def test_an_actor_killed_in_the_middle_of_a_batch_costs_refusals_that_say_so(
    riskd: Running,
) -> None:
    lines = [line(number) for number in range(2_000)]
    asking = Asking(riskd.socket, lines)
    kills = 0
    for _ in range(KILLS):
        asking.wait(50)
        answer = riskd.ask(KillActor(name="gate"))
        assert isinstance(answer, ActorKilled | Refused)
        kills += isinstance(answer, ActorKilled)
    replies = asking.end()
    assert kills > 0
    assert len(replies) == len(lines), "nobody was cut off"
    told = allowed(replies)
    for reply in replies:
        assert reply["decision"] == "allow" or (
            (reply["code"], reply["decision_id"]) == ("gate_unavailable", None)
        )
    riskd.until(lambda: riskd.actors()["gate"]["state"] == "running")
    rest = [lines[reply["id"]] for reply in replies if reply["decision"] != "allow"]
    assert len(allowed(Asking(riskd.socket, rest).end())) == len(rest)
    riskd.signal(signal.SIGTERM)
    riskd.end()
    facts = decided(riskd.directory)
    assert len(facts) == len(told) + len(rest) == len(lines)
    assert worst(riskd.directory)[0] == len(lines)
