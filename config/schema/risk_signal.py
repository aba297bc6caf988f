"""The risk signal: from where on figures are a warning or critical, and whose word counts."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta

from ..secret import Secret
from .base import Disagreement, FilePath, Section
from .trading import unfit

Url = Annotated[
    str,
    Meta(
        title="a URL: https://HOST/PATH, or http:// to localhost, 127.0.0.1 or [::1]",
        max_length=2_000,
        pattern=r"^(https://[A-Za-z0-9._-]+|https://\[[0-9A-Fa-f:.]+\]|http://(localhost|127\.0\.0\.1|"
        r"\[::1\]))(:[0-9]{1,5})?(/[!-~]*)?\Z",
    ),
]
"""Without encryption only what never leaves the machine."""
_SENDABLE = re.compile(r"[!-~]+\Z")


class OutsideSignal(Section, frozen=True, kw_only=True):
    """A risk signal from outside riskd, of which silence is bad news: asked for over HTTP, or told
    by a client of the control socket. Without `url` or `is_pushed` none is expected."""

    url: Annotated[
        Url | None,
        Meta(
            description="Where it is asked for, by one GET each time. A redirect is not followed.",
            examples=["https://risk.example.com/signal"],
        ),
    ] = None
    is_pushed: Annotated[
        bool,
        Meta(description="It comes by `signal` commands of operators, with the source `outside`."),
    ] = False
    every_s: Annotated[
        float, Meta(ge=1, le=3_600, description="Seconds between two times that it is asked for.")
    ] = 10.0
    timeout_s: Annotated[
        float, Meta(ge=0.1, le=60, description="Seconds in which all of an answer must be here.")
    ] = 5.0
    max_age_s: Annotated[
        float,
        Meta(
            gt=0,
            le=86_400,
            description="Seconds for which it is believed: since it came, and since the time that "
            "it names itself.",
        ),
    ] = 60.0
    policy: Annotated[
        Literal["critical", "warning", "ignore"],
        Meta(
            description="What it counts as when it is too old, can't be reached or makes no sense. "
            "Never as less than what it said last."
        ),
    ] = "critical"
    token: Annotated[
        Secret | None,
        Meta(
            description="Sent as `Authorization: Bearer` when it is asked for.",
            examples=["${RISK_SIGNAL_TOKEN}"],
        ),
    ] = None
    ca_file: Annotated[
        FilePath | None,
        Meta(
            description="Certificates, in PEM, by which the other side is verified. Unset: those "
            "of the machine.",
            examples=["/etc/ssl/certs/risk.pem"],
        ),
    ] = None

    @property
    def is_expected(self) -> bool:
        return self.url is not None or self.is_pushed

    def disagreements(self) -> Iterator[Disagreement]:
        """It comes one way, and more often than it grows old; and its token is one that can be
        sent."""
        if self.token is not None and not _SENDABLE.match(self.token.reveal()):
            yield Disagreement(
                "token",
                "holds a space, a line's end or another sign that no token has",
                "give it without, as its issuer wrote it",
            )
        if self.url is None:
            return
        if self.is_pushed:
            yield Disagreement("is_pushed", "stands beside a url", "leave one of them")
        if self.max_age_s <= self.every_s + self.timeout_s:
            yield Disagreement(
                "max_age_s",
                f"is not above every_s and timeout_s together, {self.every_s:g} and "
                f"{self.timeout_s:g} s, so that it would be too old between two answers",
                "raise it, or lower one of the others",
            )


class RiskSignal(Section, frozen=True, kw_only=True):
    """From where on figures of an account, an exchange or everything are a warning, or critical:
    then what adds risk is blocked."""

    unknown: Annotated[
        Literal["critical", "warning"],
        Meta(description="As what a figure counts that has not been known for 10 seconds."),
    ] = "critical"
    drawdown_warning_pct: Annotated[
        Decimal,
        Meta(description="Percent that equity has fallen from its peak."),
    ] = Decimal(10)
    drawdown_critical_pct: Annotated[Decimal, Meta(description="The same, critical.")] = Decimal(20)
    daily_loss_warning_pct: Annotated[
        Decimal,
        Meta(description="Percent lost since the session opened."),
    ] = Decimal(5)
    daily_loss_critical_pct: Annotated[Decimal, Meta(description="The same, critical.")] = Decimal(
        10
    )
    weekly_loss_warning_pct: Annotated[
        Decimal,
        Meta(description="Percent lost since the week opened."),
    ] = Decimal(15)
    weekly_loss_critical_pct: Annotated[Decimal, Meta(description="The same, critical.")] = Decimal(
        25
    )
    gross_leverage_warning: Annotated[
        Decimal,
        Meta(description="All positions, in multiples of equity."),
    ] = Decimal(10)
    gross_leverage_critical: Annotated[Decimal, Meta(description="The same, critical.")] = Decimal(
        20
    )
    net_leverage_warning: Annotated[
        Decimal,
        Meta(description="Long less short positions, in multiples of equity."),
    ] = Decimal(10)
    net_leverage_critical: Annotated[Decimal, Meta(description="The same, critical.")] = Decimal(20)
    concentration_warning_pct: Annotated[
        Decimal,
        Meta(description="The largest symbol, in percent of equity."),
    ] = Decimal(500)
    outside: Annotated[
        OutsideSignal, Meta(description="A signal from outside, beside riskd's own.")
    ] = OutsideSignal()

    def disagreements(self) -> Iterator[Disagreement]:
        """A limit is a number that can be reached, and a warning comes first."""
        for key in self.__struct_fields__:
            number = getattr(self, key)
            if isinstance(number, Decimal):
                yield from unfit(key, number)
                if number <= 0:
                    yield Disagreement(key, "is not above 0", "write a number above 0")
        for name in ("drawdown", "daily_loss", "weekly_loss", "gross_leverage", "net_leverage"):
            unit = "" if name.endswith("leverage") else "_pct"
            key = f"{name}_warning{unit}"
            warning, critical = getattr(self, key), getattr(self, f"{name}_critical{unit}")
            if warning > critical:
                yield Disagreement(key, "is above the critical one", "lower it")
