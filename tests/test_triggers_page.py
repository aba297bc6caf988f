"""The page about triggers: what it shows is run as it is printed."""

import re
import stat
from pathlib import Path
from typing import get_args

import pytest
from riskd.actors.core.machine import CLOCK_STEP, FREE, LOOP_LAG, SYNC_AGE
from riskd.actors.core.triggers import METRICS_MAX, Bad, Good, Outcome, ending
from riskd.actors.core.wire import parse as parse_line
from riskd.actors.messages import Metric
from riskd.config import parse
from riskd.config.schema import AnyTrigger, Command
from riskd.supervisor.looks import PASSED_ON, Outside

PAGE = (Path(__file__).parents[1] / "docs" / "triggers.md").read_text(encoding="utf-8")
TOML = "\n".join(re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
(SCRIPT,) = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_its_examples_are_one_valid_configuration_with_every_kind() -> None:
    triggers = parse(TOML, "docs/triggers.md", {}).config.triggers
    assert {type(each) for each in triggers} == set(get_args(AnyTrigger))


def test_its_metric_is_one_that_its_first_trigger_watches() -> None:
    (line,) = re.findall(r"^→ (.*)$", PAGE, re.MULTILINE)
    metric = parse_line(line.encode())
    assert isinstance(metric, Metric)
    first = parse(TOML, "docs/triggers.md", {}).config.triggers[0]
    assert getattr(first, "metric", None) == metric.name


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("up\n", Good()),
        ("down\n", "status 1, not 0, and said 'fix-1 is down'"),
        (None, "status 1, not 0, and said 'no monitor of fix-1'"),
    ],
)
async def test_its_script_says_how_the_route_is(
    tmp_path: Path, said: str | None, outcome: Outcome | str
) -> None:
    program = tmp_path / "route-is-up"
    program.write_text(SCRIPT.replace("/run/desk", str(tmp_path)))
    program.chmod(stat.S_IRWXU)
    if said is not None:
        (tmp_path / "route-fix-1").write_text(said)
    (rule,) = (
        each
        for each in parse(TOML, "docs/triggers.md", {}).config.triggers
        if isinstance(each, Command)
    )
    ran = await Outside({"PATH": "/usr/bin:/bin"}).run([str(program), *rule.argv[1:]], 30.0)
    found = ending(rule, ran)
    if isinstance(outcome, str):
        assert isinstance(found, Bad)
        assert outcome in found.why
    else:
        assert found == outcome


def test_its_numbers_and_names_are_those_of_the_code() -> None:
    assert f"knows {METRICS_MAX:,} names" in PAGE
    shown = re.findall(r"^\| `(riskd\.\w+)` \|", PAGE, re.MULTILINE)
    assert set(shown) == {CLOCK_STEP, SYNC_AGE, FREE, LOOP_LAG}
    listed = re.search(r"environment it gets (.*?)\. After", PAGE, re.DOTALL)
    assert listed is not None
    assert tuple(re.findall(r"`(\w+)`", listed[1])) == PASSED_ON
