"""A real riskd asks its own gate through the real socket, and stops when that permits too much."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from riskd.actors.messages import (
    Check,
    Decision,
    KillActor,
    Marked,
    OrderAsked,
    OrdersAre,
    ShowOrders,
)

Start = Callable[..., "RunningDaemon"]  # noqa: F821 - the fixture's class lives in conftest.py

CONFIG = """
[accounts.main]
balance = "1000000"
[[instruments]]
symbol = "X"
quote = "USD"
max_qty = "{}"
[[rules]]
kind = "fresh_data"
max_mark_age_s = 3600
[lease]
length_s = 10
[gate]
canary_s = 0.2
{}
"""
ALLOWING = """
from decimal import Decimal
from riskd.actors import gate
from riskd.actors.core.gate.decision import Decided
from riskd.actors.messages import Verdict
from riskd.supervisor import cli

right = gate.decide

def decide(order, who, known, moment, **more):
    found = right(order, who, known, moment, **more)
    if found.verdict.code not in {codes}:
        return found
    verdict = Verdict(decision="allow", qty=Decimal(7), code="ok", max_qty=Decimal(7))
    return found._replace(verdict=verdict)

gate.decide = decide
cli.main()
"""
BLIND = """
from riskd.actors.core.gate.rules.order import OrderValidity
from riskd.supervisor import cli

OrderValidity.judge = lambda self, view: None
cli.main()
"""
SPEECHLESS = """
import trio
from riskd.actors import orders
from riskd.actors.core.gate.asked import CANARY
from riskd.supervisor import cli

right = orders.Orders._check

async def check(self, caller, command):
    if self.who(caller).worker == CANARY:
        await trio.sleep_forever()
    return await right(self, caller, command)

orders.Orders._check = check
cli.main()
"""


def configured(place: Path, *, max_qty: str = "100", more: str = "") -> tuple[str, str]:
    file = place / "riskd.toml"
    file.write_text(CONFIG.format(max_qty, more))
    return "--config", str(file)


def canary(daemon: Any) -> dict[str, Any]:
    found = daemon.status()["canary"]
    assert isinstance(found, dict)
    return found


def test_a_gate_that_is_well_answers_and_nothing_comes_of_it(start: Start, place: Path) -> None:
    daemon = start(*configured(place)).wait_ready()
    daemon.ask(Marked(symbol="X", price="1"))
    daemon.until(lambda: canary(daemon)["answers"] >= 14)
    status = daemon.status()
    assert (status["halts"], status["canary"]["failures"], status["canary"]["misses"]) == ([], 0, 0)
    assert status["canary"]["last_at"].endswith("Z")
    assert status["canary"]["warning"] is None
    order = OrderAsked(client_order_id="o1", account="main", symbol="X", side="buy", qty="1")
    reply = daemon.ask(Check(order=order))
    assert isinstance(reply, Decision)
    assert reply.decision == "allow"
    assert "canary" not in daemon.logged()


@pytest.mark.parametrize(
    "codes",
    ["{'unknown_symbol'}", "{'unknown_account'}", "{'not_finite', 'too_many_digits'}",
     "{'id_reused'}", "{'qty_above_max'}"],
)  # fmt: skip
def test_a_gate_that_allows_what_it_must_refuse_is_halted_within_a_round(
    start: Start, place: Path, codes: str
) -> None:
    program = ALLOWING.replace("{codes}", codes)
    daemon = start(*configured(place), program=program).wait_ready()
    daemon.until(lambda: bool(daemon.status()["halts"]))
    status = daemon.status()
    (halt,) = status["halts"]
    assert (halt["scope"], halt["mode"], halt["until"]) == ("all", "halt", "operator")
    assert (halt["cause"], halt["source"]) == ("watchdog", "canary")
    assert status["canary"]["answers"] <= 6
    daemon.until_logged("canary.failed")
    assert not orders(daemon)
    assert daemon.status()["kill_switch"]["doubt"] is None


def test_a_rule_that_allows_everything_is_found_out(start: Start, place: Path) -> None:
    daemon = start(*configured(place), program=BLIND).wait_ready()
    daemon.ask(Marked(symbol="X", price="1"))
    daemon.until(lambda: bool(daemon.status()["halts"]))
    daemon.until_logged("canary.failed")
    assert '"kind":"too_large"' in daemon.logged()
    assert not orders(daemon)
    order = OrderAsked(client_order_id="o1", account="main", symbol="X", side="buy", qty="1")
    assert daemon.ask(Check(order=order)).code == "halted"


def orders(daemon: Any) -> list[Any]:
    reply = daemon.ask(ShowOrders())
    assert isinstance(reply, OrdersAre)
    return reply.orders


def test_silence_halts_until_there_is_an_answer_again(start: Start, place: Path) -> None:
    daemon = start(*configured(place), program=SPEECHLESS).wait_ready()
    daemon.until(lambda: bool(daemon.status()["halts"]))
    (halt,) = daemon.status()["halts"]
    assert (halt["until"], halt["condition"], halt["source"]) == ("condition", "canary", "canary")
    daemon.until_logged("canary.silent")
    assert canary(daemon)["warning"] is not None
    daemon.process.kill()
    daemon.end()
    again = start(*configured(place)).wait_ready()
    again.until(lambda: canary(again)["answers"] > 0)
    again.until(lambda: "canary" not in [each["source"] for each in again.status()["halts"]])


def test_that_it_is_off_is_said(start: Start, place: Path) -> None:
    file = place / "riskd.toml"
    file.write_text("[gate]\ncanary_s = 0\n")
    daemon = start("--config", str(file)).wait_ready()
    assert canary(daemon)["warning"] is not None
    assert canary(daemon)["every_s"] == 0


def test_a_crash_of_the_gate_or_of_the_socket_is_no_failure(start: Start, place: Path) -> None:
    daemon = start(*configured(place)).wait_ready()
    for name in ("gate", "control", "canary"):
        count = canary(daemon)["answers"]
        daemon.ask(KillActor(name=name))
        daemon.until(lambda before=count: canary(daemon)["answers"] > before + 2)
    assert canary(daemon)["failures"] == 0
    assert not daemon.status()["halts"]
