"""Overrides on a disk that may be lost: no crash makes one, and none is used twice."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import trio
import trio.lowlevel
from riskd.actors.control import CommandRefused, CommandUnavailable
from riskd.actors.core.access import Caller, Peer, Role
from riskd.actors.core.kill_switch import Rules
from riskd.actors.mailbox import Registry
from riskd.actors.messages import (
    AccountOpened,
    ApproveOverride,
    By,
    Command,
    Given,
    InstrumentListed,
    Limits,
    LimitsTightened,
    Listing,
    OrderAsked,
    OrderDecided,
    OverrideIs,
    OverridesAre,
    Refused,
    RequestOverride,
    RevokeOverride,
    ShowOverrides,
    Verdict,
)
from riskd.config.schema.rules import MaxOrderQty
from riskd.supervisor.chronicle import LOOSEN_TIMEOUT_S, Chronicle
from riskd.supervisor.known import Known
from riskd.supervisor.ledger import Ledger
from riskd.supervisor.overriding import Overriding
from trio.testing import wait_all_tasks_blocked

Machine = Any  # the class of this fixture lives in conftest.py
PEOPLE = Rules(cooldown_s=1, people={"ana": 1001, "bob": 1000})
SIZE = MaxOrderQty(max_qty=Decimal(10))
ASKED = RequestOverride(
    account="main",
    symbol="X",
    side="buy",
    max_qty="50",
    rules=[SIZE.id],
    for_s=600.0,
    reason="it has to go",
)
ORDER = OrderAsked(
    client_order_id="o1", account="main", symbol="X", side="buy", qty="50", override="ov1"
)


class Life:
    """One run of riskd, as far as overrides go."""

    def __init__(self, machine: Machine, ledger: Ledger, known: Known) -> None:
        self.machine, self.ledger, self.known = machine, ledger, known
        self.chronicle = Chronicle(ledger)
        self.published = 0
        self.overriding = Overriding(
            chronicle=self.chronicle,
            overrides=known.overrides,
            books=known.books,
            limits=lambda: known.limits.rules,
            clock=machine.clock,
            registry=Registry(self.chronicle.record, crashes_max=3),
            rules=lambda: PEOPLE,
            by=lambda caller: By(via="socket", user_id=caller.peer.user_id),
            publish=self.publish,
        )
        if not known.books.accounts:
            self.begin()

    def begin(self) -> None:
        listing = Listing(
            symbol="X", kind="linear", multiplier=Decimal(1), quote="USD", settle="USD"
        )
        limits = Limits(on_excess="block", rules=(Given(rule=SIZE, source="config"),), settings=())
        self.chronicle.commit(
            InstrumentListed(listing=listing),
            AccountOpened(account="main", currency="USD", balance=Decimal(1000)),
            LimitsTightened(limits=limits, changes=(), by=By(via="riskd"), reason="a start"),
        )

    def publish(self) -> None:
        self.published += 1

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Life"]:
        """With its actor, and a disk."""
        async with self.machine.kept(self.ledger), trio.open_nursery() as nursery:
            await nursery.start(self.overriding.child().run, None)
            yield self
            nursery.cancel_scope.cancel()

    async def ask(self, command: Command, user_id: int = 1000) -> Any:
        caller = Caller(Peer(user_id, user_id, 7), Role.OPERATOR)
        return await self.overriding.handlers()[type(command)](caller, command)

    async def approve(self, name: str = "ov1", user_id: int = 1001) -> Any:
        return await self.ask(ApproveOverride(override=name), user_id)

    def state(self, name: str = "ov1") -> str:
        found = self.known.overrides.find(name)
        assert found is not None
        return found.state(*self.overriding.register.moment())

    def use(self) -> None:
        """An order goes by it."""
        verdict = Verdict(
            decision="allow", qty=Decimal(50), code="overridden", override="ov1", risk_level="info"
        )
        clock = self.machine.clock
        self.chronicle.commit(
            OrderDecided(
                order=ORDER, at=clock.now(), monotonic_s=clock.monotonic_s(), verdict=verdict
            )
        )


Lives = Callable[[], AbstractAsyncContextManager[Life]]


@pytest.fixture
def lives(machine: Machine) -> Lives:
    """A run, on what the runs before have left."""

    @asynccontextmanager
    async def live() -> AsyncIterator[Life]:
        known = Known()
        with machine.open(known.projections()) as ledger:
            yield Life(machine, ledger, known)

    return live


async def test_one_asks_and_another_approves(lives: Lives) -> None:
    async with lives() as life, life.serving():
        reply = await life.ask(ASKED)
        assert isinstance(reply, OverrideIs)
        assert (reply.changed, reply.override["state"]) == (True, "requested")
        assert reply.override["requested_by"] == "1000"
        same = await life.approve(user_id=1000)
        assert isinstance(same, Refused)
        assert same.code == "same_person"
        reply = await life.approve()
        assert (reply.changed, reply.override["state"]) == (True, "approved")
        assert reply.override["approved_by"] == "1001"
        assert (await life.approve()).changed is False


async def test_without_a_disk_nothing_is_approved(lives: Lives, autojump_clock: Any) -> None:
    async with lives() as life:
        await life.ask(ASKED)
        async with trio.open_nursery() as nursery:
            await nursery.start(life.overriding.child().run, None)  # there is no keeper: no disk
            began = trio.current_time()
            reply = await life.approve()
            assert isinstance(reply, Refused)
            assert reply.code == "not_loosened"
            assert trio.current_time() - began == LOOSEN_TIMEOUT_S
            assert life.state() == "requested"
            nursery.cancel_scope.cancel()


async def test_without_its_actor_nothing_is_approved_and_all_else_goes_on(lives: Lives) -> None:
    async with lives() as life:
        await life.ask(ASKED)
        with pytest.raises(CommandUnavailable):
            await life.approve()
        assert isinstance(await life.ask(ShowOverrides()), OverridesAre)
        assert (await life.ask(RevokeOverride(override="ov1", reason="gone"))).changed


async def test_what_is_revoked_while_it_waits_for_the_disk_is_not_approved(lives: Lives) -> None:
    async with lives() as life:
        await life.ask(ASKED)
        async with trio.open_nursery() as nursery:
            await nursery.start(life.overriding.child().run, None)
            replies = []

            async def approve() -> None:
                replies.append(await life.approve())

            nursery.start_soon(approve)
            await wait_all_tasks_blocked()
            await life.ask(RevokeOverride(override="ov1", reason="gone"))
            async with life.machine.kept(life.ledger):
                while not replies:
                    await trio.lowlevel.checkpoint()
            assert isinstance(replies[0], Refused)
            assert replies[0].code == "override_over"
            assert life.state() == "revoked"
            nursery.cancel_scope.cancel()


async def test_a_revocation_waits_for_nothing_and_makes_tickets_stale(lives: Lives) -> None:
    async with lives() as life:
        await life.ask(ASKED)
        epoch = life.known.halts.now.epoch
        reply = await life.ask(RevokeOverride(override="ov1", reason="gone"), 77)
        assert (reply.changed, reply.override["state"]) == (True, "revoked")
        assert life.known.halts.now.epoch > epoch
        assert life.published == 1


@pytest.mark.parametrize("ends", ["killed", "cut off"])
async def test_what_was_approved_and_what_was_used_is_so_after_a_crash(
    lives: Lives, machine: Machine, ends: str
) -> None:
    async with lives() as life, life.serving():
        for _ in range(2):
            await life.ask(ASKED)
        await life.approve("ov1")
        await life.approve("ov2")
        life.use()
        if ends == "cut off":
            await life.ledger.wait_safe(life.ledger.lsn)
            machine.disk.cut_power()
        before = b"".join(life.known.overrides.dump())
    async with lives() as life:
        assert b"".join(life.known.overrides.dump()) == before
        assert (life.state("ov1"), life.state("ov2")) == ("used", "approved")
        machine.clock.days = timedelta(seconds=601) / timedelta(days=1)
        assert life.state("ov2") == "expired"


async def test_what_is_in_doubt_is_neither_asked_for_nor_approved(lives: Lives) -> None:
    async with lives() as life, life.serving():
        await life.ask(ASKED)
        life.ledger.suspect("book", "a test")
        with pytest.raises(CommandRefused) as no:
            await life.ask(ASKED)
        assert no.value.code == "in_doubt"
        reply = await life.approve()
        assert isinstance(reply, Refused)
        assert reply.code == "in_doubt"


async def test_all_are_told_the_newest_first_and_page_by_page(lives: Lives) -> None:
    async with lives() as life:
        for _ in range(3):
            await life.ask(ASKED)
        first = await life.ask(ShowOverrides(limit=2))
        assert [row["override"] for row in first.overrides] == ["ov3", "ov2"]
        assert first.more
        rest = await life.ask(ShowOverrides(limit=2, after="ov2"))
        assert [row["override"] for row in rest.overrides] == ["ov1"]
        assert not rest.more
        assert not (await life.ask(ShowOverrides(account="other"))).overrides
