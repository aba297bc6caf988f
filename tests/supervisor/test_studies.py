"""Questions that a study answers: one at a time, for so long, and with words for what is wrong."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import trio
from riskd.actors.control import CommandRefused, CommandUnavailable
from riskd.actors.core.access import Caller, Launch, Peer, Role
from riskd.actors.core.triggers import Ran
from riskd.actors.gate import NotJudged
from riskd.actors.messages import Explain, Explained, OrderAsked, WhatIf
from riskd.supervisor.studies import LINE_S, ROWS_MAX, STUDY_S, Studies
from riskd.supervisor.study import START, Answer, ExplainRequest, Request
from trio.testing import MockClock

Any_: Callable[..., Any] = SimpleNamespace
"""Of a part of riskd, what is asked of it here."""
CALLER = Caller(Peer(0, 0, 1), Role.OPERATOR)
ORDER = OrderAsked(client_order_id="o", account="main", symbol="X", side="buy", qty="1")


class Outside:
    """Each study takes a second, and answers what it is told to."""

    def __init__(self) -> None:
        self.ran = Ran(0, said(Answer(found=[{"decision_id": "7"}])))
        self.asked: list[tuple[list[str], Request, float]] = []
        self.takes_s = 1.0
        self.now = self.most = 0

    async def ask(self, argv: list[str], question: bytes, timeout_s: float) -> Ran:
        self.asked.append((argv, msgspec.json.decode(question, type=Request), timeout_s))
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await trio.sleep(self.takes_s)
        finally:
            self.now -= 1
        return self.ran


def said(answer: Answer) -> str:
    return msgspec.json.encode(answer).decode()


@pytest.fixture
def outside() -> Outside:
    return Outside()


@pytest.fixture
def studies(outside: Outside) -> Studies:
    journal = SimpleNamespace(directory=Path("/state/journal"))
    return Studies(
        gate=Any_(trusted=lambda: SimpleNamespace(rules=SimpleNamespace(judges=range(300)))),
        chronicle=Any_(ledger=SimpleNamespace(lsn=9, journal=journal)),
        clock=Any_(now=lambda: None, monotonic_s=lambda: 1.0),
        outside=outside,  # type: ignore[arg-type]  # it asks in the same way
    )


def explain(studies: Studies) -> Any:
    return studies.handlers()[Explain](CALLER, Explain(decision_id="7"))


async def test_a_study_is_this_python_with_a_request_and_has_its_time(
    studies: Studies, outside: Outside, autojump_clock: MockClock
) -> None:
    reply = await explain(studies)
    assert isinstance(reply, Explained)
    assert msgspec.json.decode(msgspec.json.encode(reply))["explanation"] == {"decision_id": "7"}
    ((argv, request, timeout_s),) = outside.asked
    assert tuple(argv[1:]) == START
    assert request == ExplainRequest("/state/journal", 7, None)
    assert timeout_s == STUDY_S


async def test_what_a_study_says_is_not_read_by_riskd_and_goes_on_to_the_byte(
    studies: Studies, outside: Outside, autojump_clock: MockClock
) -> None:
    """Megabytes of it would keep those waiting who ask the gate."""
    as_it_came = '{"b": 1.50, "a":[ ]}'
    outside.ran = Ran(0, f'{{"found":[{as_it_came}]}}')
    assert as_it_came.encode() in msgspec.json.encode(await explain(studies))


async def test_what_a_worker_asks_is_asked_in_its_name(
    studies: Studies, outside: Outside, autojump_clock: MockClock
) -> None:
    worker = Caller(Peer(0, 0, 1), Role.WORKER, Launch("mm-1", b""))
    await studies.handlers()[Explain](worker, Explain(decision_id="7"))
    ((_, request, _),) = outside.asked
    assert request == ExplainRequest("/state/journal", 7, "mm-1")


async def test_there_is_one_at_a_time_and_who_waits_too_long_is_told(
    studies: Studies, outside: Outside, autojump_clock: MockClock
) -> None:
    outside.takes_s = LINE_S * 0.6
    told: list[str] = []

    async def ask() -> None:
        try:
            await explain(studies)
            told.append("answered")
        except CommandUnavailable:
            told.append("told")

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(ask)
    assert sorted(told) == ["answered", "answered", "told", "told"]
    assert outside.most == 1
    await explain(studies)


async def test_an_operator_is_answered_however_many_others_ask(
    studies: Studies, outside: Outside, autojump_clock: MockClock
) -> None:
    outside.takes_s = LINE_S * 0.4
    worker = Caller(Peer(0, 0, 1), Role.WORKER, Launch("mm-1", b""))

    async def ask() -> None:
        while True:
            with contextlib.suppress(CommandUnavailable):
                await studies.handlers()[Explain](worker, Explain(decision_id="7"))

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(ask)
        await trio.sleep(1)
        for _ in range(5):
            assert isinstance(await explain(studies), Explained)
        assert outside.most == 1
        nursery.cancel_scope.cancel()


async def test_who_is_cancelled_gives_his_place_to_the_next(
    studies: Studies, outside: Outside, autojump_clock: MockClock
) -> None:
    outside.takes_s = 1e9
    with trio.move_on_after(1):
        await explain(studies)
    outside.takes_s = 1.0
    assert isinstance(await explain(studies), Explained)


@pytest.mark.parametrize(
    ("ran", "code"),
    [
        (Ran(None, ""), "too_long"),
        (Ran(0, said(Answer(refused=("no_mark", "there is none")))), "no_mark"),
    ],
)
async def test_what_is_refused_has_a_code(
    studies: Studies, outside: Outside, autojump_clock: MockClock, ran: Ran, code: str
) -> None:
    outside.ran = ran
    with pytest.raises(CommandRefused) as no:
        await explain(studies)
    assert no.value.code == code


@pytest.mark.parametrize("words", ["", "Traceback ...\nMemoryError", '{"found": [', "[]"])
async def test_a_study_that_says_something_else_is_no_answer(
    studies: Studies, outside: Outside, autojump_clock: MockClock, words: str
) -> None:
    outside.ran = Ran(-9, words)
    with pytest.raises(CommandUnavailable, match="ended with -9"):
        await explain(studies)


async def test_more_than_can_be_told_at_once_is_refused_before_it_is_judged(
    studies: Studies, outside: Outside
) -> None:
    for question in (WhatIf(orders=[ORDER] * 100), WhatIf(orders=[ORDER] * 100, together=True)):
        assert ROWS_MAX < 100 * 300
        with pytest.raises(CommandRefused) as no:
            await studies.handlers()[WhatIf](CALLER, question)
        assert no.value.code == "too_much_at_once"
    assert outside.asked == []


@pytest.mark.parametrize("together", [True, False])
async def test_what_nobody_could_judge_now_is_not_supposed_either(
    studies: Studies, outside: Outside, together: bool
) -> None:
    def trusted() -> None:
        raise NotJudged("in doubt")

    studies.gate = Any_(trusted=trusted)
    with pytest.raises(CommandUnavailable, match="in doubt"):
        await studies.handlers()[WhatIf](CALLER, WhatIf(orders=[ORDER], together=together))
    assert outside.asked == []
