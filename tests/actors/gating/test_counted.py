"""The gate counts what it answers: each order once, whoever asks however often, and each check."""

from typing import Any

from riskd.actors.core.gate.asked import Identity
from riskd.actors.messages import OrderAsked

Desk = Any  # the class of these fixtures lives in conftest.py


def order(name: str, **more: Any) -> OrderAsked:
    said = {"account": "main", "symbol": "X", "side": "buy", "qty": "6", "price": "100", **more}
    return OrderAsked(client_order_id=name, **said)


def counted(desk: Desk) -> dict[tuple[str, ...], int]:
    return {
        (one.name.removeprefix("risk_gate_"), *one.labels.values()): one.value
        for one in desk.gate.tally.counters()
    }


def test_each_order_counts_once_and_each_check_takes_its_time(limited: Desk) -> None:
    for name in "aab":
        limited.check(order(name))
    limited.check(order("c", symbol="Q"))
    limited.check(order("d", account="other"), Identity("mm-1", "main", None))
    assert counted(limited) == {
        ("allows_total", "ok"): 1,
        ("blocks_total", "max_position", "account:main"): 1,
        ("blocks_total", "unknown_symbol", "other"): 1,
        ("blocks_total", "not_your_account", "other"): 1,
    }
    assert limited.gate.tally.latency().count == 5


def test_what_nobody_could_judge_or_write_counts_as_a_block_for_that(limited: Desk) -> None:
    limited.is_serving = False
    limited.check(order("a"))
    limited.is_serving, limited.doubt = True, "in doubt"
    limited.check(order("a"))
    limited.doubt, limited.keeps_positions = None, False
    limited.check(order("a"))
    assert counted(limited) == {
        ("blocks_total", "gate_unavailable"): 1,
        ("blocks_total", "in_doubt"): 1,
        ("blocks_total", "position_keeper_unavailable"): 1,
    }
    assert limited.gate.tally.latency().count == 3
