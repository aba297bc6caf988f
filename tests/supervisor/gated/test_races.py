"""Many processes at one riskd, of which none knows what the others do, and a gate that is killed
under them: what is reserved is what was permitted, by the journal as anybody may read it."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from riskd.actors.core.books import Books
from riskd.actors.messages import ActorKilled, KillActor, OrderDecided, Recorded
from riskd.adapters.disk import SystemDisk
from riskd.supervisor.journal.reader import read_segment

Begin = Callable[..., Any]  # the classes of these fixtures live in conftest.py
NewClient = Callable[..., Any]

LIMITED = """
[accounts.main]
balance = "1000000"
[[instruments]]
symbol = "X"
quote = "USD"
lot = "1"
[[rules]]
kind = "fresh_data"
max_mark_age_s = 3600
[[rules]]
kind = "max_position"
scope = "account:main"
max_qty = "40"
on_excess = "scale_down"
[[rules]]
kind = "max_contracts"
scope = "worker:w1"
max_contracts = "10"
[[rules]]
kind = "max_working_orders"
scope = "account:main"
max_orders = 20
[lease]
length_s = 10
[gate]
ticket_s = 600
"""
FREE = """
[accounts.main]
balance = "1000000"
[[instruments]]
symbol = "X"
quote = "USD"
[[rules]]
kind = "fresh_data"
max_mark_age_s = 3600
[lease]
length_s = 10
"""
PROCESSES = 8
ORDERS = 60
CLIENTS = 4
LINES = 600
KILLED_AT = (20, 150, 300, 450)
"""Replies that one of them has."""
PATIENCE_S = 30.0

TRADER = """
import json, random, socket, sys
path, token, name, orders = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
chance = random.Random(name)
with socket.socket(socket.AF_UNIX) as connection:
    connection.settimeout(30)
    connection.connect(path)
    replies = connection.makefile("rb")

    def ask(kind, **more):
        connection.sendall(json.dumps(dict(type=kind, **more)).encode() + b"\\n")
        return json.loads(replies.readline())

    def tell(kind, order, **more):
        reply = ask(kind, account="main", client_order_id=order, **more)
        assert reply["type"] == "reported", reply

    assert ask("hello", token=token)["worker"] == name
    for number in range(orders):
        one = f"{name}-{number}"
        side = chance.choice(["buy", "sell"])
        order = dict(client_order_id=one, account="main", symbol="X", side=side,
                     qty=str(chance.randint(1, 9)), price="1")
        answer = ask("check", order=order)
        kept = dict(order=one, side=side, decision=answer["decision"], qty=int(answer["qty"]),
                    filled=0, is_over=answer["decision"] == "block")
        if not kept["is_over"]:
            fate = chance.choice(["dropped", "canceled", "filled", "part", "rests"])
            if fate == "dropped":
                tell("dropped", one)
            else:
                tell("sent", one, decision_id=answer["decision_id"])
                tell("ack", one)
            if fate in ("filled", "part"):
                kept["filled"] = kept["qty"] if fate == "filled" else (kept["qty"] + 1) // 2
                tell("fill", one, fill_id=one, symbol="X", side=side, qty=str(kept["filled"]),
                     price="1")
            if fate == "canceled":
                tell("cancel", one)
            if fate in ("canceled", "part"):
                tell("canceled", one)
            kept["is_over"] = fate != "rests"
        print(json.dumps(kept))
"""


def history(directory: Path) -> Iterator[Recorded]:
    for segment in sorted((directory / "state" / "journal").glob("*.log")):
        for _, fact in read_segment(SystemDisk(), segment):
            yield msgspec.json.decode(fact, type=Recorded)


def stop(riskd: Any) -> None:
    riskd.process.terminate()
    riskd.end()


def worst(books: Books, worker: str | None = None) -> tuple[int, int]:
    held = books.accounts["main"]
    book = held.book if worker is None else held.own(f"worker:{worker}")
    if book is None:
        return 0, 0
    found = book.exposures.contracts_of("X")
    return int(found.long), int(found.short)


def test_eight_processes_never_exceed_a_limit_and_the_journal_has_what_they_have(
    begin: Begin, token: Callable[[str], str]
) -> None:
    riskd = begin(LIMITED)
    traders = [
        subprocess.Popen(
            [sys.executable, "-c", TRADER, str(riskd.socket), token(name), name, str(ORDERS)],
            stdout=subprocess.PIPE,
        )
        for name in (f"w{number}" for number in range(PROCESSES))
    ]
    kept = []
    for trader in traders:
        said = trader.communicate(timeout=PATIENCE_S)[0]
        assert trader.returncode == 0
        kept += [json.loads(line) for line in said.splitlines()]
    stop(riskd)
    assert len(kept) == PROCESSES * ORDERS
    assert {one["decision"] for one in kept} == {"allow", "scale_down", "block"}
    books = Books(ZoneInfo)
    for recorded in history(riskd.directory):
        books.apply(recorded)
        if "main" in books.accounts:
            long, short = worst(books)
            assert -40 <= short <= long <= 40, recorded.lsn
            long, short = worst(books, "w1")
            assert max(long, -short) <= 10, recorded.lsn
            assert books.accounts["main"].book.exposures.sums.orders <= 20
    book = books.accounts["main"].book
    position = sum(one["filled"] * (1 if one["side"] == "buy" else -1) for one in kept)
    assert book.worth.paths["X"].last.qty == position
    left = {one["order"]: one["qty"] - one["filled"] for one in kept if not one["is_over"]}
    held = books.accounts["main"]
    assert {one["order"]: held.remaining(one["order"]) or 0 for one in kept if one["qty"]} == {
        one["order"]: left.get(one["order"], 0) for one in kept if one["qty"]
    }


class Pipelining:
    """A client that writes all its lines at once. With `hears` it hangs up after so many."""

    def __init__(self, path: Path, name: str, hears: int | None = None) -> None:
        self.lines: dict[str, bytes] = {}
        for number in range(LINES):
            self.lines[f"{name}-{number}"] = self._line(f"{name}-{number}")
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(PATIENCE_S)
        self.connection.connect(str(path))
        self.heard: dict[str, dict[str, Any]] = {}
        self.hears = LINES if hears is None else hears
        self.parts = [threading.Thread(target=each) for each in (self._write, self._read)]
        for part in self.parts:
            part.start()

    def _line(self, name: str) -> bytes:
        order = {"client_order_id": name, "account": "main", "symbol": "X", "side": "buy",
                 "qty": 1 + len(self.lines) % 9, "price": "1"}  # fmt: skip
        return json.dumps({"type": "check", "id": name, "order": order}).encode() + b"\n"

    def _write(self) -> None:
        try:
            for line in self.lines.values():
                self.connection.sendall(line)
        except OSError:
            assert self.hears < LINES, "riskd hung up"

    def _read(self) -> None:
        replies = self.connection.makefile("rb")
        for _ in range(self.hears):
            reply = json.loads(replies.readline())
            self.heard[reply["id"]] = reply
        replies.close()
        if self.hears < LINES:
            self.connection.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        for part in self.parts:
            part.join(PATIENCE_S)
            assert not part.is_alive()
        self.connection.close()


def test_a_gate_killed_under_several_clients_loses_no_reservation_and_doubles_none(
    begin: Begin, client: NewClient
) -> None:
    riskd = begin(FREE)
    clients = [
        Pipelining(riskd.socket, f"c{number}", hears=100 if number == 0 else None)
        for number in range(CLIENTS)
    ]
    kills = 0
    for replies in KILLED_AT:
        riskd.until(lambda: len(clients[1].heard) >= replies)  # noqa: B023 - it is called at once
        kills += isinstance(riskd.ask(KillActor(name="gate")), ActorKilled)
    assert kills > 0
    for each in clients:
        each.end()
    heard = {name: reply for each in clients for name, reply in each.heard.items()}
    refused = [reply for reply in heard.values() if reply["decision"] == "block"]
    assert {(one["code"], one["decision_id"]) for one in refused} <= {("gate_unavailable", None)}
    riskd.until(lambda: riskd.actors()["gate"]["state"] == "running")

    permitted = {name: one for name, one in heard.items() if one["decision"] == "allow"}
    decided = {
        one.fact.order.client_order_id: one
        for one in history(riskd.directory)
        if isinstance(one.fact, OrderDecided)
    }
    assert set(permitted) <= set(decided), "nobody is told what is not written"
    lost = set(decided) - set(permitted)
    assert all(name.startswith("c0-") for name in lost), "only who hung up misses a reply"
    again = client(riskd.socket)
    lines = {name: line for each in clients for name, line in each.lines.items()}
    for name in lost:
        reply = again.ask(lines[name].rstrip(b"\n"))
        assert (reply["decision"], reply["decision_id"]) == ("allow", str(decided[name].lsn))
        permitted[name] = reply
    stop(riskd)

    books = Books(ZoneInfo)
    facts = list(history(riskd.directory))
    for recorded in facts:
        books.apply(recorded)
    assert sum(isinstance(one.fact, OrderDecided) for one in facts) == len(permitted)
    total = sum(int(one["qty"]) for one in permitted.values())
    assert worst(books) == (total, 0)
    assert books.accounts["main"].book.exposures.sums.orders == len(permitted)
