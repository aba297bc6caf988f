"""What is told of orders: tickets are used once, and a worker speaks for itself alone."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from riskd.actors.control import CommandRefused, CommandUnavailable
from riskd.actors.core.access import Caller, Launch, Peer, Role
from riskd.actors.core.gate.asked import Identity
from riskd.actors.messages import (
    Acked,
    By,
    CancelAsked,
    Canceled,
    Check,
    Command,
    Decision,
    Dropped,
    Expired,
    Filled,
    KillSwitchTriggered,
    Marked,
    OrderAcked,
    OrderAsked,
    OrderSent,
    Rejected,
    RuleTripped,
    Sent,
    TicketMisused,
)
from riskd.actors.messages.book import AnyEvent

Desk = Any  # the class of these fixtures lives in conftest.py
OPERATOR = Caller(Peer(1000, 1000, 1), Role.OPERATOR)
ABOUT: dict[str, Any] = {"account": "main", "client_order_id": "a"}


def worker(name: str = "mm-1") -> Caller:
    return Caller(Peer(1000, 1000, 2), Role.WORKER, Launch(name, b""))


async def say(desk: Desk, command: Command, caller: Caller = OPERATOR) -> Any:
    return await desk.orders.handlers()[type(command)](caller, command)


async def refused(desk: Desk, command: Command, caller: Caller = OPERATOR) -> str:
    """With its code."""
    with pytest.raises(CommandRefused) as caught:
        await say(desk, command, caller)
    return caught.value.code


async def asked(desk: Desk, caller: Caller = OPERATOR, **more: Any) -> Decision:
    said = {"symbol": "X", "side": "buy", "qty": "6", "price": "100", **ABOUT, **more}
    answer = await say(desk, Check(id=5, order=OrderAsked(**said)), caller)
    assert isinstance(answer, Decision)
    assert answer.id == 5
    return answer


# --- tickets --------------------------------------------------------------------------------------


async def test_a_ticket_is_used_once_and_the_second_time_is_told(desk: Desk) -> None:
    answer = await asked(desk)
    await say(desk, Sent(**ABOUT, decision_id=answer.decision_id))
    assert isinstance(desk.facts[-1], OrderSent)
    assert await refused(desk, Sent(**ABOUT)) == "ticket_used"
    assert desk.facts[-1] == TicketMisused(**ABOUT, code="ticket_used")
    assert desk.worst() == (6, 0)


async def test_another_decisions_number_uses_no_ticket_up(desk: Desk) -> None:
    answer = await asked(desk)
    wrong = str(int(answer.decision_id) + 1)
    assert await refused(desk, Sent(**ABOUT, decision_id=wrong)) == "wrong_decision"
    assert desk.facts[-1] == TicketMisused(**ABOUT, code="wrong_decision")
    assert await refused(desk, Dropped(**ABOUT)) == "ticket_used", "something was sent"
    assert await refused(desk.again(), Dropped(**ABOUT)) == "ticket_used"
    await say(desk, Sent(**ABOUT, decision_id=answer.decision_id))
    assert desk.worst() == (6, 0)


def late(desk: Desk) -> None:
    desk.clock.passed_s = 2.1


def tightened(desk: Desk) -> None:
    by = By(via="riskd")
    desk.commit(KillSwitchTriggered(by=by, cause="manual", source="operator", reason="boo"))


def tripped(desk: Desk, action: str = "block") -> None:
    subject = {"rule": "daily_loss@all", "scope": "all", "account": None, "symbol": None}
    numbers = {"limit": Decimal(1), "value": Decimal(2), "missing": None}
    desk.commit(RuleTripped(**subject, kind="daily_loss", action=action, **numbers))


@pytest.mark.parametrize(
    ("happens", "code"),
    [(late, "ticket_expired"), (tightened, "ticket_stale"), (tripped, "ticket_stale")],
)
async def test_an_order_sent_on_an_old_ticket_counts_in_full_and_is_told(
    desk: Desk, happens: Callable[[Desk], None], code: str
) -> None:
    await asked(desk)
    happens(desk)
    assert await refused(desk, Sent(**ABOUT)) == code
    assert desk.facts[-1] == TicketMisused(**ABOUT, code=code)
    assert desk.worst() == (6, 0)
    assert await refused(desk, Dropped(**ABOUT)) == "ticket_used"


async def test_a_limit_that_only_warns_makes_no_ticket_old(desk: Desk) -> None:
    await asked(desk)
    tripped(desk, "warn")
    await say(desk, Sent(**ABOUT))


async def test_nor_is_one_good_after_a_restart_that_a_broken_limit_made_old(desk: Desk) -> None:
    await asked(desk)
    tripped(desk)
    assert await refused(desk.again(), Sent(**ABOUT)) == "ticket_stale"


async def used(desk: Desk) -> None:
    await say(desk, Sent(**ABOUT))


async def dropped(desk: Desk) -> None:
    await say(desk, Dropped(**ABOUT))


async def done(desk: Desk) -> None:
    await say(desk, filled(qty="6"))


async def ended(desk: Desk) -> None:
    await say(desk, Rejected(**ABOUT))


async def canceled(desk: Desk) -> None:
    await say(desk, Canceled(**ABOUT))


async def expired(desk: Desk) -> None:
    late(desk)


async def stale(desk: Desk) -> None:
    tripped(desk)


@pytest.mark.parametrize("happens", [used, dropped, done, ended, canceled, expired, stale])
async def test_asked_again_the_answer_is_the_same_but_for_a_ticket_that_is_over(
    desk: Desk, happens: Callable[[Desk], Any]
) -> None:
    first = await asked(desk)
    assert first.ticket is not None
    assert await asked(desk) == first
    await happens(desk)
    without = msgspec.structs.replace(first, ticket=None)
    assert await asked(desk) == without
    if happens is not expired:
        assert await asked(desk.again()) == without


async def test_what_nobody_asked_for_has_no_ticket(desk: Desk) -> None:
    assert await refused(desk, Sent(**ABOUT)) == "no_ticket"
    await asked(desk, qty="NaN")
    assert await refused(desk, Sent(**ABOUT)) == "no_ticket"


async def test_a_ticket_that_was_replayed_after_a_restart_was_used(desk: Desk) -> None:
    await asked(desk)
    await say(desk, Sent(**ABOUT))
    assert await refused(desk.again(), Sent(**ABOUT)) == "ticket_used"


# --- what becomes of it ---------------------------------------------------------------------------


async def test_what_was_never_sent_frees_what_was_reserved(limited: Desk) -> None:
    await asked(limited)
    await say(limited, Dropped(**ABOUT))
    assert limited.worst() == (0, 0)


async def test_a_worker_without_an_account_asks_for_none(desk: Desk) -> None:
    desk.workers["mm-9"] = Identity("mm-9")
    answer = await asked(desk, worker("mm-9"))
    assert (answer.decision, answer.code) == ("block", "not_your_account")


async def test_what_was_sent_is_not_dropped(desk: Desk) -> None:
    await asked(desk)
    await say(desk, Sent(**ABOUT))
    assert await refused(desk, Dropped(**ABOUT)) == "ticket_used"
    assert desk.worst() == (6, 0)


async def test_nothing_is_dropped_twice_nor_what_nobody_has(desk: Desk) -> None:
    assert await refused(desk, Dropped(**ABOUT)) == "no_ticket"
    await asked(desk)
    await say(desk, Dropped(**ABOUT))
    assert await refused(desk, Dropped(**ABOUT)) == "ticket_used"


SIGNS: list[Command] = [
    Acked(**ABOUT),
    Sent(**ABOUT),
    CancelAsked(**ABOUT),
    Filled(**ABOUT, fill_id="f", symbol="X", side="buy", qty="2", price="100"),
    Filled(**ABOUT, fill_id="f", symbol="X", side="sell", qty="2", price="100"),
]


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: f"{type(sign).__name__}")
async def test_what_was_dropped_and_is_heard_of_counts_again(desk: Desk, sign: Command) -> None:
    await asked(desk, strategy="mm")
    await say(desk, Dropped(**ABOUT))
    (part,) = desk.books.of("strategy:mm")
    assert (desk.worst(), part.exposures.remaining("X").buys) == ((0, 0), 0)
    if isinstance(sign, Sent):
        assert await refused(desk, sign) == "ticket_used"
    else:
        await say(desk, sign)
    filled = {"buy": 2, "sell": -2}[sign.side] if isinstance(sign, Filled) else 0
    left = 4 if filled > 0 else 6
    assert desk.worst() == (left + filled, filled)
    assert part.exposures.remaining("X").buys == left
    again = desk.again()
    assert again.worst() == desk.worst()
    await say(again, Canceled(**ABOUT))
    assert again.worst()[0] == again.worst()[1]


@pytest.mark.parametrize(
    "other", [{"qty": "1"}, {"side": "sell"}, {"reduce_only": True}, {"filled": "5"}], ids=str
)
async def test_what_was_permitted_is_not_replaced_by_what_is_told_of_before(
    desk: Desk, other: dict[str, Any]
) -> None:
    await asked(desk, strategy="mm")
    said = {"type": "order", "id": "a", "symbol": "X", "side": "buy", "qty": "6", **other}
    desk.book(msgspec.convert({**said, "ts": "2026-11-21T11:00:00Z"}, AnyEvent))
    (part,) = desk.books.of("strategy:mm")
    assert (desk.worst(), part.exposures.remaining("X").buys) == ((6, 0), 6)


@pytest.mark.parametrize("end", [Canceled, Rejected, Expired])
async def test_what_the_venue_has_ended_stays_gone(desk: Desk, end: Callable[..., Command]) -> None:
    await asked(desk)
    await say(desk, end(**ABOUT))
    await say(desk, Acked(**ABOUT))
    assert await refused(desk, Sent(**ABOUT)) == "ticket_used"
    assert desk.worst() == (0, 0)


async def test_what_was_asked_to_end_is_neither_sent_nor_dropped(desk: Desk) -> None:
    await asked(desk)
    await say(desk, CancelAsked(**ABOUT))
    assert await refused(desk, Sent(**ABOUT)) == "ticket_used"
    assert desk.facts[-1] == TicketMisused(**ABOUT, code="ticket_used")
    assert await refused(desk, Dropped(**ABOUT)) == "ticket_used"
    assert desk.worst() == (6, 0)


@pytest.mark.parametrize("end", [Canceled, Rejected, Expired])
async def test_what_the_venue_ends_is_gone(desk: Desk, end: Callable[..., Command]) -> None:
    await asked(desk)
    await say(desk, Sent(**ABOUT))
    await say(desk, end(**ABOUT))
    assert desk.worst() == (0, 0)


async def test_what_was_asked_to_end_still_counts(desk: Desk) -> None:
    await asked(desk)
    await say(desk, CancelAsked(**ABOUT))
    assert desk.worst() == (6, 0)


async def test_that_the_venue_has_it_is_a_fact(desk: Desk) -> None:
    await asked(desk)
    await say(desk, Acked(**ABOUT))
    assert isinstance(desk.facts[-1], OrderAcked)
    assert await refused(desk, Sent(**ABOUT)) == "ticket_used"


def filled(**more: Any) -> Filled:
    said = {"fill_id": "f", "symbol": "X", "side": "buy", "qty": "2", "price": "100"}
    return Filled(**{**ABOUT, **said, **more})


async def test_a_fill_counts_once_and_takes_from_its_order(desk: Desk) -> None:
    await asked(desk)
    for _ in range(2):
        await say(desk, filled())
    assert desk.books.accounts["main"].book.worth.paths["X"].qty == 2
    assert desk.worst() == (6, 2)


async def test_a_fill_without_an_order_is_nobodys(desk: Desk) -> None:
    await say(desk, filled(client_order_id=None))
    assert desk.books.accounts["main"].book.flags() == ["rogue_fill:f"]


async def test_a_mark_without_an_account_is_one_in_all(desk: Desk) -> None:
    await say(desk, Marked(symbol="X", price="110"))
    marks = [h.book.worth.mark_now("X") for h in desk.books.accounts.values()]
    assert marks == [Decimal(110), Decimal(110)]


async def test_what_can_not_be_written_is_not_told_as_done(desk: Desk) -> None:
    await asked(desk)
    desk.failure = "no disk"
    for command in (Sent(**ABOUT), Acked(**ABOUT), Dropped(**ABOUT)):
        with pytest.raises(CommandUnavailable):
            await say(desk, command)


# --- who ------------------------------------------------------------------------------------------


async def test_a_worker_that_nobody_knows_may_ask_for_nothing(desk: Desk) -> None:
    answer = await asked(desk, worker("stranger"))
    assert (answer.decision, answer.code) == ("block", "not_your_account")


@pytest.mark.parametrize(
    "command",
    [
        Sent(**ABOUT),
        Acked(**ABOUT),
        CancelAsked(**ABOUT),
        Canceled(**ABOUT),
        Dropped(**ABOUT),
        filled(),
        Marked(symbol="X", price="1"),
    ],
    ids=lambda command: type(command).__name__,
)
async def test_nor_tell_of_anything(desk: Desk, command: Command) -> None:
    await asked(desk)
    facts = len(desk.facts)
    assert await refused(desk, command, worker("stranger")) == "not_your_account"
    assert len(desk.facts) == facts


async def test_a_worker_asks_for_its_own_account(desk: Desk) -> None:
    assert (await asked(desk, worker())).decision == "allow"
    answer = await asked(desk, worker(), account="other")
    assert answer.code == "not_your_account"


@pytest.mark.parametrize("kind", [Sent, Acked, CancelAsked, Canceled, Rejected, Expired, Dropped])
async def test_a_worker_tells_of_its_own_orders(desk: Desk, kind: Callable[..., Command]) -> None:
    await asked(desk, worker("mm-1"))
    assert await refused(desk, kind(**ABOUT), worker("mm-2")) == "not_your_order"
    assert desk.worst() == (6, 0)
    await say(desk, kind(**ABOUT), worker("mm-1"))


async def test_a_workers_mark_is_one_of_its_own_account(desk: Desk) -> None:
    await say(desk, Marked(symbol="X", price="110"), worker())
    assert desk.books.accounts["main"].book.worth.mark_now("X") == 110
    assert desk.books.accounts["other"].book.worth.mark_now("X") == 100
    told = Marked(symbol="X", price="110", account="other")
    assert await refused(desk, told, worker()) == "not_your_account"
    for name in ("of-none", "stranger"):
        told = Marked(symbol="X", price="120")
        assert await refused(desk, told, worker(name)) == "not_your_account"
    assert desk.books.accounts["other"].book.worth.mark_now("X") == 100


# --- the disk -------------------------------------------------------------------------------------


async def test_where_a_power_cut_counts_what_permits_waits_for_the_disk(desk: Desk) -> None:
    desk.orders.waits = True
    answer = await asked(desk)
    assert desk.settled == [int(answer.decision_id or 0)]
    await asked(desk, client_order_id="b", qty="NaN")
    assert len(desk.settled) == 1, "a block has no effect that waits for anything"
