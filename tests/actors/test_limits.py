"""Who may change the limits, and when it is so: what loosens waits for the disk."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest
import trio
from riskd.actors.core.books import Books
from riskd.actors.core.kill_switch import NotAllowed, Rules
from riskd.actors.core.limits import Configured, LimitsInForce
from riskd.actors.limits import ATTEMPTS_MAX, RETRY_S, Adopt, Asked, Limiter, Loosener
from riskd.actors.messages import (
    By,
    Fact,
    LimitsLoosened,
    LimitsTightened,
    Loosening,
    RearmRule,
    Recorded,
    Refused,
    ResetLimit,
    RuleRearmed,
    SetLimit,
)
from riskd.actors.ports import NotLoosened, Withdrawn
from riskd.config.schema.rules import AnyRule, MaxOrderQty, MaxPosition, RepeatedExecution

BOB = By(via="socket", user_id=1000, user="bob", process_id=4711)
NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
POSITION = "max_position@all"
TWO = Rules(cooldown_s=1, two_person=True, people={"alice": 1001, "bob": 1000})


@attrs.define(eq=False)
class World:
    """A ledger of one projection, a disk that does what a test says, and a configuration."""

    said: list[AnyRule]
    in_force: LimitsInForce = attrs.field(factory=lambda: LimitsInForce(Books(ZoneInfo)))
    facts: list[Fact] = attrs.field(factory=list)
    published: list[int] = attrs.field(factory=list)
    refusals: list[Exception] = attrs.field(factory=list)
    """What the disk says to the next loosenings."""
    meanwhile: list[Callable[[], object]] = attrs.field(factory=list)
    """What happens while the next ones wait for it."""
    doubts: str | None = None

    def record(self, fact: Fact) -> None:
        self.facts.append(fact)
        recorded = Recorded(lsn=len(self.facts), at=NOON, monotonic_s=0.0, fact=fact)  # type: ignore[arg-type]  # every Fact is of AnyFact
        self.in_force.apply(recorded)

    async def loosen(self, fact: Loosening) -> None:
        await trio.lowlevel.checkpoint()
        if self.meanwhile:
            self.meanwhile.pop(0)()
        if self.refusals:
            raise self.refusals.pop(0)
        self.record(fact)

    def limiter(self) -> Limiter:
        return Limiter(
            limits=self.in_force,
            configured=lambda: Configured("block", [(rule, "config") for rule in self.said]),
            record=self.record,
            publish=lambda: self.published.append(len(self.facts)),
            doubt=lambda: self.doubts,
            clock=self,
        )

    def actor(self, limiter: Limiter, rules: Rules | None = None) -> Loosener:
        found = rules or Rules(cooldown_s=1)
        return Loosener(limiter=limiter, rules=lambda: found, loosen=self.loosen)

    def qty(self, rule: str = POSITION) -> str | None:
        rules = {given.rule.id: given.rule for given in self.in_force.now.rules}
        return str(getattr(rules[rule], "max_qty", None)) if rule in rules else None

    # --- a clock

    def now(self) -> datetime:
        return NOON

    def monotonic_s(self) -> float:
        return 0.0

    def boot(self) -> str:
        return "boot 1"


def position(qty: int) -> MaxPosition:
    return MaxPosition(max_qty=Decimal(qty))


def wants(qty: str, **more: Any) -> Asked:
    command = SetLimit(rule=POSITION, key="max_qty", value=qty, reason="news", **more)
    return Asked(command, BOB)


@pytest.fixture
def world() -> World:
    return World([position(2)])


@pytest.fixture
def limiter(world: World) -> Limiter:
    """After a start."""
    found = world.limiter()
    found.follow(BOB)
    return found


# --- a configuration is followed ------------------------------------------------------------------


def test_a_start_brings_what_the_configuration_says_into_force_before_anything_waits(
    world: World,
) -> None:
    changes, waiting = world.limiter().follow(BOB)
    assert [each.how for each in changes] == ["added"]
    assert waiting == ()
    assert world.qty() == "2"
    assert isinstance(world.facts[0], LimitsTightened)
    assert world.published == [1]


async def test_what_it_tightens_is_in_force_at_once_and_the_rest_when_the_disk_has_it(
    world: World, limiter: Limiter
) -> None:
    world.said = [position(3), MaxOrderQty(max_qty=Decimal(1))]
    changes, waiting = limiter.follow(BOB)
    assert world.qty("max_order_qty@all") == "1"
    assert world.qty() == "2"
    assert [each.how for each in changes] == ["loosened", "added"]
    assert [each.how for each in waiting] == ["loosened"]
    await world.actor(limiter).receive(Adopt())
    assert world.qty() == "3"
    assert limiter.left() == ()
    assert isinstance(world.facts[-1], LimitsLoosened)
    assert world.facts[-1].by == BOB


@pytest.mark.parametrize("said", [[], [MaxPosition(scope="all", max_qty=Decimal(2))]])
def test_nobody_is_judged_before_what_the_configuration_tightens_is_in_force(
    world: World, said: list[AnyRule]
) -> None:
    world.said = said
    limiter = world.limiter()
    assert limiter.rules is None
    limiter.follow(BOB)
    assert limiter.rules is not None
    assert {rule.id for rule in said} <= {judge.id for judge in limiter.rules.judges}


async def test_after_a_doubt_nobody_is_judged_by_the_limits_of_the_file_before(
    world: World,
) -> None:
    world.said = []
    limiter = world.limiter()
    limiter.follow(BOB)
    world.doubts = "in doubt"
    world.said = [MaxPosition(scope="all", max_qty=Decimal(1))]
    limiter.follow(BOB)
    world.doubts = None
    assert limiter.rules is None
    await world.actor(limiter).wake()
    assert limiter.rules is not None
    assert world.qty() == "1"


async def test_what_the_disk_does_not_confirm_is_tried_again(
    world: World, limiter: Limiter, autojump_clock: trio.testing.MockClock
) -> None:
    world.said = [position(3)]
    limiter.follow(BOB)
    actor = world.actor(limiter)
    world.refusals = [NotLoosened("the disk hangs")]
    await actor.adopt()
    assert world.qty() == "2"
    assert actor.wake_at() == trio.current_time() + RETRY_S
    await actor.wake()
    assert world.qty() == "3"
    await actor.wake()
    assert actor.wake_at() == float("inf")


async def test_another_incarnation_goes_on_with_what_was_not_done(
    world: World, limiter: Limiter
) -> None:
    world.said = [position(3)]
    limiter.follow(BOB)
    with trio.CancelScope() as scope:
        scope.cancel()
        await world.actor(limiter).adopt()
    assert world.qty() == "2"
    await world.actor(limiter).adopt()
    assert world.qty() == "3"


async def test_nothing_is_followed_while_what_is_known_is_in_doubt(
    world: World, limiter: Limiter
) -> None:
    world.said, world.doubts = [position(1)], "in doubt"
    assert limiter.follow(BOB) == ((), ())
    assert world.qty() == "2"
    world.doubts = None
    await world.actor(limiter).adopt()
    assert world.qty() == "1"


# --- a person sets something ----------------------------------------------------------------------


def test_what_tightens_is_no_question_to_anybody(world: World, limiter: Limiter) -> None:
    fact = limiter.change(wants("1"))
    assert limiter.tighten(fact)
    assert world.qty() == "1"
    assert world.published == [1, 2]


async def test_what_loosens_is_in_force_when_the_disk_has_it(
    world: World, limiter: Limiter
) -> None:
    seen: list[str | None] = []
    world.meanwhile = [lambda: seen.append(world.qty())]
    changes = await world.actor(limiter).receive(wants("3"))
    assert isinstance(changes, tuple)
    assert [each.how for each in changes] == ["loosened"]
    assert seen == ["2"]
    assert world.qty() == "3"


async def test_what_the_disk_does_not_confirm_changes_nothing(
    world: World, limiter: Limiter
) -> None:
    world.refusals = [NotLoosened("the disk hangs")]
    answer = await world.actor(limiter).receive(wants("3"))
    assert isinstance(answer, Refused)
    assert answer.code == "not_loosened"
    assert world.qty() == "2"


async def test_what_is_tightened_meanwhile_is_not_undone(world: World, limiter: Limiter) -> None:
    """The fact that loosens holds all limits: it is made anew, on those that are in force now."""
    world.said = [position(2), MaxOrderQty(max_qty=Decimal(5))]
    limiter.follow(BOB)
    order = SetLimit(rule="max_order_qty@all", key="max_qty", value="4", reason="less")

    def tighten() -> None:
        limiter.tighten(limiter.change(Asked(order, BOB)))

    world.meanwhile, world.refusals = [tighten], [Withdrawn("something tightened")]
    await world.actor(limiter).receive(wants("3"))
    assert world.qty() == "3"
    assert world.qty("max_order_qty@all") == "4"


async def test_who_is_withdrawn_again_and_again_is_told(world: World, limiter: Limiter) -> None:
    world.refusals = [Withdrawn("something tightened")] * ATTEMPTS_MAX
    answer = await world.actor(limiter).receive(wants("3"))
    assert isinstance(answer, Refused)
    assert answer.code == "not_loosened"
    assert world.refusals == []


@pytest.mark.parametrize(
    ("approved_by", "code"),
    [(None, "no_approval"), ("bob", "same_person"), ("carol", "unknown_approver")],
)
async def test_with_two_persons_what_loosens_needs_another_one(
    world: World, limiter: Limiter, approved_by: str | None, code: str
) -> None:
    answer = await world.actor(limiter, TWO).receive(wants("3", approved_by=approved_by))
    assert isinstance(answer, Refused)
    assert answer.code == code
    assert world.qty() == "2"


async def test_with_two_persons_the_approver_is_kept(world: World, limiter: Limiter) -> None:
    await world.actor(limiter, TWO).receive(wants("3", approved_by="alice"))
    assert world.in_force.now.settings[0].approved_by == "alice"
    assert isinstance(world.facts[-1], LimitsLoosened)
    assert world.facts[-1].approved_by == "alice"


async def test_a_reset_of_what_was_lowered_loosens_and_needs_another_one_too(
    world: World, limiter: Limiter
) -> None:
    limiter.tighten(limiter.change(wants("1")))
    reset = ResetLimit(rule=POSITION)
    answer = await world.actor(limiter, TWO).receive(Asked(reset, BOB))
    assert isinstance(answer, Refused)
    reset = ResetLimit(rule=POSITION, approved_by="alice")
    await world.actor(limiter, TWO).receive(Asked(reset, BOB))
    assert world.qty() == "2"
    assert world.in_force.now.settings == ()


async def test_what_is_so_already_is_no_fact(world: World, limiter: Limiter) -> None:
    made = len(world.facts)
    assert limiter.change(wants("2")) is None
    assert await world.actor(limiter).receive(wants("2")) == ()
    assert len(world.facts) == made


async def test_what_can_not_be_is_refused(world: World, limiter: Limiter) -> None:
    answer = await world.actor(limiter).receive(wants("-"))
    assert isinstance(answer, Refused)
    assert answer.code == "invalid_value"


def test_no_limit_is_changed_in_doubt(world: World, limiter: Limiter) -> None:
    world.doubts = "fact 7: KeyError()"
    with pytest.raises(NotAllowed) as refused:
        limiter.change(wants("1"))
    assert refused.value.code == "in_doubt"


async def test_it_takes_nothing_else(world: World, limiter: Limiter) -> None:
    with pytest.raises(TypeError, match="takes Asked and Adopt, and got str"):
        await world.actor(limiter).receive("boo")


# --- what has latched -----------------------------------------------------------------------------

LATCHING = RepeatedExecution(max_executions=3, window_s=60.0)


@pytest.fixture
def latching(world: World, limiter: Limiter) -> Limiter:
    world.said = [*world.said, LATCHING]
    limiter.follow(BOB)
    return limiter


def rearm(rule: str = LATCHING.id, **more: Any) -> Asked:
    return Asked(RearmRule(rule=rule, reason="mended", **more), BOB)


async def test_a_rule_is_rearmed_by_way_of_the_disk(world: World, latching: Limiter) -> None:
    assert await world.actor(latching).receive(rearm()) == LATCHING.id
    assert world.facts[-1] == RuleRearmed(
        rule=LATCHING.id, scope="all", by=BOB, approved_by=None, reason="mended"
    )
    made = len(world.facts)
    world.refusals = [NotLoosened("no disk")]
    answer = await world.actor(latching).receive(rearm())
    assert isinstance(answer, Refused)
    assert (answer.code, len(world.facts)) == ("not_loosened", made)


async def test_what_tightens_meanwhile_is_tried_again_and_not_for_ever(
    world: World, latching: Limiter
) -> None:
    world.refusals = [Withdrawn("a halt")]
    assert await world.actor(latching).receive(rearm()) == LATCHING.id
    world.refusals = [Withdrawn("a halt")] * ATTEMPTS_MAX
    assert isinstance(await world.actor(latching).receive(rearm()), Refused)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (rearm(), "no_approval"),
        (rearm(approved_by="bob"), "same_person"),
        (rearm("boo@all", approved_by="alice"), "unknown_rule"),
        (rearm(POSITION, approved_by="alice"), "nothing_to_rearm"),
    ],
)
async def test_a_rule_is_not_rearmed_by_whoever_may_not_nor_for_nothing(
    world: World, latching: Limiter, asked: Asked, code: str
) -> None:
    made = len(world.facts)
    answer = await world.actor(latching, TWO).receive(asked)
    assert isinstance(answer, Refused)
    assert (answer.code, len(world.facts)) == (code, made)
