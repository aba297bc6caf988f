"""Imports go one way, and no module is without a place."""

from pathlib import Path

import pytest
from riskd.tools import layers
from riskd.tools.source import parse, sources

ROOT = Path(__file__).parents[2]

MODULES = frozenset(
    {
        "riskd",
        "riskd.actors",
        "riskd.actors.core",
        "riskd.actors.core.access",
        "riskd.actors.mailbox",
        "riskd.actors.messages",
        "riskd.actors.ports",
        "riskd.adapters.client",
        "riskd.config.loader",
        "riskd.config.paths",
        "riskd.config.schema",
        "riskd.supervisor",
        "riskd.supervisor.cli",
        "riskd.supervisor.daemon",
        "riskd.supervisor.endpoint",
        "riskd.supervisor.tree.core",
        "riskd.supervisor.tree.shell",
        "riskd.supervisor.tree.spec",
        "riskd.tools.tidy",
    }
)

BAD = [
    ("actors/messages/base.py", "import attrs"),
    ("actors/messages/base.py", "from ..core.access import Access"),
    ("actors/messages/base.py", "from ...config.loader import load"),
    ("config/schema/base.py", "import os"),
    ("config/schema/base.py", "from ...actors.messages import Fact"),
    ("config/loader.py", "from ..actors.messages import Fact"),
    ("config/loader.py", "import trio"),
    ("actors/core/access.py", "import time"),
    ("actors/core/access.py", "import trio"),
    ("actors/core/access.py", "from random import random"),
    ("actors/core/access.py", "from ..ports import Clock"),
    ("actors/core/access.py", "from ... import supervisor"),
    ("actors/core/access.py", "from ...config.loader import load"),
    ("supervisor/tree/core.py", "from .shell import Supervisor"),
    ("supervisor/tree/core.py", "import logging"),
    ("supervisor/tree/shell.py", "from ...actors.mailbox import Mailbox"),
    ("supervisor/tree/shell.py", "from ...actors import mailbox"),
    ("supervisor/tree/shell.py", "import riskd.actors.mailbox"),
    ("supervisor/tree/shell.py", "def f():\n    from ...actors.mailbox import Mailbox"),
    (
        "supervisor/tree/shell.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ...actors import mailbox",
    ),
    ("actors/ports.py", "from .mailbox import Mailbox"),
    ("actors/mailbox.py", "from ..adapters.client import Client"),
    ("actors/mailbox.py", "from ..supervisor.tree.shell import Supervisor"),
    ("actors/mailbox.py", "import aiohttp"),
    ("adapters/client.py", "from ..actors.mailbox import Mailbox"),
    ("adapters/client.py", "from ..config.loader import load"),
    ("supervisor/endpoint.py", "from ..actors.mailbox import Mailbox"),
    ("supervisor/endpoint.py", "from .daemon import run"),
    ("supervisor/endpoint.py", "import click"),
    ("supervisor/daemon.py", "from ..tools.tidy import check"),
    ("supervisor/cli.py", "import requests"),
    ("__init__.py", "from .supervisor import Supervisor"),
    ("__init__.py", "import trio"),
    ("__main__.py", "from .tools.tidy import main"),
]

GOOD = [
    ("actors/messages/base.py", "from msgspec import Struct"),
    ("config/schema/daemon.py", "from ..paths import checked_socket"),
    ("config/loader.py", "import os\nfrom .schema import Config"),
    ("actors/core/access.py", "import hmac\nimport attrs\nfrom ..messages import Fact"),
    ("actors/core/access.py", "from ...config.schema import Config"),
    ("supervisor/tree/core.py", "import math\nfrom .spec import Budget"),
    ("supervisor/tree/shell.py", "import trio\nfrom .core import decide"),
    ("actors/ports.py", "from .messages import Fact\nfrom .core import access"),
    ("actors/mailbox.py", "import time\nimport trio\nfrom .core.access import Access"),
    ("actors/mailbox.py", "from ..supervisor.tree.spec import Killed"),
    ("adapters/client.py", "import socket\nfrom ..actors.messages import Reply"),
    ("supervisor/endpoint.py", "from .tree.shell import Supervisor"),
    ("supervisor/daemon.py", "from .. import __version__\nfrom ..actors.mailbox import Mailbox"),
    ("tools/tidy.py", "import click\nfrom ..adapters.client import Client"),
    ("__main__.py", "from .supervisor.cli import main"),
    ("tests/core/test_access.py", "import trio\nimport riskd.actors.mailbox"),
]


def found(path: str, text: str) -> list[str]:
    return [str(offence) for offence in layers.offences(parse(path, text), MODULES)]


@pytest.mark.parametrize(("path", "text"), BAD)
def test_an_import_against_the_order_is_an_offence(path: str, text: str) -> None:
    assert len(found(path, text)) == 1


@pytest.mark.parametrize(("path", "text"), GOOD)
def test_an_import_along_the_order_is_none(path: str, text: str) -> None:
    assert found(path, text) == []


def test_the_message_names_place_module_and_remedy() -> None:
    (message,) = found("supervisor/tree/shell.py", "import trio\nfrom ...actors import mailbox\n")
    assert message.startswith("supervisor/tree/shell.py:2: may not import riskd.actors.mailbox: ")
    assert "take it as an argument" in message


@pytest.mark.parametrize("path", ["pricing/curve.py", "sneaky.py", "docs/conf.py"])
def test_a_module_without_an_area_is_an_offence_that_says_where_to_add_it(path: str) -> None:
    (message,) = found(path, "")
    assert "AREAS of tools/layers.py" in message


def test_a_package_is_placed_like_what_it_contains() -> None:
    assert found("actors/core/__init__.py", "import trio")
    assert found("actors/core/__init__.py", "from . import access") == []


def test_no_area_is_unused_and_none_is_named_twice() -> None:
    held = [prefix for area in layers.AREAS for prefix in area.holds]
    assert len(held) == len(set(held))
    for area in layers.AREAS:
        assert all(layers.area_of(prefix) == area for prefix in area.holds), area.name


def test_what_an_area_knows_exists() -> None:
    below = {source.module.removeprefix("riskd").removeprefix(".") for source in sources(ROOT)}
    known = {prefix for area in layers.AREAS for prefix in (*area.knows, *area.holds)}
    missing = {name for name in known if not any(layers.covers(name, module) for module in below)}
    assert missing == set()


def test_this_tree_keeps_the_order() -> None:
    assert [str(offence) for offence in layers.check(sources(ROOT))] == []
