"""What stops trading without being asked, beside what riskd watches anyway: `[[triggers]]`."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .base import Disagreement, FilePath, Section

TRIGGERS_MAX = 256

TriggerName = Annotated[
    str,
    Meta(
        title="a name of letters, digits, dots, dashes and underscores",
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\Z",
    ),
]
Scope = Annotated[
    str,
    Meta(
        title='"all", or one of account, exchange, strategy, symbol, worker, a colon and its name',
        max_length=200,
        pattern=r"^(all|(account|exchange|strategy|symbol|worker):[^\s\x00-\x1f\x7f]+)\Z",
    ),
]
MetricName = Annotated[
    str,
    Meta(
        title="a metric's name of letters, digits and any of _ . : / -",
        min_length=1,
        max_length=128,
        pattern=r"^[A-Za-z0-9_.:/-]+\Z",
    ),
]
Grace = Annotated[float, Meta(ge=0, le=86_400)]
Age = Annotated[float, Meta(gt=0, le=604_800)]
Span = Annotated[float, Meta(gt=0, le=31_536_000)]
Interval = Annotated[float, Meta(ge=0.05, le=3_600)]
Cause = Literal["threshold", "external", "network", "edge", "position", "data"]
_BREAKER = ("for_s", "factor", "for_max_s", "window_s", "times_max")


class Trigger(Section, frozen=True, kw_only=True):
    """What every trigger has."""

    name: Annotated[
        TriggerName,
        Meta(
            description="Its own. Halts and the kill switch name it as their source.",
            examples=["venue"],
        ),
    ]
    action: Annotated[
        Literal["kill", "halt", "reduce_only"],
        Meta(
            description="What it does. `kill`: everything stops, and a recovery leads back. "
            "`halt`: nothing passes in the scope. `reduce_only`: what makes a position smaller "
            "does.",
            examples=["halt"],
        ),
    ]
    scope: Annotated[Scope, Meta(description="What it stops. A kill stops everything.")] = "all"
    cause: Annotated[
        Cause | None,
        Meta(
            description="As what it is recorded. Unset: `threshold` for a threshold, else "
            "`external`.",
            examples=["network"],
        ),
    ] = None
    until: Annotated[
        Literal["operator", "clear", "time", "session"],
        Meta(
            description="When its halt ends. `operator`: when a person lifts it. `clear`: when "
            "the trigger has been calm for `clear_s`. `time`: after `for_s`, and later each time "
            "it comes again. `session`: at the session's reset."
        ),
    ] = "operator"
    clear_s: Annotated[
        float,
        Meta(gt=0, le=86_400, description='Seconds of calm that end a halt `until = "clear"`.'),
    ] = 60.0
    for_s: Annotated[
        Span | None,
        Meta(
            description='Seconds of the first halt `until = "time"`.',
            examples=[60.0],
        ),
    ] = None
    factor: Annotated[
        float, Meta(ge=1, le=100, description="How many times as long each further one lasts.")
    ] = 2.0
    for_max_s: Annotated[Span, Meta(description="Seconds of the longest one.")] = 3_600.0
    window_s: Annotated[Span, Meta(description="Seconds for which one counts.")] = 86_400.0
    times_max: Annotated[
        int,
        Meta(ge=1, le=64, description="After so many that count, the next waits for a person."),
    ] = 5

    def disagreements(self) -> Iterator[Disagreement]:
        """A setting that is written but not acted on would be worse than none."""
        if self.action == "kill" and self.scope != "all":
            yield Disagreement(
                "scope", "is not all, which is what a kill stops", 'remove it, or halt with "halt"'
            )
        if self.action == "kill" and self.until != "operator":
            yield Disagreement(
                "until", "is for halts: from a kill a recovery leads back", "remove it"
            )
        if self.until == "time" and self.for_s is None:
            yield Disagreement("for_s", 'is required with until = "time"', "write the seconds")
        if self.for_s is not None and self.for_s > self.for_max_s:
            yield Disagreement("for_s", "is longer than for_max_s", "lower it, or raise for_max_s")
        defaults = msgspec.structs.fields(type(self))
        for key, until in (("clear_s", "clear"), *((key, "time") for key in _BREAKER)):
            default = next(field.default for field in defaults if field.name == key)
            if self.until != until and getattr(self, key) != default:
                yield Disagreement(
                    key, f'is for until = "{until}" alone', f'remove it, or write until = "{until}"'
                )


class Threshold(Trigger, frozen=True, kw_only=True, tag_field="kind", tag="threshold"):
    """A metric above or below what it may be, or not heard of for longer than its grace."""

    metric: Annotated[
        MetricName,
        Meta(
            description="Which one. `riskd.` begins those that riskd measures of itself.",
            examples=["latency_ms"],
        ),
    ]
    above: Annotated[
        Decimal | None,
        Meta(description="A value above this trips it.", examples=["250"]),
    ] = None
    below: Annotated[
        Decimal | None,
        Meta(description="A value below this trips it.", examples=["-0.5"]),
    ] = None
    grace_s: Annotated[
        Grace,
        Meta(description="Seconds for which a value is good. Without a newer one it trips then."),
    ] = 10.0

    def disagreements(self) -> Iterator[Disagreement]:
        """A threshold has to leave something that is good, and something that is not."""
        yield from super().disagreements()
        if self.above is None and self.below is None:
            yield Disagreement("above", "is required where below is not given", "write one of them")
        if self.above is not None and self.below is not None and self.above <= self.below:
            yield Disagreement(
                "above",
                "is not more than below, so that hardly a value or none would be good",
                "raise it, or lower below",
            )


class FileAppears(Trigger, frozen=True, kw_only=True, tag_field="kind", tag="file"):
    """A file that is not there when all is well. Its folder must be."""

    path: Annotated[
        FilePath,
        Meta(description="The file whose appearance trips it.", examples=["/run/desk/stop"]),
    ]
    poll_s: Annotated[Interval, Meta(description="Seconds between two looks.")] = 1.0
    grace_s: Annotated[
        Grace,
        Meta(description="Seconds without an answer, as of a disk that hangs, that trip it."),
    ] = 10.0


class StatusFile(Trigger, frozen=True, kw_only=True, tag_field="kind", tag="status_file"):
    """A file in which somebody says how an exchange is, in one of a few words."""

    path: Annotated[
        FilePath, Meta(description="The file that is read.", examples=["/run/desk/exchange"])
    ]
    good: Annotated[
        tuple[
            Annotated[
                str, Meta(title="text", min_length=1, max_length=256, pattern=r"^\S(.*\S)?\Z")
            ],
            ...,
        ],
        Meta(
            min_length=1,
            max_length=64,
            description="What it may say, white space around it not counted. Any other text trips "
            "it.",
            examples=[["open"]],
        ),
    ]
    max_age_s: Annotated[
        Age | None,
        Meta(
            description="Seconds after its last change for which it is believed. Unset: for ever.",
            examples=[30.0],
        ),
    ] = None
    poll_s: Annotated[Interval, Meta(description="Seconds between two looks.")] = 1.0
    grace_s: Annotated[
        Grace,
        Meta(
            description="Seconds for which it may be missing, empty, too old or not to be read. "
            "It trips then."
        ),
    ] = 10.0


class Command(Trigger, frozen=True, kw_only=True, tag_field="kind", tag="command"):
    """A program that ends with 0 when all is well. It is run by no shell."""

    argv: Annotated[
        tuple[Annotated[str, Meta(title="text", max_length=4095, pattern=r"^[^\x00]*\Z")], ...],
        Meta(
            min_length=1,
            max_length=64,
            description="The program's path, which begins with a slash, and its arguments, each "
            "as it is.",
            examples=[["/usr/local/bin/exchange-is-well", "--venue", "x"]],
        ),
    ]
    interval_s: Annotated[
        Annotated[float, Meta(ge=0.05, le=86_400)],
        Meta(description="Seconds from the begin of one run to that of the next."),
    ] = 10.0
    timeout_s: Annotated[
        Interval,
        Meta(
            description="Seconds a run may take. Then it is killed, with all that it started, and "
            "has failed."
        ),
    ] = 5.0
    failures: Annotated[
        int,
        Meta(ge=1, le=1_000, description="Runs in a row that have to fail for it to trip."),
    ] = 1

    def disagreements(self) -> Iterator[Disagreement]:
        """One run at a time, and always the same program."""
        yield from super().disagreements()
        if not self.argv[0].startswith("/"):
            yield Disagreement(
                "argv",
                "begins with no full path, so which program it is would depend on the environment",
                "write the path from / on",
            )
        if self.timeout_s > self.interval_s:
            yield Disagreement(
                "timeout_s",
                "is longer than interval_s, so that a run would still go on when the next is due",
                "lower it, or raise interval_s",
            )


AnyTrigger = Threshold | FileAppears | StatusFile | Command
Triggers = Annotated[
    tuple[AnyTrigger, ...],
    Meta(
        max_length=TRIGGERS_MAX,
        description="What stops trading without being asked. Each entry says by `kind` what it "
        "watches.",
    ),
]
