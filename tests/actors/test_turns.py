"""Turns: a crowd gets so much of a round of the loop, and everybody of it is served."""

from collections.abc import AsyncIterator

import pytest
import trio
from hypothesis import example, given
from hypothesis import strategies as st
from riskd.actors.turns import ROUND_S, Turns
from trio.testing import MockClock, assert_no_checkpoints

COST_S = ROUND_S / 2.5


@pytest.fixture
async def turns() -> AsyncIterator[Turns]:
    async with trio.open_nursery() as nursery:
        one = Turns()
        nursery.start_soon(one.run)
        yield one
        nursery.cancel_scope.cancel()


async def test_without_a_crowd_it_costs_no_checkpoint(turns: Turns) -> None:
    with assert_no_checkpoints():
        await turns.take()
        turns.spend(ROUND_S * 0.9)
        await turns.take()


async def test_what_is_spent_is_given_again_by_the_next_round(turns: Turns) -> None:
    with trio.fail_after(1):
        for _ in range(100):
            await turns.take()
            turns.spend(2 * ROUND_S)


def rounds(costs: list[list[float]]) -> tuple[list[float], list[int]]:
    """Clients who all want to be served at once, as often as they have costs. What was spent
    between two looks of somebody who is always there, and how often each was served."""
    spent: list[float] = []
    served = [0] * len(costs)

    async def main() -> None:
        turns, now_s = Turns(), 0.0

        async def client(number: int) -> None:
            nonlocal now_s
            for cost_s in costs[number]:
                await turns.take()
                turns.spend(cost_s)
                now_s += cost_s
                served[number] += 1

        async def look() -> None:
            while True:
                began_s = now_s
                await trio.lowlevel.checkpoint()
                spent.append(now_s - began_s)

        async with trio.open_nursery() as everyone:
            everyone.start_soon(turns.run)
            everyone.start_soon(look)
            async with trio.open_nursery() as clients:
                for number in range(len(costs)):
                    clients.start_soon(client, number)
            everyone.cancel_scope.cancel()

    trio.run(main, clock=MockClock(rate=1.0))
    return spent, served


@example([[COST_S] * 3] * 40)
@given(st.lists(st.lists(st.floats(0.0, COST_S), max_size=20), max_size=40))
def test_in_a_round_a_crowd_gets_no_more_than_its_part(costs: list[list[float]]) -> None:
    spent, served = rounds(costs)
    # From one look to the next a round may begin twice: who is first in one is last in another.
    assert max(spent, default=0.0) <= 3 * (ROUND_S + COST_S) + 1e-9
    assert served == [len(each) for each in costs]


async def test_who_gives_up_while_he_waits_takes_nobodys_turn(turns: Turns) -> None:
    served: list[str] = []

    async def wait(name: str, scope: trio.CancelScope) -> None:
        with scope:
            await turns.take()
            served.append(name)

    with trio.fail_after(1):
        async with trio.open_nursery() as nursery:
            await turns.take()
            turns.spend(ROUND_S)
            hurried, patient = trio.CancelScope(), trio.CancelScope()
            nursery.start_soon(wait, "hurried", hurried)
            nursery.start_soon(wait, "patient", patient)
            hurried.cancel()
    assert served == ["patient"]
