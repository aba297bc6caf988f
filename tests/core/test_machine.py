"""When the machine can't be relied on: each measure against its limit."""

from collections.abc import Sequence
from decimal import Decimal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.machine import Clocks, Found, Measures, mib, unsafe


@attrs.frozen
class Limits:
    clock_step_s: float = 5.0
    sync_stall_s: float = 10.0
    free_mib: int = 64


WELL = Measures(step_s=0.0, sync_age_s=0.0, free_mib=Decimal(1000), silent_s=1.0)


def found(**keys: object) -> list[Found]:
    return list(unsafe(attrs.evolve(WELL, **keys), Limits()))


def test_a_machine_that_is_well_gives_no_reason() -> None:
    assert found() == []
    assert found(free_mib=None) == []


@given(st.floats(-1e6, 1e6))
def test_a_clock_that_jumps_by_the_limit_either_way_is_a_reason(step_s: float) -> None:
    reasons = found(step_s=step_s)
    assert [each.cause for each in reasons] == (["clock"] if abs(step_s) >= 5 else [])
    assert {each.source for each in reasons} <= {"clock"}
    for each in reasons:
        assert ("forward" if step_s > 0 else "back") in each.reason
        assert f"{abs(step_s):.3f} s" in each.reason


def test_a_jump_forward_may_have_been_a_suspend_and_says_so() -> None:
    assert found(step_s=7200.5) == [
        Found(
            "clock",
            "clock",
            "the wall clock went forward by 7200.500 s against the monotonic one, and 5 s is the "
            "limit: it was set, or the machine was suspended",
        )
    ]
    assert "suspended" not in found(step_s=-7200.5)[0].reason


@given(st.floats(0, 1e4))
def test_a_sync_that_takes_as_long_as_the_limit_is_a_reason(age_s: float) -> None:
    assert [each.source for each in found(sync_age_s=age_s)] == (["disk"] if age_s >= 10 else [])


@given(st.floats(0, 1e4), st.none() | st.just(Decimal(1000)))
def test_a_disk_that_does_not_tell_its_room_is_one_that_stalls(
    age_s: float, free: Decimal | None
) -> None:
    reasons = found(silent_s=age_s, free_mib=free)
    assert [each.source for each in reasons] == (["disk"] if age_s >= 10 else [])


@given(st.integers(0, 10**9), st.integers(0, 10_000))
def test_less_room_than_the_limit_is_a_reason_and_with_0_only_none_at_all(
    free_bytes: int, limit: int
) -> None:
    measures = attrs.evolve(WELL, free_mib=mib(free_bytes))
    reasons = list(unsafe(measures, Limits(free_mib=limit)))
    assert bool(reasons) == (free_bytes < max(limit * 2**20, 2**20 / 1000))


def test_each_reason_is_given() -> None:
    assert len(found(step_s=9.0, sync_age_s=99.0, free_mib=Decimal(1), silent_s=99.0)) == 4


@pytest.mark.parametrize(
    ("looks", "steps"),
    [
        ([(1000, 10), (1001, 11), (1002.5, 12.5)], [0, 0, 0]),
        ([(1000, 10), (8201, 11), (8202, 12)], [0, 7200, 0]),
        ([(1000, 10), (401, 11)], [0, -600]),
        ([(1000, 10), (1100, 110)], [0, 0]),
    ],
    ids=["steady", "forward", "back", "stopped as a process"],
)
def test_a_step_is_what_the_wall_clock_went_further_than_the_monotonic_one(
    looks: Sequence[tuple[float, float]], steps: Sequence[float]
) -> None:
    clocks = Clocks()
    assert [clocks.step_s(*look) for look in looks] == steps
