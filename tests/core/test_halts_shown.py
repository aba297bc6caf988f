"""How the kill switch and the halts are shown: the keys are a contract."""

from datetime import UTC, datetime, timedelta
from typing import Any

from riskd.actors.core.halts import (
    halts_shown,
    shown,
)
from riskd.actors.messages import (
    By,
    Halt,
    HaltPlaced,
    KillSwitchTriggered,
    RecoveryStarted,
    Until,
    UntilCondition,
    UntilElapsed,
    UntilInstant,
    UntilOperator,
    UntilSession,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
BOB = By(via="socket", user_id=1000, user="bob", process_id=4711)
KILL = KillSwitchTriggered(by=BOB, cause="manual", source="operator", reason="the feed is wrong")
RECOVERY = RecoveryStarted(by=BOB, approved_by="alice", cooldown_s=300.0)


def halt(until: Until | None = None, **other: Any) -> Halt:
    wanted: dict[str, Any] = {
        "scope": "account:main",
        "mode": "halt",
        "cause": "manual",
        "source": "operator",
        "reason": "news",
        "until": UntilOperator() if until is None else until,
    }
    return Halt(**(wanted | other))


def placed(halt_id: int, until: Until | None = None, **other: Any) -> HaltPlaced:
    return HaltPlaced(halt_id=halt_id, halt=halt(until, **other), by=BOB)


def test_an_active_kill_switch_is_shown_with_no_reason(history):
    assert shown(history.halted, history.now, 300) == {
        "state": "ACTIVE",
        "reason": None,
        "cause": None,
        "since": None,
        "triggers": [],
        "recovery": None,
        "epoch": 1,
    }


def test_a_recovery_is_shown_with_its_first_reason_and_what_it_waits_for(history):
    history.make(KILL)
    history.passes(1)
    history.make(
        KillSwitchTriggered(by=By(via="riskd"), cause="disk", source="disk", reason="it is full")
    )
    history.make(RECOVERY)
    history.passes(0.12345)
    bob = {"via": "socket", "user_id": 1000, "user": "bob", "process_id": 4711}
    riskd = {"via": "riskd", "user_id": None, "user": None, "process_id": None}
    assert shown(history.halted, history.now, 300) == {
        "state": "RECOVERING",
        "reason": "the feed is wrong",
        "cause": "manual",
        "since": "2026-11-21T12:00:00+00:00",
        "triggers": [
            {
                "cause": "manual",
                "source": "operator",
                "reason": "the feed is wrong",
                "by": bob,
                "at": "2026-11-21T12:00:00+00:00",
                "lsn": 2,
            },
            {
                "cause": "disk",
                "source": "disk",
                "reason": "it is full",
                "by": riskd,
                "at": "2026-11-21T12:00:01+00:00",
                "lsn": 3,
            },
        ],
        "recovery": {
            "approved_by": "alice",
            "by": bob,
            "since": "2026-11-21T12:00:01+00:00",
            "cooldown_left_s": 299.877,
        },
        "epoch": 3,
    }


def test_a_halt_is_shown_with_what_it_waits_for(history):
    history.make(placed(1, UntilElapsed(seconds=60), mode="reduce_only", scope="symbol:BTC"))
    history.passes(0.5)
    history.make(placed(2, UntilSession(at=NOON + timedelta(seconds=30))))
    history.make(placed(3, UntilInstant(at=NOON + timedelta(seconds=20))))
    history.make(placed(4, UntilCondition(condition="reconciled")))
    history.make(placed(5))
    first, *others = halts_shown(history.halted, history.now)
    assert first == {
        "id": 1,
        "scope": "symbol:BTC",
        "mode": "reduce_only",
        "cause": "manual",
        "source": "operator",
        "reason": "news",
        "by": {"via": "socket", "user_id": 1000, "user": "bob", "process_id": 4711},
        "since": "2026-11-21T12:00:00+00:00",
        "until": "elapsed",
        "until_at": None,
        "condition": None,
        "ends_in_s": 59.5,
        "repeat": 0,
    }
    keys = ("until", "until_at", "condition", "ends_in_s")
    assert [tuple(one[key] for key in keys) for one in others] == [
        ("session", "2026-11-21T12:00:30+00:00", None, 29.5),
        ("instant", "2026-11-21T12:00:20+00:00", None, 19.5),
        ("condition", None, "reconciled", None),
        ("operator", None, None, None),
    ]


def test_what_is_not_over_is_not_shown_as_over(history):
    history.make(placed(1, UntilElapsed(seconds=0.0004)))
    (shown,) = halts_shown(history.halted, history.now)
    assert shown["ends_in_s"] == 0.001
