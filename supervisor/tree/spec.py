"""What a child is, as data checked field by field, and the errors that a tree ends with."""

import math
import re
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import attrs

RestartType = Literal["permanent", "transient", "temporary"]
Strategy = Literal["one_for_one", "rest_for_one", "one_for_all", "dynamic"]
AutoShutdown = Literal["never", "any_significant", "all_significant"]
Kind = Literal["worker", "supervisor"]

RESTARTS: tuple[RestartType, ...] = ("permanent", "transient", "temporary")
STRATEGIES: tuple[Strategy, ...] = ("one_for_one", "rest_for_one", "one_for_all", "dynamic")
AUTO_SHUTDOWNS: tuple[AutoShutdown, ...] = ("never", "any_significant", "all_significant")
KINDS: tuple[Kind, ...] = ("worker", "supervisor")

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


class FailedToStart(Exception):
    """A child could not start while its supervisor started; what ran was stopped in reverse."""

    def __init__(self, child: str, cause: BaseException) -> None:
        super().__init__(f"child {child!r} failed to start: {describe(cause)}")
        self.child = child
        self.cause = cause


class Escalated(Exception):
    """A supervisor gave up. Never a normal end, whatever the restart type of whoever reads it."""

    def __init__(self, supervisor: str, child: str, cause: str, failures: int) -> None:
        super().__init__(
            f"supervisor {supervisor!r} gave up after {failures} failures; "
            f"the last was of {child!r}: {cause}"
        )
        self.supervisor = supervisor
        self.child = child
        self.cause = cause
        self.failures = failures


class NotRunning(RuntimeError):
    """The supervisor that was called is not running: not yet, no more, or between two lives."""


class StartTimeout(Exception):
    """The child did not call started() before its deadline. The fault is the child's."""


class NeverStarted(Exception):
    """The child ended without having called started(). The fault is the child's."""


class Killed(Exception):
    """The child was crashed on purpose, by an operator or a watchdog."""


def describe(error: BaseException) -> str:
    """One line that names the innermost single cause: groups of one are looked through."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, BaseExceptionGroup):
        parts = "; ".join(describe(part) for part in error.exceptions[:3])
        return f"{len(error.exceptions)} errors: {parts}"[:500]
    name = type(error).__name__
    try:
        # Names of files may hold bytes that are no text, and what can't be written is no fact.
        text = " ".join(str(error).encode(errors="backslashreplace").decode().split())
    except Exception:  # noqa: BLE001 - whatever its __str__ does must not hide the failure
        text = "(its text can't be made)"
    return f"{name}: {text}"[:500] if text else name


def _one_of(allowed: tuple[str, ...]) -> Callable[[Any, "attrs.Attribute[str]", str], None]:
    def check(_: Any, attribute: "attrs.Attribute[str]", value: str) -> None:
        if value not in allowed:
            raise ValueError(f"{attribute.name}={value!r}: must be one of {', '.join(allowed)}")

    return check


def _duration(
    *, zero: bool, endless: bool
) -> Callable[[Any, "attrs.Attribute[float]", float], None]:
    def check(_: Any, attribute: "attrs.Attribute[float]", value: float) -> None:
        given: object = value  # An annotation is a promise, and this is where it is held to.
        number = isinstance(given, int | float) and not isinstance(given, bool)
        if not number or math.isnan(value) or value < 0:
            raise ValueError(
                f"{attribute.name}={value!r}: must be a number of seconds, not negative"
            )
        if value == 0 and not zero:
            raise ValueError(f"{attribute.name}={value!r}: must be above zero")
        if math.isinf(value) and not endless:
            raise ValueError(f"{attribute.name}={value!r}: must be finite")

    return check


def _identifier(_: Any, attribute: "attrs.Attribute[str]", value: object) -> None:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ValueError(
            f"{attribute.name}={value!r}: must be 1 to 128 letters, digits, dots, colons, dashes "
            f"or underscores, a letter or digit first"
        )


def _whole(_: Any, attribute: "attrs.Attribute[int]", value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{attribute.name}={value!r}: must be a whole number, zero or more")


@attrs.frozen(kw_only=True)
class Budget:
    """`intensity` failures are admitted in any closed window of `period` seconds, and no more."""

    intensity: int = attrs.field(default=1, validator=_whole)
    period: float = attrs.field(default=5.0, validator=_duration(zero=False, endless=False))


@attrs.frozen(kw_only=True)
class Backoff:
    """How long to wait before a restart: first, doubled (by `factor`) each time, at most `cap`.

    The wait is drawn between (1 - jitter) and 1 of that, so that what failed together does not
    come back together. A child that has served for `healthy_after` seconds begins again at `first`.
    """

    first: float = attrs.field(default=0.1, validator=_duration(zero=False, endless=False))
    factor: float = attrs.field(default=2.0, validator=attrs.validators.ge(1.0))
    cap: float = attrs.field(default=30.0, validator=_duration(zero=False, endless=False))
    jitter: float = attrs.field(
        default=0.5, validator=[attrs.validators.ge(0.0), attrs.validators.le(1.0)]
    )
    healthy_after: float = attrs.field(default=60.0, validator=_duration(zero=False, endless=False))

    def delay(self, attempt: int, chance: float) -> float:
        """The wait before attempt 0, 1, 2 …; `chance` in [0, 1) is drawn by the caller."""
        try:
            whole = min(self.cap, self.first * self.factor**attempt)
        except OverflowError:  # Of the power: the cap was passed long ago.
            whole = self.cap
        return whole * (1 - self.jitter * chance)


@attrs.frozen
class ChildSpec:
    """A child: what to run, when to restart it, how long it may take to start and to stop.

    `run(ctx, *, task_status)` calls `task_status.started(value)` once it can serve. A restart never
    overlaps the incarnation before it. `shutdown=0` stops at once, without time to clean up.
    """

    id: str = attrs.field(validator=_identifier)
    run: Callable[..., Awaitable[object]] = attrs.field(validator=attrs.validators.is_callable())
    restart: RestartType = attrs.field(
        default="permanent", kw_only=True, validator=_one_of(RESTARTS)
    )
    shutdown: float = attrs.field(
        default=5.0, kw_only=True, validator=_duration(zero=True, endless=True)
    )
    start_timeout: float = attrs.field(
        default=10.0, kw_only=True, validator=_duration(zero=False, endless=True)
    )
    significant: bool = attrs.field(
        default=False, kw_only=True, validator=attrs.validators.instance_of(bool)
    )
    kind: Kind = attrs.field(default="worker", kw_only=True, validator=_one_of(KINDS))
    backoff: Backoff | None = attrs.field(
        default=None,
        kw_only=True,
        validator=attrs.validators.optional(attrs.validators.instance_of(Backoff)),
    )
    budget: Budget | None = attrs.field(
        default=None,
        kw_only=True,
        validator=attrs.validators.optional(attrs.validators.instance_of(Budget)),
    )

    @significant.validator
    def _check_significant(self, _: "attrs.Attribute[bool]", value: bool) -> None:
        if value and self.restart == "permanent":
            raise ValueError(
                "significant=True with restart='permanent': a permanent child never ends by "
                "itself; make it transient or temporary"
            )
