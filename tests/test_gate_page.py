"""The page about the gate: what it shows is true as it is printed."""

import re
from pathlib import Path
from typing import get_args

from click.testing import CliRunner
from riskd.actors.core.gate.rules import JUDGES
from riskd.actors.messages.reasons import Code
from riskd.config import parse
from riskd.config.profiles import limits
from riskd.config.schema import BUILT_IN
from riskd.config.schema.rules.kinds import RuleKind
from riskd.tools.riskctl import main

PAGE = (Path(__file__).parents[1] / "docs" / "gate.md").read_text(encoding="utf-8")
TOML = "\n".join(re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
COMMANDS = re.findall(r"^riskctl (.*)$", PAGE, re.MULTILINE)


def test_its_examples_are_one_valid_configuration_that_has_the_rules_it_names() -> None:
    names = {each.rule.id for each in limits(parse(TOML, "docs/gate.md", {}).config)}
    shown = set(re.findall(r"`([\w.:]+@[\w:]+)`", PAGE))
    shown |= set(re.findall(r"[\w.:]+@[\w:]+", " ".join(COMMANDS)))
    assert shown <= names
    assert len(shown) == 2


def test_it_has_every_kind_of_rule_in_the_order_in_which_they_are_asked() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", PAGE, re.MULTILINE)
    told = {(kind, int(stage)) for stage, kinds in rows for kind in re.findall(r"`(\w+)`", kinds)}
    assert told == {
        (str(rule.__struct_config__.tag), judge.STAGE) for rule, judge in JUDGES.items()
    }


def test_it_says_of_each_reason_code_once_what_it_means() -> None:
    """A kind is one too, and has its place in the table of kinds."""
    table = PAGE.partition("| code | means | what to do |\n")[2].partition("\n\n")[0]
    told = [
        code for row in table.splitlines() for code in re.findall(r"`(\w+)`", row.split(" | ")[0])
    ]
    assert len(told) == len(set(told))
    assert set(told) == set(get_args(Code)) - set(get_args(RuleKind))


def test_its_profiles_are_the_built_in_ones() -> None:
    row = r"^\| `(\w+)`" + r" \| ([\d.]+) %" * 3 + r" \| (\d+)" * 2 + r" \|$"
    rows = re.findall(row, PAGE, re.MULTILINE)
    assert {name: tuple(values) for name, *values in rows} == {
        name: (
            str(profile.daily_loss_pct),
            str(profile.weekly_loss_pct),
            str(profile.single_trade_risk_pct),
            str(profile.max_open_positions),
            str(profile.max_leverage),
        )
        for name, profile in BUILT_IN.items()
    }


def test_its_commands_are_taken() -> None:
    """Nobody answers them here: that is 3, and a wrong line would be 2."""
    assert len(COMMANDS) == 12
    for words in COMMANDS:
        line = re.findall(r'"[^"]*"|\S+', words)
        said = CliRunner().invoke(
            main, ["--socket", "/nowhere/riskd.sock", *(each.strip('"') for each in line)]
        )
        assert said.exit_code == 3
