"""A real riskd keeps the book of an account: through reloads, and however often it is killed.

RISKD_KILLS=1000 asks for that many kills at random in place of the few that the suite has time for.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from riskd.actors.core.book import door, shown
from riskd.actors.core.book.account import AccountBook
from riskd.actors.core.books import Books
from riskd.actors.messages import (
    KillActor,
    Recorded,
    Refused,
    Reload,
    Reloaded,
    Reported,
    ReportEquity,
    ReportEvents,
)
from riskd.actors.messages.book import AnyEvent
from riskd.adapters.client import NotReachable
from riskd.adapters.disk import SystemDisk
from riskd.supervisor.journal.reader import read_segment

Start = Callable[..., "RunningDaemon"]  # noqa: F821 - the fixture's class lives in conftest.py
Said = dict[str, Any]

KILLS = int(os.environ.get("RISKD_KILLS", "8"))
REPORTS_MAX = 40
"""Between two kills."""
FILE = """
[supervision]
intensity = 1000
[accounts.main]
balance = "100000"
exchange = "sim"
[[instruments]]
symbol = "L"
multiplier = "0.1"
[[instruments]]
symbol = "S"
kind = "spot"
base = "ETH"
"""
LONG_AGO_S = 1_715_947_200


def written(place: Path, text: str = FILE) -> str:
    file = place / "riskd.toml"
    file.write_text(text)
    return str(file)


def report(*said: Said) -> ReportEvents:
    return ReportEvents(account="main", events=msgspec.convert(list(said), list[AnyEvent]))


class Market:
    """What happens, as it arrives: twice, late, taken back or corrected."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._number = 0
        self._told: list[Said] = []

    def some(self) -> list[Said]:
        return [self._one() for _ in range(self._chance.randrange(1, 6))]

    def _one(self) -> Said:
        chance = self._chance
        self._number += 1
        late_s = chance.choice((0, 0, 0, chance.randrange(200)))
        at = {"ts": (LONG_AGO_S + self._number - late_s) * 10**9 + self._number}
        symbol, side = chance.choice("LS"), chance.choice(("buy", "sell"))
        price, qty = (
            str(Decimal(chance.randrange(90, 110)) / 7),
            str(Decimal(chance.randrange(1, 50)) / 8),
        )
        price = str(Decimal(price).quantize(Decimal("0.00001")))
        one = {"id": f"n{self._number}", "symbol": symbol}
        trade = {"symbol": symbol, "side": side, "qty": qty}
        known = {"id": f"n{chance.randrange(self._number)}", "symbol": symbol}
        order = chance.choice(({}, {}, {"order": f"o{self._number % 9}"}))
        kinds: Sequence[Said] = (
            {"type": "fill", **one, **trade, "price": price, "fee": "0.01", **order},
            {"type": "fill", **one, **trade, "price": price, **order},
            {"type": "mark", "symbol": symbol, "price": price},
            {"type": "funding", **one, "amount": price},
            {"type": "transfer", "id": one["id"], "ccy": "USD", "amount": qty},
            {"type": "order", "id": f"o{self._number % 9}", **trade},
            {"type": "cancel", "id": f"o{chance.randrange(9)}"},
            {"type": "bust", **known},
            {"type": "correct", **known, "qty": qty},
        )  # fmt: skip
        if self._told and chance.random() < 0.2:
            return chance.choice(self._told)
        said = {**chance.choice(kinds), **at}
        self._told.append(said)
        return said


def expected(reports: list[ReportEvents]) -> dict[str, Any]:
    """What a file of them comes to, each once."""
    book = AccountBook(ZoneInfo)
    begin: list[Said] = [
        {"type": "instrument", "symbol": "L", "multiplier": "0.1", "quote": "USD", "settle": "USD"},
        {"type": "instrument", "symbol": "S", "kind": "spot", "quote": "USD", "settle": "USD",
         "base": "ETH"},
        {"type": "account", "ccy": "USD", "balance": "100000"},
    ]  # fmt: skip
    for event in msgspec.convert(begin, list[AnyEvent]):
        book.apply(event)
    for one in reports:
        for event in one.events:
            door.check(book, event)
            book.apply(event)
    return shown.book(book)


def kept(place: Path) -> dict[str, Any]:
    """What riskd knows: its journal, folded as a start does it. Sessions go by the day it is."""
    books, decode = Books(ZoneInfo), msgspec.json.Decoder(Recorded).decode
    segment = place / "state" / "journal" / f"{1:020}.log"
    for _, fact in read_segment(SystemDisk(), segment):
        books.apply(decode(fact))
    document = shown.book(books.accounts["main"].book)
    account = document["account"]
    assert isinstance(account, dict)
    document["account"] = {
        key: value for key, value in account.items() if not key.startswith(("session", "week"))
    }
    return document


class Client:
    """Asks again until it is answered, as a real one does; and kills whom it asks."""

    def __init__(self, start: Start, file: str) -> None:
        self._start = lambda: start("--config", file).wait_ready()
        self.daemon = self._start()
        self.unanswered = 0
        self._is_killed = False
        self._changing = threading.Lock()
        """One that is gone is not killed again, and not taken for the one after it."""

    def tell(self, command: ReportEvents) -> None:
        while True:
            try:
                if isinstance(self.daemon.ask(command), Reported):
                    return
            except NotReachable:
                if self._is_killed:
                    self._again()
            self.unanswered += 1

    def kill(self, how: str) -> None:
        if how == "riskd":
            with self._changing:
                self.daemon.signal(signal.SIGKILL)
                self._is_killed = True
        else:
            with contextlib.suppress(NotReachable):
                self.daemon.ask(KillActor(name=how))

    def _again(self) -> None:
        with self._changing:
            assert self.daemon.end() == -signal.SIGKILL
            self._is_killed = False
            self.daemon = self._start()


@pytest.mark.parametrize("seed", [1, 2])
def test_the_book_is_that_of_the_file_however_riskd_and_its_actor_are_killed(
    start: Start, place: Path, seed: int
) -> None:
    chance = Random(seed)  # noqa: S311 - it must be the same again, and guards nothing
    market, sent = Market(chance), list[ReportEvents]()
    client = Client(start, written(place))
    for _ in range(KILLS):
        how, delay_s = chance.choice(("riskd", "position_keeper")), chance.uniform(0.0, 0.05)
        timer = threading.Timer(delay_s, client.kill, [how])
        timer.start()
        for _ in range(chance.randrange(1, REPORTS_MAX)):
            sent.append(report(*market.some()))
            client.tell(sent[-1])
        timer.join()
    sent.append(report(*market.some()))
    client.tell(sent[-1])
    assert client.unanswered > 0
    before = client.daemon.status()["accounts"]
    client.kill("riskd")
    client.daemon.end()
    assert kept(place) == expected(sent)
    (row,) = before
    assert row["equity"] == expected(sent)["account"]["equity"]
    assert start("--config", written(place)).wait_ready().status()["accounts"] == before


def test_what_is_known_of_an_account_can_not_be_contradicted(start: Start, place: Path) -> None:
    daemon = start("--config", written(place)).wait_ready()
    other = FILE.replace('balance = "100000"', 'currency = "EUR"')
    file = written(place, other.replace('multiplier = "0.1"', 'multiplier = "10"'))
    reply = daemon.ask(Reload())
    assert isinstance(reply, Refused)
    assert reply.code == "invalid_config"
    assert [line.split(": ")[:2] for line in reply.problems] == [
        [file, "accounts.main.currency"], [file, "instruments[0].multiplier"],
    ]  # fmt: skip
    (row,) = daemon.status()["accounts"]
    assert (row["currency"], row["equity"]) == ("USD", "100000")
    daemon.signal(signal.SIGTERM)
    assert daemon.end() == 0
    again = start("--config", file)
    assert again.end() == 78
    lines = again.logged().splitlines()[-2:]
    assert [line.partition("riskd.toml: ")[2].split(": ")[0] for line in lines] == [
        "accounts.main.currency", "instruments[0].multiplier",
    ]  # fmt: skip


def test_a_reload_opens_an_account_that_can_be_reported_of_at_once(
    start: Start, place: Path
) -> None:
    daemon = start("--config", written(place)).wait_ready()
    no = daemon.ask(ReportEquity(account="more", equity="5"))
    assert isinstance(no, Refused)
    assert (no.code, "there are: main" in no.message) == ("unknown_account", True)
    written(place, FILE + '[accounts.more]\nbalance = "5"\n')
    assert isinstance(daemon.ask(Reload()), Reloaded)
    assert isinstance(daemon.ask(ReportEquity(account="more", equity="5")), Reported)
    rows = {row["name"]: row for row in daemon.status()["accounts"]}
    assert rows["more"]["broker_equity"] == rows["more"]["equity"] == "5"
    assert not rows["more"]["drifting"]
