"""Reason codes are a closed set: nothing else is ever said, kept or read."""

from decimal import Decimal
from typing import get_args

import msgspec
import pytest
from riskd.actors.core.gate.reply import SENTENCES
from riskd.actors.core.gate.rules import JUDGES
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
    assert set(SENTENCES) <= set(get_args(Code))
