"""Numbers that others report, and triggers watch."""

from typing import Annotated

from msgspec import Meta

from .base import Command, Reply

MetricName = Annotated[
    str,
    Meta(
        title="a metric's name of letters, digits and any of _ . : / -",
        min_length=1,
        max_length=128,
        pattern=r"^[A-Za-z0-9_.:/-]+\Z",
    ),
]

ExactNumber = Annotated[
    str,
    Meta(
        title="an exact number, as text",
        max_length=88,
        pattern=r"^[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?\Z",
    ),
]
"""Finite, and small enough that no later arithmetic can be made to fill the memory."""


class Metric(Command, frozen=True, kw_only=True, tag="metric"):
    """This number is so now. The value is text, for a JSON number has no exact meaning."""

    name: MetricName
    value: ExactNumber


class Taken(Reply, frozen=True, kw_only=True, tag="taken"):
    """It is known, and every trigger that watches it has seen it."""


Commands = Metric
Replies = Taken
