"""The position keeper's decisions: what becomes a fact of the books, and what is refused."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core import position_keeper as core
from riskd.actors.core.book import shown
from riskd.actors.core.book.effort import steps
from riskd.actors.core.books import Books
from riskd.actors.core.position_keeper import NotBooked
from riskd.actors.messages import (
    AccountClosed,
    AccountOpened,
    Booked,
    EquityAgreed,
    EquityDrifted,
    EquityReported,
    Fact,
    InstrumentDelisted,
    InstrumentListed,
    Recorded,
    SessionClockSet,
    SessionReset,
)
from riskd.actors.messages.book import AnyEvent, Fill, Fx, Mark, Tick
from riskd.config.loader import parse
from riskd.config.schema import Book, Config

NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)

FILE = """
[session]
zone = "America/New_York"
reset = "17:00"
week_start = "sunday"
[accounts.main]
balance = "1000"
exchange = "sim"
[accounts.other]
[[instruments]]
symbol = "L"
multiplier = "2"
[[instruments]]
symbol = "I"
kind = "inverse"
base = "BTC"
"""


def config(text: str = FILE) -> Config:
    return parse(text, "riskd.toml", {}).config


def event(said: dict[str, Any]) -> AnyEvent:
    return msgspec.convert(said, AnyEvent)  # type: ignore[arg-type, no-any-return]  # a union


def fill(one: str = "f1", **more: Any) -> AnyEvent:
    said = {"type": "fill", "id": one, "symbol": "L", "side": "buy", "qty": "1", "price": "10"}
    return event({**said, **more})


@attrs.define(eq=False)
class Story:
    """Books, and the facts that made them."""

    books: Books = attrs.field(factory=lambda: Books(ZoneInfo))
    facts: list[Fact] = attrs.field(factory=list)
    now: datetime = NOON

    def take(self, facts: Iterable[Fact]) -> list[Fact]:
        made = list(facts)
        for fact in made:
            self.facts.append(fact)
            lsn = len(self.facts)
            self.books.apply(Recorded(lsn=lsn, at=self.now, monotonic_s=0.0, fact=fact))  # type: ignore[arg-type]  # every Fact is of AnyFact
        return made

    def follow(self, text: str = FILE) -> list[Fact]:
        return self.take(core.meant(self.books, config(text), self.now))

    def report(self, *events: AnyEvent, account: str | None = "main") -> list[Fact]:
        return self.take(core.booked(self.books, account, events, self.now))

    def refused(self, *events: AnyEvent, account: str | None = "main") -> tuple[str, str]:
        with pytest.raises(NotBooked) as no:
            core.booked(self.books, account, events, self.now)
        return no.value.code, str(no.value)

    def document(self, account: str = "main") -> dict[str, Any]:
        return shown.book(self.books.accounts[account].book)


@pytest.fixture
def story() -> Story:
    """A riskd that has just started for the first time."""
    story = Story()
    story.follow()
    return story


# --- the configuration ----------------------------------------------------------------------------


def test_a_configuration_is_told_once() -> None:
    story = Story()
    told = story.follow()
    assert [type(fact) for fact in told] == [
        SessionClockSet, InstrumentListed, InstrumentListed, AccountOpened, Booked, AccountOpened,
        Booked,
    ]  # fmt: skip
    assert [fact.account for fact in told if isinstance(fact, Booked)] == ["main", "other"]
    assert story.follow() == []


def test_an_account_begins_with_its_balance_and_with_time(story: Story) -> None:
    account = story.document()["account"]
    assert (account["equity"], account["session_start"]) == ("1000", "2024-05-17T12:00:00Z")


def test_nothing_to_keep_is_told_nothing_of() -> None:
    assert Story().follow("") == []


def test_what_the_file_drops_is_closed_and_what_comes_back_is_opened_as_it_was(
    story: Story,
) -> None:
    story.report(fill())
    told = story.follow("")
    assert [type(fact) for fact in told] == [
        SessionClockSet, InstrumentDelisted, InstrumentDelisted, AccountClosed, AccountClosed,
    ]  # fmt: skip
    assert story.books.listed("L") is None
    assert story.document()["positions"]["L"]["qty"] == "1"
    story.follow(FILE.replace("1000", "5"))
    assert story.report(fill()) != [], "and is known all the same"
    assert story.document()["positions"]["L"]["qty"] == "1"
    opened = [f for f in story.facts if isinstance(f, AccountOpened) and f.account == "main"]
    assert [fact.balance for fact in opened] == [Decimal(1000), Decimal(1000)]


def test_what_happens_in_an_account_that_is_closed_is_booked(story: Story) -> None:
    story.report(event({"type": "order", "id": "o", "symbol": "L", "side": "buy", "qty": "5"}))
    story.follow("")
    story.report(fill(order="o"))
    story.report(event({"type": "mark", "symbol": "L", "price": "12"}), account=None)
    found = story.document()["positions"]["L"]
    assert [found[key] for key in ("qty", "worst_long", "unrealized_pnl")] == ["1", "5", "4"]
    story.report(event({"type": "cancel", "id": "o"}))
    assert story.document()["positions"]["L"]["worst_long"] == "1"
    story.take(core.heard(story.books, "main", Decimal(1004), Book()))
    rate = event({"type": "fx", "ccy": "EUR", "rate": "1.1"})
    assert story.refused(rate, account=None)[0] == "account_needed"
    story.report(rate)


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ('exchange = "sim"', 'exchange = "binance"', AccountOpened),
        ('multiplier = "2"', 'multiplier = "2"\nlot = "0.5"', InstrumentListed),
        ('reset = "17:00"', 'reset = "16:00"', SessionClockSet),
    ],
)
def test_what_may_change_is_told(story: Story, old: str, new: str, kind: type[Fact]) -> None:
    (fact,) = story.follow(FILE.replace(old, new))
    assert isinstance(fact, kind)
    assert core.conflicts(story.books, config(FILE.replace(old, new))) == []
    assert story.follow(FILE.replace(old, new)) == []


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ('balance = "1000"', 'currency = "EUR"', ("accounts", "main", "currency")),
        ('multiplier = "2"', 'multiplier = "3"', ("instruments", 0, "multiplier")),
        ('multiplier = "2"', 'multiplier = "2"\nquote = "EUR"', ("instruments", 0, "settle")),
        ('multiplier = "2"', 'multiplier = "2"\nquote = "EUR"', ("instruments", 0, "quote")),
        ('multiplier = "2"', 'multiplier = "2"\nbase = "BTC"', ("instruments", 0, "base")),
        ('kind = "inverse"', 'kind = "spot"', ("instruments", 1, "kind")),
    ],
)
def test_what_positions_rest_on_can_not_change(
    story: Story, old: str, new: str, path: tuple[str | int, ...]
) -> None:
    story.follow("")  # not even while it is closed
    found = {
        each.path: each for each in core.conflicts(story.books, config(FILE.replace(old, new)))
    }
    assert found[path].message.startswith("was ")
    assert "again" in found[path].remedy
    assert {each[:2] for each in found} == {path[:2]}
    assert core.conflicts(story.books, config()) == []


def test_what_is_in_force_and_not_yet_a_fact_can_not_change_either() -> None:
    """Of many instruments the first are facts while the last are still to come. A reload in
    between must not make two things of one symbol."""
    in_force = config(FILE)
    other = FILE.replace('kind = "inverse"', 'kind = "spot"')
    other = other.replace('balance = "1000"', 'currency = "EUR"')
    story = Story()
    assert core.conflicts(story.books, config(other)) == []
    found = {each.path for each in core.conflicts(story.books, config(other), in_force)}
    assert ("instruments", 1, "kind") in found
    assert ("accounts", "main", "currency") in found
    assert core.conflicts(story.books, config(FILE), in_force) == []


def test_so_many_conflicts_are_one_mistake_and_are_told_in_part(story: Story) -> None:
    many = "".join(f'[[instruments]]\nsymbol = "S{n}"\n' for n in range(500))
    story.follow(many)
    found = core.conflicts(story.books, config(many.replace('"\n', '"\nmultiplier = "2"\n')))
    assert len(found) == core.PROBLEMS_MAX


# --- reports --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account", "said", "code", "words"),
    [
        ("nobody", fill(), "unknown_account", "there are: main, other"),
        ("main", fill(symbol="X"), "unknown_instrument", "events[1].symbol: 'X' is no instrument"),
        ("main", fill(qty="0"), "invalid_event", "events[1].qty: must be above 0; write an exact"),
        ("main", fill(ts="noon"), "invalid_event", "events[1].ts: is no time; write ISO 8601"),
        ("main", event({"type": "tick"}), "invalid_event", "riskd has a clock of its own"),
        ("main", event({"type": "account", "ccy": "USD"}), "invalid_event", "[accounts]"),
        ("main", event({"type": "session"}), "invalid_event", "[session]"),
        (
            "main",
            event({"type": "instrument", "symbol": "N", "quote": "USD", "settle": "USD"}),
            "invalid_event",
            "[[instruments]]",
        ),
        (None, fill(), "account_needed", "events[0].type: 'fill' happens in one account"),
        (None, event({"type": "mark", "symbol": "I", "price": "0"}), "invalid_event", "[1].price"),
    ],
)
def test_a_report_with_one_bad_event_books_nothing_and_says_where(
    story: Story, account: str | None, said: AnyEvent, code: str, words: str
) -> None:
    before = story.document()
    good = event({"type": "mark", "symbol": "L", "price": "3"})
    first = said if account is None and isinstance(said, Fill) else good
    found = story.refused(first, said, account=account)
    assert found[0] == code
    assert words in found[1]
    assert story.document() == before


def test_prices_without_an_account_are_those_of_all(story: Story) -> None:
    story.report(Mark(symbol="L", price=Decimal(7)), account=None)
    for name in ("main", "other"):
        story.report(fill(), account=name)
        assert story.document(name)["positions"]["L"]["unrealized_pnl"] == "-6"


def test_a_rate_without_an_account_needs_one_currency(story: Story) -> None:
    story.report(Fx(ccy="BTC", rate=Decimal(60_000)), account=None)
    story.follow(FILE + '[accounts.euro]\ncurrency = "EUR"\n')
    code, words = story.refused(Fx(ccy="BTC", rate=Decimal(5)), account=None)
    assert (code, words.startswith("events[0].ccy: open accounts report in EUR, USD")) == (
        "account_needed", True,
    )  # fmt: skip
    story.follow()
    story.report(Fx(ccy="BTC", rate=Decimal(61_000)), account=None)
    with_euro = story.books.accounts["euro"].book.worth
    assert with_euro.rate_now("BTC") is None, "it is no euros"
    assert story.books.accounts["main"].book.worth.rate_now("BTC") == 61_000


def test_without_accounts_a_price_concerns_nobody() -> None:
    story = Story()
    story.follow('[[instruments]]\nsymbol = "L"\n')
    assert story.refused(Mark(symbol="L", price=Decimal(1)), account=None)[0] == "no_account"
    assert story.refused(fill())[1].endswith("there is none: name it in [accounts]")


def test_what_comes_to_be_odd_is_told_once_and_by_account(story: Story) -> None:
    def news(*events: AnyEvent) -> list[tuple[str, tuple[str, ...]]]:
        facts = core.booked(story.books, "main", events, story.now)
        before = core.flags_about(story.books, facts)
        story.take(facts)
        told = core.flagged(before, core.flags_about(story.books, facts))
        return [(fact.account, fact.flags) for fact in told]

    assert news(fill()) == [("main", ("no_mark:L",))]
    assert news(fill("f2"), fill("f2", qty="3")) == [("main", ("fill_conflict:f2",))]
    assert news(fill("f2", qty="3")) == []
    order = event({"type": "order", "id": "o", "symbol": "L", "side": "buy", "qty": "1"})
    assert news(order, fill("f3", order="o")) == []
    assert news(fill("f4", order="o")) == [("main", ("overfill:o",))]
    assert news(fill("f5", order="o"), fill("f6", order=None)) == [("main", ("rogue_fill:f6",))]
    paid = {"type": "funding", "id": "p", "symbol": "L", "amount": "1"}
    assert news(event(paid), event({**paid, "amount": "2"})) == [("main", ("payment_conflict:p",))]
    assert story.document()["flags"] == [
        "fill_conflict:f2", "no_mark:L", "overfill:o", "payment_conflict:p", "rogue_fill:f6",
    ]  # fmt: skip


# --- resets ---------------------------------------------------------------------------------------


def resets(facts: Iterable[Fact]) -> list[SessionReset]:
    return [fact for fact in facts if isinstance(fact, SessionReset)]


def test_a_day_ends_with_what_it_has_brought_and_the_reset_belongs_to_the_next(
    story: Story,
) -> None:
    end = datetime(2024, 5, 17, 21, tzinfo=UTC)
    story.now = end - timedelta(minutes=5)
    story.report(Mark(symbol="L", price=Decimal(10)), account=None)
    story.report(fill(), fill("f2", side="sell", price="15", ts="2024-05-17T20:59:59Z"))
    assert core.next_due(story.books) == end
    assert core.due(story.books, end - timedelta(microseconds=1)) == []
    # The venue's clock is ahead of riskd's: this is the next day's already.
    story.report(fill("f3", ts="2024-05-17T21:00:00Z"), fill("f4", side="sell", price="4"))
    facts = story.take(core.due(story.books, end))
    first, tick, second, _ = facts
    assert first == SessionReset(
        account="main", at=end, is_week=False, realized=Decimal(10), pnl=Decimal(10),
        week_realized=Decimal(10), week_pnl=Decimal(10),
    )  # fmt: skip
    assert isinstance(second, SessionReset)
    assert (second.account, second.realized) == ("other", 0)
    assert isinstance(tick, Booked)
    assert tick == Booked(account="main", event=Tick(ts=end.isoformat()))
    assert core.due(story.books, end) == []
    account = story.document()["account"]
    assert (account["session_start"], account["session_realized"]) == (
        "2024-05-17T21:00:00Z", "-12",
    )  # fmt: skip


def test_the_days_that_a_riskd_has_missed_end_one_after_the_other(story: Story) -> None:
    """Across the end of a week; and in the order of time for each account."""
    late = NOON + timedelta(days=4)
    facts = resets(story.take(core.due(story.books, late)))
    ends = [datetime(2024, 5, day, 21, tzinfo=UTC) for day in (17, 18, 19, 20)]
    for name in ("main", "other"):
        mine = [fact for fact in facts if fact.account == name]
        assert [fact.at for fact in mine] == ends
        assert [fact.is_week for fact in mine] == [False, False, True, False]
    assert core.due(story.books, late) == []


def test_many_missed_days_are_made_up_for_in_parts(story: Story) -> None:
    late, parts = NOON + timedelta(days=400), 0
    while facts := core.due(story.books, late):
        assert len(facts) <= 2 * core.RESETS_MAX
        story.take(facts)
        parts += 1
    assert parts == 2 * 400 / core.RESETS_MAX
    mine = [fact.at for fact in resets(story.facts) if fact.account == "main"]
    assert len(mine) == len(set(mine)) == 400
    assert mine == sorted(mine)


def test_another_clock_begins_with_its_own_next_reset(story: Story) -> None:
    story.now = NOON + timedelta(hours=1)
    story.follow(FILE.replace('"17:00"', '"08:30"'))  # which was half an hour ago, by that clock
    assert core.due(story.books, story.now) == []
    assert core.next_due(story.books) == datetime(2024, 5, 18, 12, 30, tzinfo=UTC)


def test_a_closed_account_has_no_days_and_makes_up_for_none(story: Story) -> None:
    without = FILE.replace("[accounts.other]\n", "")
    story.follow(without)
    story.now = NOON + timedelta(days=10)
    assert {fact.account for fact in resets(story.take(core.due(story.books, story.now)))} == {
        "main"
    }
    story.follow()
    assert core.due(story.books, story.now) == []


zones = st.sampled_from(["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "UTC"])
clocks = st.sampled_from(["00:00", "01:30", "02:00", "02:30", "03:00", "17:00"])
weeks = st.sampled_from(["sunday", "monday", "wednesday"])


@given(zones, clocks, weeks, st.lists(st.integers(1, 90 * 3600), min_size=1, max_size=30))
def test_every_local_day_has_one_end_and_every_week_whenever_riskd_looks(
    zone: str, reset: str, week: str, steps: list[int]
) -> None:
    """Over the changes of clocks of spring and autumn alike."""
    begin = datetime(2024, 3, 7, 12, 15, tzinfo=UTC)
    file = f'[session]\nzone="{zone}"\nreset="{reset}"\nweek_start="{week}"\n[accounts.a]\n'
    for begin in (datetime(2024, 3, 7, 12, 15, tzinfo=UTC), datetime(2024, 10, 24, tzinfo=UTC)):
        story = Story(now=begin)
        story.follow(file)
        for step in steps:
            story.now += timedelta(seconds=step)
            story.take(core.due(story.books, story.now))
            next_due = core.next_due(story.books)
            assert next_due is not None
            assert next_due > story.now
        found = resets(story.facts)
        hour, minute = map(int, reset.split(":"))
        days, day = [], begin.date() - timedelta(days=2)
        while day <= story.now.date() + timedelta(days=2):
            wall = datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZoneInfo(zone))
            if begin < wall.astimezone(UTC) <= story.now:
                days.append((wall.astimezone(UTC), wall.strftime("%A").lower() == week))
            day += timedelta(days=1)
        assert [(fact.at, fact.is_week) for fact in found] == days


# --- what the broker says -------------------------------------------------------------------------


def test_a_difference_is_told_when_it_begins_and_when_it_is_over(story: Story) -> None:
    tolerance = Book(equity_drift_pct=Decimal(1), equity_drift_min=Decimal(5))

    def hear(theirs: str) -> list[Fact]:
        return story.take(core.heard(story.books, "main", Decimal(theirs), tolerance))

    told = EquityReported(account="main", theirs=Decimal(1010), ours=Decimal(1000))
    assert hear("1010") == [told], "ten are allowed"
    drifted = EquityDrifted(
        account="main", theirs=Decimal("1010.01"), ours=Decimal(1000), allowed=Decimal(10)
    )
    assert hear("1010.01")[1:] == [drifted]
    assert hear("5000")[1:] == [], "that is known"
    agreed = EquityAgreed(account="main", theirs=Decimal(990), ours=Decimal(1000))
    assert hear("990")[1:] == [agreed]
    assert hear("990")[1:] == []
    # While the book does not know, they do not agree.
    story.report(fill())
    (_, unknown) = hear("1000")
    assert isinstance(unknown, EquityDrifted)
    assert (unknown.ours, unknown.allowed) == (None, 5)
    story.report(Mark(symbol="L", price=Decimal(10)))
    assert isinstance(hear("1000")[1], EquityAgreed)


def test_an_equity_that_no_book_could_have_is_refused(story: Story) -> None:
    for account, theirs, code in (
        ("nobody", "1", "unknown_account"),
        ("main", "1e50", "invalid_value"),
    ):
        with pytest.raises(NotBooked) as no:
            core.heard(story.books, account, Decimal(theirs), Book())
        assert no.value.code == code


def test_an_account_in_a_word(story: Story) -> None:
    story.report(fill())
    story.take(core.heard(story.books, "main", Decimal(7), Book()))
    main, other = core.accounts_shown(story.books)
    assert main == {
        "name": "main", "currency": "USD", "exchange": "sim", "open": True, "equity": None,
        "broker_equity": "7", "broker_equity_at": "2024-05-17T12:00:00+00:00", "drifting": True,
        "flags": 1,
    }  # fmt: skip
    assert (other["equity"], other["broker_equity"], other["drifting"]) == ("0", None, False)


# --- times ----------------------------------------------------------------------------------------


def test_nothing_is_told_of_the_future_but_by_clocks_that_differ(story: Story) -> None:
    story.follow()
    late = (story.now + timedelta(minutes=15)).isoformat()
    story.report(event({"type": "mark", "symbol": "L", "price": "10", "ts": late}))
    later = (story.now + timedelta(minutes=15, microseconds=1)).isoformat()
    for said in (
        {"type": "mark", "symbol": "L", "price": "10", "ts": later},
        {"type": "snapshot", "symbol": "L", "qty": "0", "as_of": later},
    ):
        code, problem = story.refused(event(said))
        assert code == "invalid_event"
        assert "ahead of riskd's clock; say when it happened" in problem


@pytest.mark.parametrize("seconds", [0.001, 1, 900])
@pytest.mark.parametrize("kind", ["mark", "fx"])
def test_a_price_of_riskds_future_hides_none_that_comes_after_it(
    story: Story, kind: str, seconds: float
) -> None:
    name = {"symbol": "L", "price": "1"} if kind == "mark" else {"ccy": "EUR", "rate": "1"}
    ahead = (story.now + timedelta(seconds=seconds)).isoformat()
    story.report(event({"type": kind, **name, "ts": ahead}))
    story.now += timedelta(seconds=0.0005)
    field = "price" if kind == "mark" else "rate"
    story.report(event({"type": kind, **name, field: "7", "ts": story.now.isoformat()}))
    worth = story.books.accounts["main"].book.worth
    assert (worth.mark_now("L") if kind == "mark" else worth.rate_now("EUR")) == 7


def test_a_mark_without_a_time_comes_now_though_a_fill_came_from_the_future(story: Story) -> None:
    story.report(fill("f1", ts=(story.now + timedelta(minutes=10)).isoformat()))
    story.report(event({"type": "mark", "symbol": "L", "price": "1"}), account=None)
    story.now += timedelta(seconds=1)
    said = {"type": "mark", "symbol": "L", "price": "7", "ts": story.now.isoformat()}
    story.report(event(said), account=None)
    assert story.books.accounts["main"].book.worth.mark_now("L") == 7


@pytest.mark.parametrize("price", ["0", "-0", "-1", "-1e-30"])
def test_a_mark_of_nothing_is_none_unless_the_listing_says_so(story: Story, price: str) -> None:
    said = event({"type": "mark", "symbol": "L", "price": price})
    code, problem = story.refused(said)
    assert code == "invalid_event"
    assert "must be above 0; say its true price; or list the instrument with" in problem
    assert story.refused(fill(), said)[0] == "invalid_event", "the whole report is refused"
    story.follow(FILE.replace('multiplier = "2"', 'multiplier = "2"\nallows_negative = true'))
    story.report(said)
    assert story.books.accounts["main"].book.worth.mark_now("L") == Decimal(price)


def test_a_fill_without_a_time_is_no_part_of_a_position_that_was_adopted(story: Story) -> None:
    story.follow()
    adopted = {"type": "snapshot", "symbol": "L", "qty": "5", "avg_price": "10"}
    snapshot = event({**adopted, "as_of": story.now.isoformat()})
    assert "ts: is missing" in story.refused(snapshot, fill("f1"))[1]
    story.report(snapshot)
    code, problem = story.refused(fill("f1"))
    assert (code, "say when the fill was" in problem) == ("invalid_event", True)
    later = (story.now + timedelta(seconds=1)).isoformat()
    story.report(fill("f1", ts=later), fill("f2"))
    assert story.document()["positions"]["L"]["qty"] == "7"


def test_a_report_has_no_more_counted_again_than_takes_a_moment(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.follow()
    at = [(story.now - timedelta(seconds=100 - each)).isoformat() for each in range(10)]
    story.report(*(fill(f"f{each}", ts=when) for each, when in enumerate(at)))
    book = story.books.accounts["main"].book
    samples = len(book.worth.series.keys)
    early = (story.now - timedelta(seconds=200)).isoformat()
    late, newest = fill("late", ts=early), fill("newest", ts=story.now.isoformat())
    bust = event({"type": "bust", "id": "f9", "symbol": "L"})
    assert steps(book, newest) == 0
    assert steps(book, late) >= 20
    assert steps(book, bust) == 2
    assert steps(book, event({"type": "mark", "symbol": "L", "price": "9", "ts": early})) >= 10
    adopted = {"type": "snapshot", "symbol": "L", "qty": "0", "as_of": story.now.isoformat()}
    assert steps(book, event(adopted)) == 2 * samples + 10
    monkeypatch.setattr(core, "STEPS_MAX", 2 * steps(book, late) - 1)
    code, problem = story.refused(late, fill("later", ts=early))
    assert code == "too_much_at_once"
    assert problem.startswith("events[1]: with those before it")
    assert story.document()["positions"]["L"]["qty"] == "10"
    monkeypatch.setattr(core, "STEPS_MAX", 1)
    story.report(late)  # by itself, whatever it takes
    story.report(bust, newest)  # the newest of all costs nothing
    assert story.document()["positions"]["L"]["qty"] == "11"
