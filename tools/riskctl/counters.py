"""`riskctl counters`: what riskd has counted and measured since it started."""

from collections.abc import Iterable, Iterator
from typing import Any

import click
import msgspec

from ...actors.messages import CountersAre, ShowCounters
from ...actors.messages.counters import Counter, Gauge, Histogram
from .options import everywhere
from .page import Line, Page, Table
from .talk import ask, emit

UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"))


@click.command()
@everywhere
def counters() -> None:
    """How often the gate allowed, cut down and blocked, and why; halts by cause; what is left of
    each limit; how long a check takes. All of it since riskd started."""
    reply = ask(ShowCounters(), CountersAre)
    document: dict[str, Any] = {
        name: msgspec.to_builtins(getattr(reply, name))
        for name in ("lsn", "since", "counters", "gauges", "histograms", "more")
    }
    emit(document, page(reply))


def page(reply: CountersAre) -> Page:
    """What never happened is left out."""
    happened = [each for each in reply.counters if each.value]
    found: list[Line | Table] = [Line(f"since {reply.since}")]
    found += _table(("counter", "labels", "count"), map(_counted, happened))
    found += _table(("gauge", "labels", "now"), map(_measured, reply.gauges))
    if reply.more:
        found.append(Line("there are more rules: `riskctl limits` shows all of them", "warn"))
    for histogram in reply.histograms:
        heads = (histogram.name, "checks", "share")
        found += _table(heads, _took(histogram))
    return found


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[Line | Table]:
    there = list(rows)
    if there:
        yield Line("")
        yield Table(heads, there, numbers=frozenset(heads[2:]))


def _counted(counter: Counter) -> tuple[str, ...]:
    return counter.name, _labels(counter), str(counter.value)


def _measured(gauge: Gauge) -> tuple[str, ...]:
    return gauge.name, _labels(gauge), "unknown" if gauge.value is None else gauge.value


def _labels(one: Counter | Gauge) -> str:
    return ", ".join(f"{name} {value}" for name, value in one.labels.items())


def _took(histogram: Histogram) -> Iterator[tuple[str, ...]]:
    """Up to the first bucket that has them all."""
    for bucket in histogram.buckets:
        if bucket.count:
            share = f"{100 * bucket.count / histogram.count:.1f} %"
            yield f"at most {_span(bucket.le)}", str(bucket.count), share
        if bucket.count == histogram.count:
            return
    yield "longer or not", str(histogram.count), "100.0 %"


def _span(seconds: float) -> str:
    size, unit = next((one for one in UNITS if seconds >= one[0]), UNITS[-1])
    return f"{seconds / size:g} {unit}"
