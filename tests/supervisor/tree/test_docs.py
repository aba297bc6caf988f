"""What docs/supervision.md shows is what the code does."""

import re
from pathlib import Path

import pytest
import trio
from riskd.supervisor.tree import Supervisor
from riskd.supervisor.tree.cells import CELLS
from riskd.supervisor.tree.state import CHILD_EVENTS, Phase

PAGE = Path(__file__).parents[3] / "docs" / "supervision.md"


def table():
    """The cells, a row for each event, under the names of the functions."""
    rows = [
        ["", *(f"`{phase.name}`" for phase in Phase)],
        ["---"] * (len(Phase) + 1),
        *(
            [event.__name__, *(CELLS[phase, event].__name__.strip("_") for phase in Phase)]
            for event in CHILD_EVENTS
        ),
    ]
    return "\n".join("| " + " | ".join(row).replace("_", " ") + " |" for row in rows)


def test_the_table_on_the_page_is_the_table_in_the_code():
    (shown,) = re.findall(
        r"<!-- the table of cells: .*? -->\n(.*?)\n?<!-- end of the table -->",
        PAGE.read_text(),
        re.DOTALL,
    )
    assert shown == table()


class Prices:
    """What the example is connected to."""

    def __init__(self, said):
        self.said = said

    async def next(self):
        await trio.sleep(1)
        if trio.current_time() < 3:
            raise ConnectionResetError

    async def close(self):
        await trio.sleep(0.5)
        self.said.append("closed")


@pytest.mark.parametrize("escalates", [False, True])
async def test_the_example_on_the_page_runs(autojump_clock, escalates):
    said = []

    async def connect():
        said.append("connected")
        return Prices(said)

    async def gate(ctx, *, task_status):
        task_status.started()
        if escalates:
            raise RuntimeError
        await trio.sleep_forever()

    async def everything_else(tree):
        assert isinstance(tree, Supervisor)
        await trio.sleep(10)
        said.append([info.restarts for info in tree.which_children()])

    async def halt_trading():
        said.append("halted")

    names = {
        "connect": connect,
        "gate": gate,
        "everything_else": everything_else,
        "halt_trading": halt_trading,
    }
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102 - the page is ours, and must run
    await names["main"]()
    if escalates:
        assert said == ["connected", "closed", "halted"]
    else:
        assert said == ["connected", "closed"] * 2 + ["connected", [2, 2], "closed"]
