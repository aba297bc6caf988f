"""`python -m riskd.tools.bench [NAME ...] [--quick] [--json]`: measure, print, judge.

The exit status is 1 when a promise was not kept.
"""

import os
import platform
import sys
from collections.abc import Callable, Iterable, Sequence

import attrs
import click
import msgspec
from rich.console import Console
from rich.table import Table

from . import (
    book,
    clients,
    commit,
    echo,
    gate,
    group_commit,
    growth,
    halt,
    leak,
    lease,
    mailbox,
    replay,
    restart,
    resume,
    start,
)
from .results import Figure, Result

PAPER_COLUMNS = 160
"""Where the output is no terminal: a line of the report then stays a line."""


@attrs.frozen
class Benchmark:
    """How it is run: with `n` samples, or with fewer when time matters more than truth."""

    measure: Callable[[int], Sequence[Result]]
    n: int
    n_quick: int


BENCHMARKS = {
    "restart": Benchmark(restart.measure, 2_000, 100),
    "leak": Benchmark(leak.measure, 20_000, 2_000),
    "start": Benchmark(start.measure, 10, 2),
    "clients": Benchmark(clients.measure, 1_000, 100),
    "echo": Benchmark(echo.measure, 5_000, 500),
    "mailbox": Benchmark(mailbox.measure, 20_000, 1_000),
    "commit": Benchmark(commit.measure, 200_000, 2_000),
    "group_commit": Benchmark(group_commit.measure, 2_000, 200),
    "replay": Benchmark(replay.measure, 1_000_000, 50_000),
    "resume": Benchmark(resume.measure, 1_000_000, 50_000),
    "lease": Benchmark(lease.measure, 1_000_000, 20_000),
    "growth": Benchmark(growth.measure, 3_000_000, 30_000),
    "halt": Benchmark(halt.measure, 2_000, 100),
    "gate": Benchmark(gate.measure, 5_000, 200),
    "book": Benchmark(book.measure, 100_000, 5_000),
}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(BENCHMARKS)), metavar="[NAME ...]")
@click.option("--quick", is_flag=True, help="Few samples: does it run, rather than how fast.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document with stable keys.")
def main(names: Sequence[str], *, quick: bool, as_json: bool) -> None:
    """Measure what the design promises, each figure beside a peer's. NAMEs choose; none is all."""
    results: list[Result] = []
    for name in names or BENCHMARKS:
        click.echo(f"measuring {name} …", err=True)
        benchmark = BENCHMARKS[name]
        results += benchmark.measure(benchmark.n_quick if quick else benchmark.n)
    if as_json:
        click.echo(msgspec.json.encode({"machine": machine(), "results": results}))
    else:
        show(results)
    sys.exit(0 if all(kept(result) for result in results) else 1)


def kept(result: Result) -> bool:
    return result.promise is None or result.promise.kept


def machine() -> dict[str, object]:
    """What the figures depend on, other than riskd."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
    }


# --- for people -----------------------------------------------------------------------------------


def show(results: Iterable[Result]) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = PAPER_COLUMNS
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("what")
    for head in ("n", "p50 or value", "p99", "peer's", "p99", "ratio"):
        table.add_column(head, justify="right", no_wrap=True)
    for head in ("peer", "promise"):
        table.add_column(head)
    for result in results:
        table.add_row(*row(result), style="" if kept(result) else "bold red")
    console.print(table)
    console.print("; ".join(f"{key} {value}" for key, value in machine().items()), style="dim")


def row(result: Result) -> tuple[str, ...]:
    name = f"{result.name}\n  {result.note}" if result.note else result.name
    ratio = "-" if result.ratio is None else f"{result.ratio:.2f}"
    peers = pair(result.peer)
    verdict = "-"
    if result.promise is not None:
        verdict = f"{result.promise.text}: {'kept' if result.promise.kept else 'NOT KEPT'}"
    figures = (*pair(result.figure), *peers, ratio)
    return (name, f"{result.n:,}", *figures, result.peer_name or "-", verdict)


def pair(figure: Figure | None) -> tuple[str, str]:
    """The value with its unit, and the 99th percentile."""
    if figure is None:
        return "-", "-"
    p99 = "-" if figure.p99 is None else number(figure.p99)
    return f"{number(figure.value)} {figure.unit}", p99


def number(value: float) -> str:
    """Three digits that mean something; whole numbers whole."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


if __name__ == "__main__":
    main(prog_name="python -m riskd.tools.bench")
