"""What `[[triggers]]` may say: each entry by its kind, and no key that would mean nothing."""

from decimal import Decimal

import pytest
from riskd.config import ConfigInvalid, differences, parse
from riskd.config.schema import Command, Config, FileAppears, StatusFile, Threshold

GOOD = """
[[triggers]]
kind = "threshold"
name = "latency"
action = "halt"
scope = "exchange:binance"
until = "time"
for_s = 30
metric = "latency_ms"
above = "250.5"

[[triggers]]
kind = "file"
name = "stop"
action = "kill"
path = "/run/desk/stop"

[[triggers]]
kind = "status_file"
name = "venue"
action = "reduce_only"
until = "clear"
clear_s = 5
path = "/run/desk/exchange"
good = ["open", "post only"]

[[triggers]]
kind = "command"
name = "check"
action = "halt"
argv = ["/bin/true", ""]
"""


def told(text: str) -> list[str]:
    with pytest.raises(ConfigInvalid) as refused:
        parse(text, "FILE", {})
    return [str(problem) for problem in refused.value.problems]


def test_an_entry_is_what_its_kind_says_in_the_order_of_the_file() -> None:
    found = parse(GOOD, "FILE", {}).config.triggers
    assert [type(each) for each in found] == [Threshold, FileAppears, StatusFile, Command]
    assert isinstance(found[0], Threshold)
    assert found[0].above == Decimal("250.5")
    assert found[0].scope == "exchange:binance"


def test_a_changed_entry_is_a_change_of_the_triggers() -> None:
    old, new = parse(GOOD, "FILE", {}).config, parse(GOOD.replace("250.5", "99"), "F", {}).config
    assert differences(old, new) == ["triggers"]
    assert differences(old, parse(GOOD, "FILE", {}).config) == []
    assert differences(Config(), old) == ["triggers"]


def test_two_of_one_name_are_refused_by_their_numbers() -> None:
    (problem,) = told(GOOD.replace('"venue"', '"latency"'))
    assert problem == "FILE:20: triggers[2].name: is that of triggers[0] too; give each its own"


def entry(more: str, kind: str = "threshold") -> str:
    least = {
        "threshold": 'metric = "m"\nabove = "1"\n' if "above" not in more else 'metric = "m"\n',
        "file": 'path = "/x"\n',
        "status_file": 'path = "/x"\ngood = ["open"]\n',
        "command": 'argv = ["/x"]\n' if "argv" not in more else "",
    }[kind]
    action = "" if "action" in more else 'action = "halt"\n'
    name = "" if "name" in more else 'name = "n"\n'
    return f'[[triggers]]\nkind = "{kind}"\n{name}{action}{least}{more}\n'


@pytest.mark.parametrize(
    ("more", "key", "what"),
    [
        ('action = "kill"\nscope = "account:a"', "scope", "is not all"),
        ('action = "kill"\nuntil = "session"', "until", "is for halts"),
        ('until = "time"', "for_s", "is required with until"),
        ("for_s = 5", "for_s", 'is for until = "time" alone'),
        ('until = "clear"\nfor_s = 5', "for_s", 'is for until = "time" alone'),
        ("clear_s = 5", "clear_s", 'is for until = "clear" alone'),
        ("factor = 3", "factor", 'is for until = "time" alone'),
        ("for_max_s = 3", "for_max_s", 'is for until = "time" alone'),
        ("window_s = 3", "window_s", 'is for until = "time" alone'),
        ("times_max = 3", "times_max", 'is for until = "time" alone'),
        ('until = "time"\nfor_s = 5\nfor_max_s = 4', "for_s", "is longer than for_max_s"),
        ('above = "1"\nbelow = "1"', "above", "is not more than below"),
        ('above = "1"\nbelow = "1.01"', "above", "is not more than below"),
        ("above = 1.5", "above", "is a floating-point number"),
        ('above = "nan"', "above", "is not an exact number"),
        ('name = "a b"', "name", "is out of bounds"),
        ('name = ""', "name", "is out of bounds"),
        ('action = "melt"', "action", "is none of the known words"),
        ('scope = "desk:a"', "scope", "is out of bounds"),
        ("grace_s = -1", "grace_s", "is out of bounds"),
    ],
)
def test_keys_that_disagree_are_told_with_their_line(more: str, key: str, what: str) -> None:
    problems = told(entry(more))
    assert any(f"triggers[0].{key}: {what}" in problem for problem in problems), problems
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("more", "key", "what"),
    [
        ('argv = ["true"]', "argv", "begins with no full path"),
        ("argv = []", "argv", "has 0 entries"),
        ("timeout_s = 11", "timeout_s", "is longer than interval_s"),
        ("failures = 0", "failures", "is out of bounds"),
        ("grace_s = 1", "grace_s", "is not a key"),
    ],
)
def test_a_command_that_could_not_be_run_as_written_is_refused(
    more: str, key: str, what: str
) -> None:
    (problem,) = told(entry(more, "command"))
    assert f"triggers[0].{key}: {what}" in problem


def test_a_threshold_without_a_limit_and_a_status_without_a_good_word_are_refused() -> None:
    bare = '[[triggers]]\nkind = "threshold"\nname = "n"\naction = "halt"\nmetric = "m"\n'
    (problem,) = told(bare)
    assert "triggers[0].above: is required where below is not given" in problem
    (problem,) = told(entry("", "status_file").replace('["open"]', "[]"))
    assert "triggers[0].good: has 0 entries" in problem
    (problem,) = told(entry("", "status_file").replace('["open"]', '[" open"]'))
    assert "triggers[0].good[0]: is out of bounds" in problem


def test_an_entry_of_no_known_kind_is_refused() -> None:
    (problem,) = told('[[triggers]]\nkind = "treshold"\n')
    assert 'triggers[0].kind: is none that riskd knows; did you mean "threshold"?' in problem
    (problem,) = told('[[triggers]]\nname = "a"\n')
    assert "triggers[0].kind: is required" in problem
