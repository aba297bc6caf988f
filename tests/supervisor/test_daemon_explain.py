"""A real riskd explains what it has decided, and what it would: from outside, after kills and all.

The studies are processes of their own: what becomes of one that nobody waits for is seen as the
kernel tells it.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from riskd.actors.messages import (
    Decision,
    Explain,
    Explained,
    Freeze,
    LimitPut,
    LimitsChanged,
    Marked,
    OrderAsked,
    Refused,
    Reported,
    SetLimit,
    Supposed,
    Unfreeze,
    WhatIf,
)
from riskd.supervisor.study import ExplainRequest, answer

Start = Callable[..., Any]  # the class of these fixtures lives in conftest.py
Running = Any
PATIENCE_S = 60.0
ORDERS = 600
CONFIG = """
[journal]
snapshot_facts = 1000
[accounts.main]
balance = "1000000"
exchange = "sim"
[accounts.other]
balance = "5000"
[[instruments]]
symbol = "X"
quote = "USD"
lot = "0.5"
[[instruments]]
symbol = "Y"
quote = "USD"
[[rules]]
kind = "fresh_data"
max_mark_age_s = 3600
[[rules]]
kind = "max_position"
scope = "account:main"
max_qty = "40"
on_excess = "scale_down"
[[rules]]
kind = "message_rate"
max_submits = 60
window_s = 1
"""
POSITION = "max_position@account:main"


@pytest.fixture
def riskd(start: Start, place: Path) -> Running:
    (place / "riskd.toml").write_text(CONFIG)
    return begin(start, place)


def begin(start: Start, place: Path) -> Running:
    daemon = start("--config", str(place / "riskd.toml")).wait_ready()
    for symbol in ("X", "Y"):
        assert isinstance(daemon.ask(Marked(symbol=symbol, price="100")), Reported)
    return daemon


def order(name: str, qty: str = "1", **more: Any) -> OrderAsked:
    fields = {"account": "main", "symbol": "X", "side": "buy", "price": "100", **more}
    return OrderAsked(client_order_id=name, qty=qty, **fields)


def ask(riskd: Running, commands: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All at once, and the answers to them."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE_S)
        connection.connect(str(riskd.socket))
        replies = connection.makefile("rb")
        found = []
        for command in commands:
            connection.sendall(json.dumps(command).encode() + b"\n")
            found.append(json.loads(replies.readline()))
        return found


def check(riskd: Running, one: OrderAsked) -> Decision:
    (found,) = ask(riskd, [{"type": "check", "order": msgspec.to_builtins(one)}])
    return msgspec.convert(found, Decision)


def riskctl(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-P", "-m", "riskd.tools.riskctl"]
    arguments = ["--socket", str(place / "run" / "riskd.sock"), "--timeout", "60"]
    words = (*program, *words, *arguments)
    return subprocess.run(words, capture_output=True, check=False, text=True, timeout=PATIENCE_S)


# --- every decision -------------------------------------------------------------------------------


def some(chance: Random, number: int) -> dict[str, Any]:
    """An order, or what becomes of one."""
    name, before = f"o{number}", f"o{chance.randint(0, number)}"
    kind = chance.choices(("check", "fill", "cancel", "canceled", "mark"), (12, 4, 1, 2, 1))[0]
    if kind == "mark":
        price = str(chance.randint(90, 110))
        return {"type": "mark", "symbol": chance.choice("XY"), "price": price}
    if kind != "check":
        told = {"type": kind, "account": "main", "client_order_id": before}
        more = {"fill_id": name, "symbol": "X", "side": "buy", "qty": "1", "price": "100.5"}
        return told | more if kind == "fill" else told
    fields: dict[str, Any] = {
        "client_order_id": chance.choice((name,) * 9 + (before,)),
        "account": chance.choice(("main", "main", "other", "none")),
        "symbol": chance.choice("XXXYZ"),
        "side": chance.choice(("buy", "sell")),
        "qty": chance.choice(("1", "2.50", "17", "0.3", "NaN", "1e999", "-1", "0", 7)),
        "price": chance.choice(("100", "99.5", "1e400", None, None)),
        "reduce_only": chance.choice((True, False, False, False)),
    }
    return {"type": "check", "order": fields}


def live(riskd: Running, chance: Random, begin_at: int) -> None:
    """A part of a day: orders and what becomes of them, other limits, a halt."""
    ask(riskd, [some(chance, begin_at + number) for number in range(ORDERS)])
    for value in ("10", "7.50"):
        put = SetLimit(rule=POSITION, key="max_qty", value=value, reason="chance")
        assert isinstance(riskd.ask(put), LimitsChanged)
        ask(riskd, [some(chance, begin_at + ORDERS + number) for number in range(20)])
    riskd.ask(Freeze(scope="symbol:X", reason="chance", reduce_only=True))
    ask(riskd, [some(chance, begin_at + ORDERS + 20 + number) for number in range(20)])


def test_all_that_was_decided_comes_out_the_same_whatever_happened_between(
    riskd: Running, start: Start, place: Path
) -> None:
    chance = Random(7)  # noqa: S311 - it must be the same again, and guards nothing
    live(riskd, chance, 0)
    for number in (1, 2):
        riskd.signal(signal.SIGKILL)
        riskd.end()
        riskd = begin(start, place)
        for scope in ("all", "symbol:X"):
            riskd.ask(Unfreeze(scope=scope, reason="chance"))
        live(riskd, chance, number * 1_000)
    state = str(place / "state")
    said = riskctl(place, "explain", "--all", "--state-dir", state, "--json")
    assert said.returncode == 0, said.stdout
    found = json.loads(said.stdout)
    assert found["unequal"] == 0
    assert found["equal"] == found["decisions"] > ORDERS
    words = ("explain", "--all", "--from", "1200", "--to", "1300", "--state-dir", state)
    assert "byte for byte" in riskctl(place, *words).stdout


# --- one ------------------------------------------------------------------------------------------


def test_a_decision_is_explained_by_its_id(riskd: Running, place: Path) -> None:
    cut = check(riskd, order("a", "55"))
    assert (cut.decision, cut.qty) == ("scale_down", "40")
    check(riskd, order("b", "1", side="sell"))
    reply = riskd.ask(Explain(decision_id=cut.decision_id))
    assert isinstance(reply, Explained)
    found = reply.explanation
    assert found["is_equal"]
    assert found["decided_by"] == POSITION
    assert found["verdict"]["qty"] == cut.qty
    assert {row["rule"] for row in found["rules"]} > {POSITION, "fresh_data@all"}
    said = riskctl(place, "explain", str(cut.decision_id))
    assert (said.returncode, said.stderr) == (0, "")
    assert "the same, byte for byte" in said.stdout
    assert f"decided by {POSITION}" in said.stdout
    apart = riskctl(place, "explain", str(cut.decision_id), "--json", "--state-dir",
                    str(place / "state"))  # fmt: skip
    assert json.loads(apart.stdout) == found


def test_what_is_no_decision_is_refused(riskd: Running, place: Path) -> None:
    for lsn in ("1", "99999"):
        reply = riskd.ask(Explain(decision_id=lsn))
        assert isinstance(reply, Refused)
        assert reply.code == "no_decision"
    said = riskctl(place, "explain", "1")
    assert (said.returncode, said.stdout) == (1, "")
    assert "ask for the decision_id of an answer" in said.stderr


def test_a_worker_is_told_of_its_own_decisions_alone(riskd: Running, place: Path) -> None:
    """Whose one is, its fact says: this is an operator's."""
    lsn, journal = int(check(riskd, order("a")).decision_id or 0), str(place / "state" / "journal")
    for worker, code in (("mm-1", "not_your_order"), (None, None)):
        refused = answer(ExplainRequest(journal, lsn, worker)).refused
        assert (None if refused is None else refused[0]) == code


def test_facts_that_are_gone_are_said_to_be(riskd: Running, place: Path) -> None:
    """The first segment is away, and no snapshot makes up for it."""
    first = check(riskd, order("a"))
    riskd.signal(signal.SIGTERM)
    riskd.end()
    journal = place / "state" / "journal"
    (segment,) = journal.glob("*.log")
    segment.rename(journal / f"{300:020}.log")
    for snapshot in journal.glob("*.snapshot"):
        snapshot.unlink()
    words = ("explain", str(first.decision_id), "--state-dir", str(place / "state"))
    said = riskctl(place, *words)
    assert said.returncode == 1
    assert "are gone" in said.stderr
    assert "--state-dir" in said.stderr


# --- what if --------------------------------------------------------------------------------------


def test_what_is_asked_for_reserves_nothing(riskd: Running) -> None:
    lsn = riskd.status()["journal"]["lsn"]
    orders = [order(f"o{number}", "30") for number in range(5)]
    reply = riskd.ask(WhatIf(orders=orders))
    assert isinstance(reply, Supposed)
    assert [each["verdict"]["qty"] for each in reply.decisions] == ["30"] * 5
    assert riskd.status()["journal"]["lsn"] == lsn == reply.lsn
    assert check(riskd, orders[0]).decision == "allow"
    (again,) = riskd.ask(WhatIf(orders=orders[:1])).decisions
    assert again["answered_before"] == str(lsn + 1)


def test_together_each_counts_for_the_next(riskd: Running) -> None:
    orders = [order(f"o{number}", "30") for number in range(3)]
    reply = riskd.ask(WhatIf(orders=orders, together=True))
    assert isinstance(reply, Supposed)
    assert [each["verdict"]["qty"] for each in reply.decisions] == ["30", "10", "0"]
    assert check(riskd, order("x", "40")).decision == "allow", "nothing of it was true"


def test_other_marks_and_other_limits_are_supposed(riskd: Running, place: Path) -> None:
    one = order("o", "30")
    limits = (LimitPut(rule=POSITION, key="max_qty", value="12"),)
    (less,) = riskd.ask(WhatIf(orders=[one], limits=limits)).decisions
    assert (less["verdict"]["decision"], less["verdict"]["qty"]) == ("scale_down", "12")
    (dear,) = riskd.ask(WhatIf(orders=[one], marks={"X": "+2000%"})).decisions
    assert dear["verdict"]["rule"] == "single_trade_risk"
    assert dear["verdict"]["value"] == "63000"
    for wrong, code in (
        (WhatIf(orders=[one], marks={"Q": "5"}), "unknown_symbol"),
        (WhatIf(orders=[one], limits=(LimitPut(rule="no", key="k", value="1"),)), "unknown_rule"),
    ):
        reply = riskd.ask(wrong)
        assert isinstance(reply, Refused)
        assert reply.code == code
    words = ("check", "--account", "main", "--symbol", "X", "--side", "buy", "--qty", "30")
    assert riskctl(place, *words).returncode == 0
    said = riskctl(place, *words, "--set", POSITION, "max_qty", "12", "--json")
    assert said.returncode == 1
    assert "scale_down" in said.stderr
    (decision,) = json.loads(said.stdout)["decisions"]
    assert decision["verdict"]["qty"] == "12"


# --- nobody waits ---------------------------------------------------------------------------------


def studies(riskd: Running) -> Iterator[int]:
    """Whoever is started by a thread is its child; so all threads are asked. One that has not begun
    yet still has riskd's own words."""
    for task in Path(f"/proc/{riskd.process.pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if b"supervisor.study" in Path(f"/proc/{child}/cmdline").read_bytes():
                    yield int(child)


def test_who_has_gone_is_not_worked_for_any_more(riskd: Running) -> None:
    """The study is stopped before it can end, so that only a kill takes it away."""
    decision = check(riskd, order("a"))
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(riskd.socket))
        line = {"type": "explain", "decision_id": decision.decision_id}
        connection.sendall(json.dumps(line).encode() + b"\n")
        riskd.until(lambda: any(studies(riskd)))
        (study,) = studies(riskd)
        os.kill(study, signal.SIGSTOP)
    riskd.until(lambda: not any(studies(riskd)))
    assert isinstance(riskd.ask(Explain(decision_id=decision.decision_id)), Explained)


def test_the_gate_goes_on_while_a_study_hangs(riskd: Running) -> None:
    decision = check(riskd, order("a"))
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(riskd.socket))
        line = {"type": "explain", "decision_id": decision.decision_id}
        connection.sendall(json.dumps(line).encode() + b"\n")
        riskd.until(lambda: any(studies(riskd)))
        (study,) = studies(riskd)
        os.kill(study, signal.SIGSTOP)
        assert check(riskd, order("b")).decision == "allow"
        assert isinstance(riskd.ask(WhatIf(orders=[order("c")])), Supposed)
