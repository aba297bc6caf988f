"""`riskctl explain` and `check`: what they send, what they print, and how they end."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from riskd.actors.messages import Command, Explain, Explained, LimitPut, Reply, Supposed, WhatIf
from riskd.tools.riskctl import explaining, main, page, show_explained

Run = Callable[..., Result]

PASSED = {
    "decision": "allow",
    "qty": "3",
    "code": "ok",
    "reason": "every rule passes",
    "rule": None,
    "scope": None,
    "limit": None,
    "value": None,
    "headroom": None,
    "max_qty": "3",
    "missing": None,
    "risk_level": "info",
    "ess_active": False,
}
CUT = {
    **PASSED,
    "decision": "scale_down",
    "qty": "2",
    "code": "max_position",
    "reason": "max_position of account:main: 3 would exceed the limit of 2",
    "rule": "max_position",
    "scope": "account:main",
    "limit": "2",
    "value": "3",
    "headroom": "2",
    "max_qty": "2",
}
ROW = {
    "rule": "max_position@account:main",
    "kind": "max_position",
    "scope": "account:main",
    "stage": 12,
    "outcome": "cap",
    "objects": True,
    "code": "max_position",
    "limit": "2",
    "value": "3",
    "headroom": "2",
    "max_qty": "2",
    "missing": None,
}
ORDER = {
    "client_order_id": "o",
    "account": "main",
    "symbol": "X",
    "side": "buy",
    "qty": "3",
    "price": "100",
    "strategy": "mm",
}
SAME = {
    "decision_id": "7",
    "lsn": 7,
    "at": "2026-01-02T03:04:05.000006Z",
    "worker": None,
    "amends": False,
    "order": ORDER,
    "verdict": CUT,
    "is_equal": True,
    "recomputed": CUT,
    "differences": [],
    "decided_by": "max_position@account:main",
    "rules": [ROW],
}
OTHER = {
    **SAME,
    "is_equal": False,
    "recomputed": PASSED,
    "differences": [{"field": "headroom", "recorded": "2.0", "recomputed": None}],
}
WORDS = ("check", "--account", "main", "--symbol", "X", "--side", "buy", "--qty", "3")


class Riskd:
    """What it was asked, and what it says."""

    def __init__(self) -> None:
        self.asked: list[Command] = []
        self.explanation: dict[str, Any] = SAME
        self.verdicts: list[dict[str, Any]] = []

    def ask(self, command: Command, _expected: object, **_: object) -> Reply:
        self.asked.append(command)
        if isinstance(command, Explain):
            return Explained(explanation=self.explanation)
        assert isinstance(command, WhatIf)
        said = [
            {
                "lsn": 6,
                "order": {**ORDER, "client_order_id": order.client_order_id},
                "verdict": self.verdicts.pop(0) if self.verdicts else PASSED,
                "answered_before": None,
                "decided_by": None,
                "rules": [ROW],
            }
            for order in command.orders
        ]
        return Supposed(lsn=6, decisions=said)

    @property
    def question(self) -> WhatIf:
        (found,) = self.asked
        assert isinstance(found, WhatIf)
        return found


@pytest.fixture
def riskd(monkeypatch: pytest.MonkeyPatch) -> Riskd:
    found = Riskd()
    monkeypatch.setattr(explaining, "ask", found.ask)
    return found


@pytest.fixture
def run(riskd: Riskd) -> Run:
    def run(*words: str, **more: Any) -> Result:
        return CliRunner().invoke(main, list(words), prog_name="riskctl", **more)

    return run


# --- explain --------------------------------------------------------------------------------------


def test_a_decision_is_told_with_what_decided_it(run: Run, riskd: Riskd) -> None:
    said = run("explain", "7")
    assert said.exit_code == 0
    assert riskd.asked == [Explain(decision_id="7")]
    assert said.stdout.splitlines() == [
        "decision 7, 2026-01-02T03:04:05Z, asked by an operator",
        "o: buy 3 X at 100 in main (strategy mm)",
        f"scale_down 2 (max_position): {CUT['reason']}",
        "decided by max_position@account:main",
        "the limit 2, with the order 3, left before it 2, would pass 2",
        "made again from the facts before it: the same, byte for byte",
        "",
        "rule                       says  limit  value  left  would pass  missing",
        "max_position@account:main  cap   2      3      2     2           -",
    ]


@pytest.mark.parametrize(
    ("number", "told"),
    [
        ("0.009900990099009900990099009901", "0.00990099…"),
        ("1.999999999", "1.99999999…"),
        ("-0.123456789", "-0.12345678…"),
        ("0.00000001", "0.00000001"),
        ("12345678901", "12345678901"),
        ("-", "-"),
    ],
)
def test_a_long_number_is_cut_and_never_rounded_up(number: str, told: str) -> None:
    assert page.brief(number) == told


def test_a_journal_without_decisions_is_not_called_the_same() -> None:
    (line,) = show_explained.recomputed({"decisions": 0, "unequal": 0, "told": []})
    assert isinstance(line, page.Line)
    assert "nothing was compared" in line.text


def test_one_that_comes_out_otherwise_shows_both_and_ends_with_1(run: Run, riskd: Riskd) -> None:
    riskd.explanation = OTHER
    said = run("explain", "7")
    assert said.exit_code == 1
    assert "COMES OUT OTHERWISE" in said.stdout
    assert f"recorded:   scale_down 2, {CUT['reason']}" in said.stdout
    assert "recomputed: allow 3, every rule passes" in said.stdout
    assert "headroom: '2.0', and now None" in said.stdout
    assert run("explain", "7", "--json").exit_code == 1


def test_with_json_it_is_the_document_that_riskd_gave(run: Run) -> None:
    assert json.loads(run("explain", "7", "--json").stdout) == SAME


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("x",),
        ("-7",),
        ("7", "--all"),
        ("7", "--from", "3"),
        ("7", "--to", "3"),
        ("--all", "--from", "4", "--to", "3"),
    ],
)
def test_what_is_no_question_about_a_decision_is_a_wrong_line(
    run: Run, riskd: Riskd, words: tuple[str, ...]
) -> None:
    assert run("explain", *words).exit_code == 2
    assert riskd.asked == []


# --- check ----------------------------------------------------------------------------------------


def test_an_order_is_asked_about_as_it_is_written(run: Run, riskd: Riskd) -> None:
    said = run(
        *WORDS, "--price", "100.50", "--order-type", "stop_limit", "--stop-price", "99",
        "--stop-loss", "90", "--strategy", "mm", "--exchange", "sim", "--reduce-only",
        "--client-order-id", "mine", "--shock", "X=-5%", "--shock", "Y=12.5",
        "--set", "max_position@all", "max_qty", "3", "--set", "daily_loss@all", "max_pct", "unset",
    )  # fmt: skip
    assert said.exit_code == 0, said.output
    (order,) = riskd.question.orders
    assert (order.client_order_id, order.qty, order.price) == ("mine", "3", "100.50")
    assert (order.order_type, order.stop_price, order.stop_loss) == ("stop_limit", "99", "90")
    assert (order.strategy, order.exchange, order.reduce_only) == ("mm", "sim", True)
    assert riskd.question.marks == {"X": "-5%", "Y": "12.5"}
    assert riskd.question.limits == (
        LimitPut(rule="max_position@all", key="max_qty", value="3"),
        LimitPut(rule="daily_loss@all", key="max_pct", value=None),
    )


def test_an_order_without_an_id_gets_one_that_no_other_has(run: Run, riskd: Riskd) -> None:
    for _ in range(2):
        assert run(*WORDS).exit_code == 0
    names = {each.orders[0].client_order_id for each in riskd.asked if isinstance(each, WhatIf)}
    assert len(names) == 2


@pytest.mark.parametrize("decision", ["scale_down", "block"])
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_one_that_would_not_pass_whole_ends_with_1_and_says_why(
    run: Run, riskd: Riskd, decision: str, options: tuple[str, ...]
) -> None:
    riskd.verdicts = [{**CUT, "decision": decision}]
    said = run(*WORDS, *options)
    assert said.exit_code == 1
    assert f"{decision}: {CUT['reason']}" in said.stderr
    if options:
        assert json.loads(said.stdout)["decisions"][0]["verdict"]["decision"] == decision
    else:
        assert "max_position@account:main" in said.stdout


def test_a_batch_is_asked_about_in_parts_as_large_as_riskd_takes(
    run: Run, riskd: Riskd, tmp_path: Path
) -> None:
    lines = [json.dumps({**ORDER, "client_order_id": f"o{number}"}) for number in range(201)]
    file = tmp_path / "orders.jsonl"
    file.write_text("\n\n".join(lines))
    said = run("check", "--batch", str(file), "--json")
    assert said.exit_code == 0
    assert [len(each.orders) for each in riskd.asked if isinstance(each, WhatIf)] == [100, 100, 1]
    assert len(json.loads(said.stdout)["decisions"]) == 201
    riskd.verdicts = [PASSED, CUT]
    assert run("check", "--batch", "-", input="\n".join(lines[:3])).exit_code == 1
    assert run("check", "--batch", str(file), "--together").exit_code == 2


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", ":1: "),
        ('{"account": "main"}', ":1: "),
        ("[]", ":1: "),
        (json.dumps({**ORDER, "x": 1}), "x"),
        (" " * 20_000 + "{", "longer"),
        ("", "no order"),
    ],
)
def test_a_line_that_is_no_order_is_named(
    run: Run, riskd: Riskd, line: str, says: str, tmp_path: Path
) -> None:
    file = tmp_path / "orders"
    file.write_text(line)
    said = run("check", "--batch", str(file))
    assert said.exit_code == 2
    assert says in said.stderr
    assert riskd.asked == []


def test_what_an_order_lacks_is_named_as_it_is_written_here(run: Run) -> None:
    said = run("check", "--account", "main", "--side", "buy")
    assert "an order needs --symbol, --qty" in said.stderr


def test_an_order_may_name_an_override(run: Run, riskd: Riskd) -> None:
    run(*WORDS, "--override", "ov1")
    (asked,) = riskd.asked
    assert isinstance(asked, WhatIf)
    assert asked.orders[0].override == "ov1"


@pytest.mark.parametrize(
    "words",
    [
        ("check",),
        ("check", "--account", "main"),
        (*WORDS, "--batch", "f"),
        (*WORDS, "--shock", "X"),
        (*WORDS, "--shock", "X=5 %"),
        (*WORDS, "--shock", "X=nan"),
        (*WORDS, "--set", "", "key", "1"),
        ("check", "--batch", "/nowhere/at/all"),
    ],
)
def test_what_is_no_question_about_an_order_is_a_wrong_line(
    run: Run, riskd: Riskd, words: tuple[str, ...]
) -> None:
    assert run(*words).exit_code == 2
    assert riskd.asked == []
