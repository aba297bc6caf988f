"""Reason codes are a closed set: nothing else is ever said, kept or read."""

from decimal import Decimal
from typing import Any, get_args

import msgspec
import pytest
from riskd.actors.core.gate.rules import JUDGES
from riskd.actors.core.gate.words import OF_RULES, SENTENCES, reason
from riskd.actors.messages import Verdict
from riskd.actors.messages.reasons import Code
from riskd.config.schema.rules.kinds import RuleKind


def test_the_kinds_are_those_of_the_rules() -> None:
    assert set(get_args(RuleKind)) == {rule.__struct_config__.tag for rule in JUDGES}


@pytest.mark.parametrize("code", get_args(Code))
def test_a_verdict_with_a_code_comes_back_as_it_went(code: Code) -> None:
    verdict = Verdict(decision="block", qty=Decimal(0), code=code)
    assert msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict) == verdict


def test_a_verdict_with_another_code_is_none() -> None:
    with pytest.raises(msgspec.ValidationError, match="code"):
        msgspec.json.decode(b'{"decision":"block","qty":"0","code":"melted"}', type=Verdict)


def test_each_sentence_is_of_a_code() -> None:
    assert set(SENTENCES) | set(OF_RULES) <= set(get_args(Code))
    assert not set(SENTENCES) & set(OF_RULES)


def said(rule: str, code: Any, **more: Any) -> str:
    scope = "account:main"
    return reason(
        Verdict(decision="block", qty=Decimal(0), code=code, rule=rule, scope=scope, **more)
    )


@pytest.mark.parametrize(
    ("rule", "numbers", "words"),
    [
        ("daily_loss", ("603", "600", None), "a loss of 603 has reached the limit of 600"),
        ("max_position", ("2.5", "2", "0.5"), "2.5 would exceed the limit of 2; 0.5 would pass"),
        ("liquidation_distance", ("8", "10", None),
         "a distance of 8 % would be below the least, 10 %"),
        ("consecutive_losses", ("3", "3", None),
         "3 losses in a row have reached the limit of 3"),
    ],
)  # fmt: skip
def test_what_a_rule_found_is_a_sentence(rule: str, numbers: Any, words: str) -> None:
    value, limit, most = (None if one is None else Decimal(one) for one in numbers)
    found = said(rule, rule, value=value, limit=limit, max_qty=most)
    assert found == f"{rule} of account:main: {words}"


@pytest.mark.parametrize("code", get_args(Code))
def test_every_code_has_one_with_its_numbers_and_without(code: Any) -> None:
    rule = code if code in get_args(RuleKind) else "max_gross"
    numbers = {"value": Decimal("2.5"), "limit": Decimal("1.25"), "missing": "mark of L"}
    for found in (said(rule, code, **numbers), said(rule, code)):
        assert "{" not in found
        assert len(found.split()) > 2
    if code in get_args(RuleKind):
        assert "1.25" in said(rule, code, **numbers)
        assert "None" not in said(rule, code)
