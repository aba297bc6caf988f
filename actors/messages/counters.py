"""What riskd has counted and measured since it started, in the shape that metrics have.

A *counter* only grows, until riskd starts anew; a *gauge* is so now; a *histogram* says how many of
something took no longer than each bound. What tells series of one name apart are their labels.
"""

from msgspec import Struct

from .base import Command, Reply

Labels = dict[str, str]


class Counter(Struct, frozen=True, kw_only=True):
    name: str
    labels: Labels
    value: int


class Gauge(Struct, frozen=True, kw_only=True):
    """As exact text. Null: it is not known now."""

    name: str
    labels: Labels
    value: str | None


class Bucket(Struct, frozen=True, kw_only=True):
    """So many took at most `le` seconds, those of the buckets before it among them."""

    le: float
    count: int


class Histogram(Struct, frozen=True, kw_only=True):
    """In seconds. `count` has those too that took longer than the last bucket."""

    name: str
    buckets: list[Bucket]
    count: int
    sum: float


# --- commands -------------------------------------------------------------------------------------


class ShowCounters(Command, frozen=True, kw_only=True, tag="counters"):
    """Everything that is counted. Asking costs as much as `limits`; a scrape each few seconds is
    meant."""


# --- replies --------------------------------------------------------------------------------------


class CountersAre(Reply, frozen=True, kw_only=True, tag="counters"):
    """Counted since `since`. `more`: there are more rules than gauges are given for; `limits` has
    them all."""

    lsn: int
    since: str
    counters: list[Counter]
    gauges: list[Gauge]
    histograms: list[Histogram]
    more: bool


Commands = ShowCounters
Replies = CountersAre
