"""Limits that shrink: by the time of day, the symbol, and how much that moves."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any, get_args
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.books import Books
from riskd.actors.core.gate.factor import Meter
from riskd.actors.core.gate.rule import Around
from riskd.actors.core.gate.rules import JUDGES
from riskd.actors.core.gate.view import Moment
from riskd.actors.core.tightness import direction
from riskd.actors.core.volatility import GAP_MAX, SAMPLES_MIN
from riskd.config import kinds
from riskd.config.schema.factors import EVERY_DAY, Factor
from riskd.config.schema.rules import AnyRule, MaxOpenPositions, MaxPosition, Rule, scaling

NewDesk = Callable[..., Any]  # the class of this fixture lives in conftest.py
LIMIT = {"kind": "max_position", "max_qty": "20", "factor": "f"}
NIGHT = {"hours": {"22:00-06:00": "0.5"}, "zone": "UTC"}
HALF = Decimal("0.5")


def at(desk: Any, clock: str) -> Any:
    """Later, at that time of the day."""
    wanted = datetime.combine(desk.at.date(), time.fromisoformat(clock), UTC)
    while wanted < desk.at:
        wanted += timedelta(days=1)
    desk.passes((wanted - desk.at).total_seconds())
    return desk


# --- what is held to it ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clock", "most"),
    [("21:59:59", 20), ("22:00", 10), ("23:59", 10), ("00:00", 10), ("05:59:59", 10),
     ("06:00", 20)],
)  # fmt: skip
def test_a_limit_is_smaller_in_its_hours_and_exactly_in_those(
    new_desk: NewDesk, clock: str, most: int
) -> None:
    desk = at(new_desk(LIMIT, f=NIGHT), clock)
    assert desk.ask("buy", most).decision == "allow"
    refused = desk.ask("buy", most + 1)
    assert (refused.decision, refused.limit, refused.max_qty) == ("block", most, most)


def test_below_what_is_open_it_stops_what_adds_and_lets_reduce(new_desk: NewDesk) -> None:
    desk = new_desk(LIMIT, f=NIGHT)
    desk.hold(15)
    assert desk.ask("buy", 5).decision == "allow"
    at(desk, "22:30")
    refused = desk.ask("buy", 1)
    assert (refused.decision, refused.limit, refused.value) == ("block", 10, 16)
    for qty in (1, 15, 25):
        assert desk.ask("sell", qty).decision == "allow"
    assert desk.ask("sell", 26).decision == "block"


def test_an_order_is_cut_down_to_the_smaller_limit(new_desk: NewDesk) -> None:
    desk = at(new_desk({**LIMIT, "on_excess": "scale_down"}, f=NIGHT), "23:00")
    assert (desk.ask("buy", 500).decision, desk.ask("buy", 500).qty) == ("scale_down", 10)


def test_a_symbol_has_its_own(new_desk: NewDesk) -> None:
    desk = new_desk(LIMIT, f={**NIGHT, "symbols": {"L": "0.3"}})
    assert desk.ask("buy", 20, "M").decision == "allow"
    assert desk.ask("buy", 7).max_qty == 6
    at(desk, "23:00")
    assert desk.ask("buy", 11, "M").max_qty == 10
    assert desk.ask("buy", 7).max_qty == 3, "both are multiplied"


@pytest.mark.parametrize(
    ("minute_pct", "most"),
    [("0.001", 20), ("0.05", 20), ("0.1", 10), ("0.2", 5), ("3", 4)],
)
def test_what_moves_more_than_on_a_calm_day_has_less(
    new_desk: NewDesk, minute_pct: str, most: int
) -> None:
    """A tenth of a percent a minute is 3.79 a day; half of that is calm."""
    desk = new_desk(LIMIT, f={"calm_pct": "1.92", "floor": "0.2"})
    for minute in range(SAMPLES_MIN + 11):
        up = Decimal(10) * (1 + Decimal(minute_pct) / 100)
        desk.mark("L", str(up) if minute % 2 else "10")
        desk.passes(60)
    assert desk.ask("buy", 21).max_qty == most
    desk.passes(60 * GAP_MAX)
    assert desk.ask("buy", 21).max_qty == 4, "nobody has heard of it for so long"


def test_what_nobody_knows_the_moves_of_has_the_least(new_desk: NewDesk) -> None:
    desk = new_desk(LIMIT, f={"calm_pct": "2", "floor": "0.25"})
    assert desk.ask("buy", 6).max_qty == 5


def test_a_rule_about_how_things_stand_breaks_at_the_smaller_limit(new_desk: NewDesk) -> None:
    desk = new_desk({"kind": "position_loss", "max_loss": "100", "factor": "f"}, f=NIGHT)
    (judge,) = [one for one in desk.rules.judges if one.kind == "position_loss"]
    desk.hold(10)
    desk.mark("L", "5")
    for clock, limit, outcome in (("13:00", 100, "pass"), ("22:00", 50, "block"),
                                  ("06:00", 100, "pass")):  # fmt: skip
        at(desk, clock)
        desk.mark("L", "5")
        (told,) = judge.survey(Around(desk.books, Moment(desk.at, desk.monotonic_s)))
        assert (told[1].outcome, told[1].limit, told[1].value) == (outcome, limit, 50)
        assert desk.ask("buy", 1).decision == ("block" if outcome == "block" else "allow")
        assert desk.ask("sell", 10).decision == "allow"


# --- the clock ------------------------------------------------------------------------------------

CLOCKS = st.times(time(4), time(23, 59)).map(lambda each: each.replace(second=0, microsecond=0))
"""No clock is set at these times."""
ZONES = ("UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata")
CHANGES = tuple(
    datetime(2026, month, day, tzinfo=UTC)
    for month, day in ((3, 8), (3, 29), (4, 4), (10, 3), (10, 25), (11, 1))
)


@given(
    st.sampled_from(ZONES), CLOCKS, CLOCKS, st.sampled_from(CHANGES),
    st.lists(st.integers(-3 * 86_400, 3 * 86_400), min_size=1, max_size=20),
    st.sets(st.sampled_from(EVERY_DAY), min_size=1),
)  # fmt: skip
def test_hours_are_those_that_the_clock_on_the_wall_shows(
    zone: str, opens: time, closes: time, day: datetime, seconds: list[int], days: set[str]
) -> None:
    """Across midnight, and on days on which the clock is set."""
    said = f"{opens:%H:%M}-{closes:%H:%M}"
    config = Factor(hours={said: HALF}, zone=zone, days=tuple(sorted(days)))  # type: ignore[arg-type]  # words
    meter = Meter(config, Books(ZoneInfo))
    for second in seconds:
        moment = day + timedelta(seconds=second)
        local = moment.astimezone(ZoneInfo(zone))
        today, before = (EVERY_DAY[(local.weekday() - back) % 7] for back in (0, 1))
        clock = local.time()
        if opens < closes:
            is_on = opens <= clock < closes and today in days
        else:
            is_on = (clock >= opens and today in days) or (clock < closes and before in days)
        assert meter.now(moment) == (HALF if is_on else 1)


def test_of_hours_that_overlap_the_smallest_counts() -> None:
    config = Factor(hours={"08:00-18:00": HALF, "12:00-13:00": Decimal("0.2")})
    meter = Meter(config, Books(ZoneInfo))
    found = [meter.now(datetime(2026, 11, 20, hour, tzinfo=UTC)) for hour in (7, 8, 12, 13, 18)]
    assert found == [1, HALF, Decimal("0.2"), HALF, 1]


# --- what is multiplied ---------------------------------------------------------------------------


def sample(kind: type[Rule]) -> AnyRule:
    """With every key that has an example."""
    values = {}
    for field in msgspec.structs.fields(kind):
        examples = [each for meta in kinds.metas(field.type) for each in meta.examples or ()]
        if examples:
            values[field.name] = examples[0]
    return msgspec.convert({**values, "kind": kind.__struct_config__.tag}, kind, strict=False)


@pytest.mark.parametrize("kind", get_args(AnyRule))
def test_every_rule_is_tighter_with_a_part_of_its_limits(kind: type[Rule]) -> None:
    rule = sample(kind)
    smaller, keys = scaling.scaled(rule, HALF), scaling.keys(rule)
    assert direction(rule, smaller) == ("tightened" if smaller != rule else "same")
    for key in rule.__struct_fields__:
        was, now = getattr(rule, key), getattr(smaller, key)
        assert was == now or key in keys
        assert was != now or key not in keys or was in (0, 1)
    JUDGES[kind](smaller)


def test_whole_numbers_are_rounded_down_and_stay_one() -> None:
    positions = MaxOpenPositions(max_positions=5)
    assert [scaling.scaled(positions, Decimal(part)).max_positions for part in
            ("0.5", "0.39", "0.01")] == [2, 1, 1]  # fmt: skip
    assert scaling.scaled(MaxOpenPositions(max_positions=0), HALF).max_positions == 0
    position = MaxPosition(max_long=Decimal(3), max_notional=Decimal(10))
    assert scaling.scaled(position, HALF).sides == (Decimal("1.5"), None, 5, 5)
