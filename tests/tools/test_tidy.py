"""Each house rule fires on what it forbids, and lets the right way of writing it pass."""

from pathlib import Path

import pytest
from riskd.tools import tidy
from riskd.tools.source import parse, sources

ROOT = Path(__file__).parents[2]
CORE = "actors/core/gate.py"
SHELL = "actors/gate.py"
TREE_SHELL = "supervisor/tree/shell.py"
TEST = "tests/core/test_gate.py"


def lines(count: int) -> str:
    return "    x = 1\n" * count


# rule, path, what is forbidden, what the message must name, its good twin
PAIRS = [
    # names that must not be mentioned
    ("banned", CORE, "import time", "take `now`", "import math"),
    ("banned", CORE, "from time import monotonic as t\nt()", "take `now`", "def f(now): now"),
    (
        "banned",
        CORE,
        "import datetime as d\nd.datetime.now(d.UTC)",
        "take `now`",
        "import datetime as d\nd.datetime.fromisoformat('2026-01-01')",
    ),
    ("banned", CORE, "import random", "as an argument", "def f(random): random.bytes()"),
    ("banned", CORE, "from os import environ", "take a mapping", "def f(environ): environ['A']"),
    ("banned", CORE, "open('x')", "take the content", "door.open('x')"),
    ("banned", CORE, "from pathlib import Path", "take the content", "from decimal import Decimal"),
    ("banned", CORE, "import logging", "return a fact", "def f(logging): logging.info('')"),
    ("banned", CORE, "import structlog", "return a fact", "import attrs"),
    ("banned", CORE, "import trio", "return the effect", "import enum"),
    ("banned", "config/schema/base.py", "import time", "take `now`", "import math"),
    ("banned", "supervisor/tree/core.py", "import time", "take `now`", "import math"),
    (
        "banned",
        SHELL,
        "from datetime import datetime\ndatetime.utcnow()",
        "datetime.now(UTC)",
        "from datetime import UTC, datetime\ndatetime.now(UTC)",
    ),
    ("banned", SHELL, "import asyncio", "use trio", "import trio"),
    ("banned", SHELL, "from subprocess import run", "ask it for a child", "import trio"),
    ("banned", SHELL, "import os\nos.fork()", "ask it for a child", "import os\nos.getpid()"),
    ("banned", SHELL, "print('x')", "log an event", "log.info('x')"),
    ("banned", TEST, "import time\ntime.sleep(1)", "wait for", "import time\ntime.monotonic()"),
    (
        "banned",
        TEST,
        "import pytest\n@pytest.mark.skipif(1)\ndef f(): ...",
        "delete it",
        "import pytest\n@pytest.mark.parametrize('x', [1])\ndef f(x): ...",
    ),
    (
        "banned",
        TEST,
        "import pytest\npytest.skip('x')",
        "delete it",
        "import pytest\npytest.fail('x')",
    ),
    # size and place
    ("long", SHELL, "def f():\n" + lines(70), "names of their own", "def f():\n" + lines(69)),
    ("long", SHELL, "class A:\n" + lines(400), "another noun", "class A:\n" + lines(399)),
    ("long", SHELL, "x = 1\n" * 601, "split the file", "x = 1\n" * 600),
    ("vaguely_named", SHELL, "class OrderManager: ...", "plain noun", "class Orders: ..."),
    ("vaguely_named", SHELL, "class ActorBase: ...", "plain noun", "class Basement: ..."),
    # imports, errors, cancellation
    (
        "imported_by_folder",
        TEST,
        "from actors import gate",
        "riskd.actors",
        "from riskd import actors",
    ),
    (
        "imported_by_folder",
        SHELL,
        "import config.schema",
        "riskd.config",
        "from ..config import schema",
    ),
    (
        "shielded",
        SHELL,
        "with trio.CancelScope(shield=True): ...",
        "ctx.cleanup()",
        "with ctx.cleanup(): ...",
    ),
    ("shielded", SHELL, "scope.shield = True", "ctx.cleanup()", "scope.shield = False"),
    (
        "shielded",
        SHELL,
        "with move_on_after(1, shield=want): ...",
        "ctx.cleanup()",
        "move_on_after(1)",
    ),
    (
        "swallows_everything",
        SHELL,
        "try: ...\nexcept: ...",
        "name the exceptions",
        "try: ...\nexcept OSError: ...",
    ),
    (
        "swallows_everything",
        SHELL,
        "try: ...\nexcept (BaseException, OSError): ...",
        "re-raise",
        "try: ...\nexcept BaseException:\n    undo()\n    raise",
    ),
    (
        "swallows_errors",
        SHELL,
        "try: ...\nexcept Exception: ...",
        "name the exceptions",
        "try: ...\nexcept Exception:  # a plugin may raise anything\n    ...",
    ),
    (
        "swallows_errors",
        SHELL,
        "try: ...\nexcept Exception:  # noqa: BLE001\n    ...",
        "name the exceptions",
        "try: ...\nexcept Exception:  # noqa: BLE001 - a plugin may raise anything\n    ...",
    ),
    (
        "swallows_errors",
        SHELL,
        "with contextlib.suppress(Exception): ...",
        "name the exceptions",
        "with contextlib.suppress(OSError): ...",
    ),
    # comments
    ("unexplained", SHELL, "x = 1  # noqa", "say why", "x = 1  # noqa: E501 - a table"),
    ("unexplained", SHELL, "x = 1  # noqa: E501, S101", "say why", "x = 1  # nobody knows"),
    (
        "unexplained",
        SHELL,
        "x = 1  # type: ignore[arg-type]",
        "say why",
        "x = 1  # type: ignore[arg-type]  # the stub is wrong",
    ),
    ("unfinished", SHELL, "x = 1  # TODO: think", "do it now", "x = 1  # thought"),
    ("unfinished", SHELL, '"""Works. FIXME"""', "do it now", '"""Works."""'),
    # values
    (
        "naive_time",
        SHELL,
        "from datetime import datetime\ndatetime.now()",
        "pass UTC",
        "from datetime import UTC, datetime\ndatetime.now(tz=UTC)",
    ),
    (
        "naive_time",
        SHELL,
        "import datetime\ndatetime.datetime.fromtimestamp(1)",
        "pass UTC",
        "import datetime\ndatetime.datetime.fromtimestamp(1, datetime.UTC)",
    ),
    ("float_money", SHELL, "x = float(order.price)", "Decimal", "x = Decimal(order.price)"),
    (
        "float_money",
        SHELL,
        "class A:\n    max_qty: float",
        "Decimal",
        "class A:\n    max_qty: Decimal",
    ),
    (
        "float_money",
        SHELL,
        "def f(equity: float | None): ...",
        "Decimal",
        "def f(age_s: float): ...",
    ),
    ("float_money", SHELL, "def pnl() -> float: ...", "Decimal", "def price_age_s() -> float: ..."),
    ("unordered", CORE, "for x in {1, 2}: ...", "sort it", "for x in (1, 2): ..."),
    ("unordered", CORE, "[x for x in set(y)]", "sort it", "[x for x in sorted(set(y))]"),
    ("unordered", CORE, "list(set(y))", "sort it", "list(dict.fromkeys(y))"),
    ("vacuous", TEST, "assert True", "what must be", "assert done"),
    ("vacuous", TEST, "assert (x, 'y')", "what must be", "assert x, 'y'"),
]


def broken(path: str, text: str) -> list[tuple[str, str]]:
    """The names of the rules that a snippet breaks, with the messages."""
    source = parse(path, text)
    return [
        (rule.__name__, message)
        for where, rule in tidy.RULES
        if where(source)
        for _, message in rule(source)
    ]


@pytest.mark.parametrize(("rule", "path", "bad", "remedy", "good"), PAIRS)
def test_a_rule_fires_on_what_it_forbids_and_names_the_remedy(
    rule: str, path: str, bad: str, remedy: str, good: str
) -> None:
    assert any(name == rule and remedy in message for name, message in broken(path, bad))
    assert rule not in dict(broken(path, good))


def test_every_rule_and_every_ban_is_shown_to_fire() -> None:
    shown = {rule for rule, *_ in PAIRS} | {"misplaced"}
    assert shown == {rule.__name__ for _, rule in tidy.RULES}
    messages = [message for _, path, bad, *_ in PAIRS for _, message in broken(path, bad)]
    silent = [ban for ban in tidy.BANS if not any(ban.instead in message for message in messages)]
    assert silent == []


@pytest.mark.parametrize(
    ("path", "fires"),
    [
        ("tests/__init__.py", True),
        ("setup.py", True),
        ("__init__.py", False),
        ("__main__.py", False),
        ("actors/__init__.py", False),
        ("tests/conftest.py", False),
    ],
)
def test_what_would_break_the_packaging_is_out_of_place(path: str, fires: bool) -> None:
    assert ("misplaced" in dict(broken(path, ""))) is fires


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (SHELL, "import time\ntime.time()"),
        (SHELL, "for x in {1, 2}: ..."),
        (TREE_SHELL, "with CancelScope(shield=True): ..."),
        (TREE_SHELL, "try: ...\nexcept BaseException: ..."),
        (TEST, "with CancelScope(shield=True): ..."),
        (TEST, "import subprocess"),
        ("adapters/worker/aio.py", "import asyncio"),
        ("supervisor/processes.py", "import subprocess"),
        ("tools/bench/__main__.py", "print('x')"),
    ],
)
def test_a_rule_holds_only_where_it_has_a_reason(path: str, text: str) -> None:
    assert broken(path, text) == []


def test_an_offence_reads_as_file_line_and_message() -> None:
    (offence,) = tidy.offences(parse(SHELL, "x = 1\ny = 2  # noqa\n"))
    assert str(offence).startswith("actors/gate.py:2: `# noqa`: say why")


def test_the_program_fails_on_offences_and_prints_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "theirs.py").write_text("assert True\n")
    (tmp_path / "ours.py").write_text("assert True\n")
    monkeypatch.setattr("sys.argv", ["tidy", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        tidy.main()
    assert ended.value.code == 1
    found = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[0] for line in found] == ["ours.py:1", "ours.py:1"]


def test_this_tree_is_tidy() -> None:
    assert [str(offence) for offence in tidy.check(sources(ROOT))] == []
