"""The books as riskd keeps them: a real ledger on a simulated disk, the actor, and who reports."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pytest
import trio
from riskd.actors.control import CommandUnavailable, CommandUnconfirmed
from riskd.actors.core.access import Caller, Peer, Role
from riskd.actors.core.book import shown
from riskd.actors.core.books import Books
from riskd.actors.mailbox import Registry
from riskd.actors.messages import (
    Booked,
    BookFlagged,
    Command,
    EquityAgreed,
    EquityDrifted,
    EquityReported,
    Fact,
    InstrumentListed,
    Recorded,
    Refused,
    Reply,
    Reported,
    ReportEquity,
    ReportEvents,
    SessionReset,
)
from riskd.actors.messages.book import AnyEvent
from riskd.actors.settings import Invalid
from riskd.config.loader import load, parse
from riskd.supervisor.books import Bookkeeping
from riskd.supervisor.chronicle import Chronicle
from riskd.supervisor.configuration import Configuration
from riskd.supervisor.known import Known
from riskd.supervisor.ledger import Ledger
from structlog.testing import capture_logs
from trio.testing import MockClock, wait_all_tasks_blocked

Machine = Any  # the classes of these fixtures live in conftest.py
OPERATOR = Caller(peer=Peer(process_id=7, user_id=1000, group_id=1000), role=Role.OPERATOR)
FILE = """
[session]
zone = "America/New_York"
reset = "17:00"
week_start = "sunday"
[accounts.main]
balance = "1000"
[accounts.other]
[[instruments]]
symbol = "L"
"""
NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)


def events(*said: dict[str, Any]) -> list[AnyEvent]:
    return msgspec.convert(list(said), list[AnyEvent])


def fill(one: str, **more: Any) -> dict[str, Any]:
    said = {"type": "fill", "id": one, "symbol": "L", "side": "buy", "qty": "1", "price": "10"}
    return {**said, **more}


def report(*said: dict[str, Any], account: str | None = "main") -> ReportEvents:
    return ReportEvents(account=account, events=events(*said))


@attrs.define
class Clock:
    """The wall clock goes with the loop."""

    begin: datetime = NOON
    boots: int = 1

    def monotonic_s(self) -> float:
        return trio.current_time() if trio.lowlevel.in_trio_run() else 0.0

    def now(self) -> datetime:
        return self.begin + timedelta(seconds=self.monotonic_s())

    def boot(self) -> str:
        return f"boot {self.boots}"


@attrs.define(eq=False)
class Life:
    """One process of riskd."""

    ledger: Ledger
    books: Books
    keeping: Bookkeeping
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    deaths: int = 0

    async def ask(self, command: Command) -> Reply:
        return await self.keeping.handlers()[type(command)](OPERATOR, command)

    async def booked(self, *said: dict[str, Any], account: str | None = "main") -> Reported:
        reply = await self.ask(report(*said, account=account))
        assert isinstance(reply, Reported), reply
        return reply

    def kill_actor(self) -> None:
        self.deaths += 1
        self.scope.cancel()

    async def run_actor(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Again and again, as its supervisor would."""
        status: Any = task_status
        spec = self.keeping.first()
        while True:
            with trio.CancelScope() as self.scope:
                await spec.run(None, task_status=status)
            status = trio.TASK_STATUS_IGNORED

    def document(self, account: str = "main") -> dict[str, Any]:
        return shown.book(self.books.accounts[account].book)


@attrs.define(eq=False)
class House:
    """A machine on whose disk riskd lives again and again."""

    machine: Machine
    file: Path
    clock: Clock = attrs.field(factory=Clock)
    durability: str = "process"
    published: list[int] = attrs.field(factory=list)
    """Epochs, as readers of the lease page were told them."""

    def __attrs_post_init__(self) -> None:
        self.machine.clock = self.clock
        self.file.write_text(FILE)

    @asynccontextmanager
    async def life(self) -> AsyncIterator[Life]:
        known = Known()
        with self.machine.open(known.projections(), durability=self.durability) as ledger:
            chronicle = Chronicle(ledger)
            keeping = Bookkeeping(
                books=known.books,
                chronicle=chronicle,
                configuration=Configuration(load(self.file, {}), self.file, {}),
                clock=self.clock,
                registry=Registry(chronicle.record),
                publish=lambda: self.published.append(known.halts.now.epoch),
            )
            keeping.record_start()
            life = Life(ledger, known.books, keeping)
            async with self.machine.kept(ledger), trio.open_nursery() as nursery:
                await nursery.start(life.run_actor)
                yield life
                nursery.cancel_scope.cancel()

    def facts(self) -> list[Recorded]:
        story = Witness()
        with self.machine.open([story]):
            return story.facts

    def told(self, *kinds: type[Fact]) -> list[Any]:
        return [one.fact for one in self.facts() if isinstance(one.fact, kinds)]


class Witness:
    """A projection that knows every fact."""

    name = "witness"
    version = 1

    def __init__(self) -> None:
        self.facts: list[Recorded] = []

    def apply(self, recorded: Recorded) -> None:
        self.facts.append(recorded)

    def dump(self) -> list[bytes]:
        return [b"null"]

    def load(self, _state: bytes | None) -> None:
        self.facts = []


@pytest.fixture
def house(machine: Machine, tmp_path: Path) -> House:
    return House(machine, tmp_path / "riskd.toml")


# --- reports --------------------------------------------------------------------------------------


async def test_what_was_answered_is_in_the_book_and_outlasts_a_kill(
    autojump_clock: MockClock, house: House
) -> None:
    async with house.life() as life:
        answer = await life.booked(fill("1"), fill("2", side="sell", qty="3"))
        assert (answer.booked, answer.lsn) == (2, life.ledger.journal.lsn - 1), "then a flag"
        price = await life.booked({"type": "mark", "symbol": "L", "price": "4"}, account=None)
        assert price.lsn == life.ledger.lsn
        document = life.document()
    house.machine.disk.crash()
    async with house.life() as life:
        assert life.document() == document
        assert document["positions"]["L"]["qty"] == "-2"
    assert house.told(BookFlagged) == [BookFlagged(account="main", flags=("no_mark:L",))]


async def test_hundreds_of_events_are_one_commit_and_no_line_of_the_log(
    autojump_clock: MockClock, house: House
) -> None:
    async with house.life() as life:
        before = life.ledger.lsn
        with capture_logs() as logs:
            answer = await life.booked(
                {"type": "mark", "symbol": "L", "price": "10"},
                *(fill(str(n)) for n in range(899)),
            )
        assert answer.lsn == before + 900
        assert logs == []
        assert life.document()["positions"]["L"]["qty"] == "899"


async def test_what_fits_in_no_segment_is_refused_whole(
    autojump_clock: MockClock, house: House
) -> None:
    async with house.life() as life:
        refused = await life.ask(report(*(fill(str(n)) for n in range(1_000))))
        assert isinstance(refused, Refused)
        assert refused.code == "not_recorded"
        assert life.document()["positions"] == {}
        await life.booked(fill("1"))


async def test_a_refused_report_changes_nothing(autojump_clock: MockClock, house: House) -> None:
    async with house.life() as life:
        before = life.ledger.lsn, life.document()
        refused = await life.ask(report(fill("1"), fill("2", qty="0")))
        assert isinstance(refused, Refused)
        assert (refused.code, refused.message[:13]) == ("invalid_event", "events[1].qty")
        assert (life.ledger.lsn, life.document()) == before


async def test_with_power_nothing_is_answered_before_the_disk_has_it(
    autojump_clock: MockClock, house: House
) -> None:
    house.durability = "power"
    house.machine.disk.sync_s = (0.005, 0.005)
    async with house.life() as life:
        await life.booked(fill("1"))
        safe: list[bool] = []

        async def one(number: int) -> None:
            answer = await life.booked(fill(f"many {number}"))
            safe.append(life.ledger.journal.safe_lsn >= answer.lsn)

        syncs = life.ledger.tally.syncs
        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(one, number)
        assert safe == [True] * 50
        assert life.ledger.tally.syncs - syncs < 10, "one trip to the disk serves many"
    house.machine.cut_power()
    async with house.life() as life:
        assert life.document()["positions"]["L"]["qty"] == "51"


async def test_in_doubt_nothing_is_booked(autojump_clock: MockClock, house: House) -> None:
    async with house.life() as life:
        life.ledger.suspect("book", "boo")
        before = life.ledger.lsn
        for command in (report(fill("1")), ReportEquity(account="main", equity="5")):
            refused = await life.ask(command)
            assert isinstance(refused, Refused)
            assert refused.code == "in_doubt"
        assert life.keeping.shown() == []
        assert life.ledger.lsn == before


async def test_while_the_journal_has_failed_nothing_is_booked(
    autojump_clock: MockClock, house: House
) -> None:
    async with house.life() as life:
        before = life.document()
        house.machine.disk.capacity_bytes = 0
        room = life.ledger.journal.segment_bytes
        while life.ledger.failure is None:
            answer = await life.ask(report(*(fill(str(n), qty="0.5") for n in range(500))))
            if isinstance(answer, Refused):
                assert answer.code == "not_recorded"
                break
            before = life.document()
            assert life.ledger.journal._offset < room
        assert life.document() == before
        refused = await life.ask(report(fill("one more")))
        assert isinstance(refused, Refused)
        assert refused.code == "in_doubt"
        assert life.document() == before


async def test_a_full_mailbox_refuses_and_what_was_refused_is_not_booked(
    autojump_clock: MockClock, house: House
) -> None:
    async with house.life() as life:
        outcomes: list[str] = []

        async def one(number: int) -> None:
            try:
                await life.booked(fill(str(number)))
            except CommandUnavailable as away:
                outcomes.append(type(away).__name__)
            else:
                outcomes.append("booked")

        async with trio.open_nursery() as nursery:
            for number in range(1_100):
                nursery.start_soon(one, number)
        booked = outcomes.count("booked")
        assert set(outcomes) == {"booked", "CommandUnavailable"}
        assert 1_000 < booked < 1_100
        assert life.document()["positions"]["L"]["qty"] == str(booked)


@pytest.mark.parametrize("seed", range(5))
async def test_however_the_actor_is_killed_what_is_answered_is_booked_once_and_nothing_else(
    autojump_clock: MockClock, house: House, seed: int
) -> None:
    """Also what has no id, and would count again if it were delivered again."""
    chance = Random(seed)  # noqa: S311 - it must be the same again, and guards nothing
    paid: list[Decimal] = []
    unconfirmed: list[bool] = []

    async def client(life: Life, number: int) -> None:
        for n in range(40):
            amount = Decimal(1 + number * 100 + n)
            said = {"type": "funding", "symbol": "L", "amount": str(amount)}
            try:
                await life.booked(said)
            except CommandUnavailable as away:
                unconfirmed.append(isinstance(away, CommandUnconfirmed))
            else:
                paid.append(amount)
            for _ in range(chance.randrange(4)):
                await trio.lowlevel.checkpoint()

    async def killer(life: Life) -> None:
        while True:
            for _ in range(chance.randrange(1, 12)):
                await trio.lowlevel.checkpoint()
            life.kill_actor()

    async with house.life() as life:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(killer, life)
            async with trio.open_nursery() as clients:
                for number in range(8):
                    clients.start_soon(client, life, number)
            nursery.cancel_scope.cancel()
        assert life.deaths > 20
        assert 0 < len(paid) < 8 * 40, "some were killed on the way"
        assert not any(unconfirmed), "each was begun and done, or not begun"
        assert life.document()["positions"]["L"]["funding"] == str(sum(paid))
    booked = [fact.event.amount for fact in house.told(Booked) if hasattr(fact.event, "amount")]
    assert sorted(booked) == sorted(paid)


# --- the time -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "hours", "ends"),
    [
        (datetime(2024, 3, 8, 21, 59, 30, tzinfo=UTC), 22, [(8, 22), (9, 22), (10, 21), (11, 21)]),
        (datetime(2024, 11, 1, 20, 59, 30, tzinfo=UTC), 21, [(1, 21), (2, 21), (3, 22), (4, 22)]),
    ],
    ids=["spring", "autumn"],
)
async def test_days_end_by_the_wall_clock_also_where_the_clocks_are_changed(
    autojump_clock: MockClock,
    house: House,
    first: datetime,
    hours: int,
    ends: list[tuple[int, int]],
) -> None:
    """riskd lives for a minute around each end, and once it is away for one of them."""
    del hours
    wanted = [datetime(first.year, first.month, day, hour, tzinfo=UTC) for day, hour in ends]
    for number, end in enumerate(wanted):
        if number == 2:
            continue  # nobody was there
        house.clock.begin = end - timedelta(seconds=30 + trio.current_time())
        async with house.life() as life:
            await life.booked(fill(str(number)), {"type": "mark", "symbol": "L", "price": "10"})
            await trio.sleep(29)
            before = len(life.books.accounts)
            assert life.books.accounts["main"].about.since < end
            await trio.sleep(1.5)
            assert life.books.accounts["main"].about.since == end
            assert before == 2
        house.machine.disk.crash()
    told = [one for one in house.facts() if isinstance(one.fact, SessionReset)]
    mine = [one for one in told if getattr(one.fact, "account", "") == "main"]
    assert [one.fact.at for one in mine] == wanted  # type: ignore[union-attr]  # it is one
    assert [one.fact.is_week for one in mine] == [  # type: ignore[union-attr]  # it is one
        end.astimezone(ZoneInfo("America/New_York")).weekday() == 6 for end in wanted
    ]
    late = [one.at - one.fact.at for one in mine]  # type: ignore[union-attr]  # it is one
    assert [each < timedelta(seconds=1) for each in late] == [True, True, False, True]
    assert len(told) == 2 * len(mine), "the other account has the same days"


async def test_a_clock_that_is_set_forward_over_a_reset_ends_the_day(
    autojump_clock: MockClock, house: House
) -> None:
    async with house.life() as life:
        await trio.sleep(5)
        house.clock.begin += timedelta(hours=9, minutes=30)
        await trio.sleep(1.5)
        end = datetime(2024, 5, 17, 21, tzinfo=UTC)
        assert life.books.accounts["main"].about.since == end
        house.clock.begin -= timedelta(hours=9)  # and back: it has ended, once
        await trio.sleep(100)
    assert [fact.at for fact in house.told(SessionReset)] == [end, end], "one an account"


# --- the broker's word ----------------------------------------------------------------------------


async def test_a_difference_is_a_warning_once_and_is_remembered(
    autojump_clock: MockClock, house: House
) -> None:
    async with house.life() as life:
        with capture_logs() as logs:
            for theirs in ("1000", "1200", "1300"):
                await life.ask(ReportEquity(account="main", equity=theirs))
        assert [(each["event"], each["log_level"]) for each in logs] == [
            ("equity.drifted", "warning")
        ]
        (main, other) = life.keeping.shown()
        assert (main["drifting"], main["broker_equity"], other["drifting"]) == (True, "1300", False)
    house.machine.disk.crash()
    async with house.life() as life:
        await life.ask(ReportEquity(account="main", equity="1300"))
        await life.ask(ReportEquity(account="main", equity="1000"))
        await life.ask(ReportEquity(account="main", equity="1000"))
    told = house.told(EquityReported, EquityDrifted, EquityAgreed)
    assert [type(fact).__name__.removeprefix("Equity") for fact in told] == [
        "Reported", "Reported", "Drifted", "Reported", "Reported", "Reported", "Agreed", "Reported",
    ]  # fmt: skip


# --- the configuration ----------------------------------------------------------------------------


def reloaded(life: Life, house: House, text: str) -> None:
    """What the settings actor does, without the disk."""
    configuration = life.keeping.configuration
    loaded = parse(text, str(house.file), {})
    problems = configuration.check(loaded.config)
    if problems:
        raise Invalid(problems)
    configuration.current = loaded.config


async def test_a_reload_is_in_the_books_when_it_is_answered(
    autojump_clock: MockClock, house: House
) -> None:
    async with house.life() as life:
        reloaded(life, house, FILE + "[accounts.third]\n")
        await life.keeping.follow()
        assert life.books.accounts["third"].about.is_open
        await life.booked(fill("1"), account="third")
        with pytest.raises(Invalid) as no:
            reloaded(life, house, FILE.replace('balance = "1000"', 'currency = "EUR"'))
        (line,) = no.value.problems
        assert line.startswith(f"{house.file}: accounts.main.currency: was 'USD' when")
        assert life.keeping.configuration.current.accounts["main"].currency == "USD"


@pytest.mark.parametrize("gone", ["[accounts.second]", "[[instruments]]"])
async def test_what_a_reload_drops_makes_tickets_old_when_it_is_answered(
    autojump_clock: MockClock, house: House, gone: str
) -> None:
    added = {"[accounts.second]": "\n", "[[instruments]]": '\nsymbol = "SECOND"\n'}[gone]
    house.file.write_text(FILE + gone + added)
    async with house.life() as life:
        before = house.published[-1]
        reloaded(life, house, FILE + gone + added + "# the same\n")
        await life.keeping.follow()
        assert house.published[-1] == before
        reloaded(life, house, FILE)
        await life.keeping.follow()
        assert house.published[-1] > before


async def test_thousands_of_instruments_are_listed_in_parts_and_once(
    autojump_clock: MockClock, house: House
) -> None:
    many = "".join(f'[[instruments]]\nsymbol = "S{n}"\n' for n in range(3_000))
    async with house.life() as life:
        reloaded(life, house, FILE + many)
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                await trio.lowlevel.checkpoint()
                turns += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(others)
            await life.keeping.follow()
            nursery.cancel_scope.cancel()
        assert turns > 5
        listed = len(life.books.listings)
        lsn = life.ledger.lsn
        life.kill_actor()
        await wait_all_tasks_blocked()
        await life.keeping.follow()
        assert life.ledger.lsn == lsn
    assert listed == 3_001
    assert len(house.told(InstrumentListed)) == 3_001


@pytest.mark.parametrize("seed", range(3))
async def test_a_reload_is_followed_however_the_actor_is_killed(
    autojump_clock: MockClock, house: House, seed: int
) -> None:
    chance = Random(seed)  # noqa: S311 - it must be the same again, and guards nothing
    many = "".join(f'[[instruments]]\nsymbol = "S{n}"\n' for n in range(2_000))
    async with house.life() as life:
        reloaded(life, house, FILE + many)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(life.keeping.follow)
            for _ in range(6):
                for _ in range(chance.randrange(1, 8)):
                    await trio.lowlevel.checkpoint()
                life.kill_actor()
        await trio.sleep(2)
        assert len(life.books.listings) == 2_001
    assert len(house.told(InstrumentListed)) == 2_001


async def test_while_in_doubt_a_reload_is_refused_and_the_books_follow_later(
    autojump_clock: MockClock, house: House
) -> None:
    async with house.life() as life:
        life.ledger.suspect("book", "boo")
        with pytest.raises(Invalid, match="in doubt"):
            reloaded(life, house, FILE + "[accounts.third]\n")
        life.keeping.configuration.current = parse(FILE + "[accounts.third]\n", "f", {}).config
        await life.keeping.follow()
        assert "third" not in life.books.accounts
        await trio.sleep(10)  # the ledger's keeper makes it again
        assert life.ledger.suspected == {}
        assert life.books.accounts["third"].about.is_open
