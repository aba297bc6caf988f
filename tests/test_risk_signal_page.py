"""The page about the risk signal: what it shows is true as it is printed."""

import re
from pathlib import Path
from typing import get_args

import msgspec
from click.testing import CliRunner
from riskd.actors.core.signal.assessment import FIGURES
from riskd.actors.core.signal.sources import Said, read, signal_of
from riskd.actors.messages import signal
from riskd.actors.messages.gate import RiskLevel
from riskd.config import parse
from riskd.config.schema import OutsideSignal, RiskSignal
from riskd.tools.riskctl import main

PAGE = (Path(__file__).parents[1] / "docs" / "risk-signal.md").read_text(encoding="utf-8")
DEFAULTS = RiskSignal()


def rows(head: str) -> list[tuple[str, ...]]:
    table = PAGE.partition(head)[2].partition("\n\n")[0].splitlines()[2:]
    return [tuple(cell.strip(" `") for cell in row.strip("|").split(" | ")) for row in table]


def test_its_figures_and_their_limits_are_the_defaults() -> None:
    told = [(name, warning, most.strip(" |")) for name, _, warning, most in rows("| figure |")]
    assert told == [
        (name, str(getattr(DEFAULTS, low)), "" if high is None else str(getattr(DEFAULTS, high)))
        for name, low, high in FIGURES
    ]


def test_its_example_is_a_valid_configuration() -> None:
    (toml,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    config = parse(toml, "docs/risk-signal.md", {"RISK_SIGNAL_TOKEN": "x"}).config
    assert config.risk_signal.outside.is_expected


def test_its_answer_is_read_and_has_every_field() -> None:
    (text,) = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    said = read(text)
    assert signal_of(said).level == "critical"
    assert set(msgspec.json.decode(text)) == set(Said.__struct_fields__)


def test_its_commands_are_ones() -> None:
    for words in re.findall(r"^riskctl (.*)$", PAGE, re.MULTILINE):
        found = CliRunner().invoke(main, [*words.split(), "--help"])
        assert found.exit_code == 0, found.output


def test_it_has_every_level_state_policy_and_fact() -> None:
    assert [row[0] for row in rows("| level |")][:3] == list(get_args(RiskLevel))
    assert {row[0] for row in rows("| state |")} == set(get_args(signal.SourceState))
    facts = {str(kind.__struct_config__.tag) for kind in get_args(signal.Facts)}
    assert {row[0] for row in rows("| fact |")} == facts
    (policy,) = [f for f in msgspec.structs.fields(OutsideSignal) if f.name == "policy"]
    assert all(f"`{word}`" in PAGE for word in get_args(get_args(policy.type)[0]))
