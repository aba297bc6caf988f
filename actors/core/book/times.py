"""Times as the book orders them: nanoseconds since 1970, and the days and weeks they are in."""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo

import msgspec

NS = 1_000_000_000
EARLIEST = -(2**63)
"""The time of what happened before any time was seen."""

_DAY = timedelta(days=1)
_FRACTION = re.compile(r"(?<=:[0-9]{2})[.,]([0-9]{1,9})[0-9]*")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = ((10**11, NS), (10**14, 10**6), (10**17, 10**3))
"""A whole number below the first is in units of so many nanoseconds: seconds reach to the year
5138 so, and what is larger is in milliseconds, microseconds or nanoseconds."""
_FAR = timedelta(days=365_000)
"""Nothing is told of what is longer ago than this, or longer ahead; any zone can show it."""
_FAR_NS = _FAR.days * 86_400 * NS


def nanoseconds(said: str | int) -> int:
    """A time as an event says it. Raises ValueError."""
    if isinstance(said, int):
        moment = said
        for limit, unit in _UNITS:
            if -limit < said < limit:
                moment = said * unit
                break
        if not -_FAR_NS < moment < _FAR_NS:
            raise ValueError("is too far from now to be a time")
        return moment
    fraction = _FRACTION.search(said)
    text = said if fraction is None else said[: fraction.start()] + said[fraction.end() :]
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("is no time; write ISO 8601, as 2024-05-17T12:00:00Z") from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    if abs(found - _EPOCH) >= _FAR:
        raise ValueError("is too far from now to be a time")
    digits = "" if fraction is None else fraction[1]
    return _since(found) + int(digits.ljust(9, "0"))


def _since(moment: datetime) -> int:
    span = moment - _EPOCH
    return (span.days * 86_400 + span.seconds) * NS + span.microseconds * 1_000


def moment(at_ns: int) -> datetime:
    """In UTC, to the microsecond before it."""
    return _EPOCH + timedelta(microseconds=at_ns // 1_000)


def text(at_ns: int | None) -> str | None:
    return None if at_ns is None else instant(moment(at_ns))


def instant(at: datetime) -> str:
    """As replies have it, and facts: ISO 8601, and UTC by the letter Z."""
    return _encode(at)[1:-1].decode()


def last_reset(at_ns: int, zone: tzinfo, reset: time, weekday: int | None = None) -> int:
    """The latest reset that is not after this, and on this day of the week if one is given.

    It comes once a local day. One that falls into the gap or the overlap of a change of clocks is
    read with fold=0.
    """
    today = moment(at_ns).astimezone(zone).date()
    day: date = today + _DAY
    while True:
        if weekday is None or day.weekday() == weekday:
            found = _since(datetime.combine(day, reset, tzinfo=zone).astimezone(UTC))
            if found <= at_ns:
                return found
        day -= _DAY


def next_reset(at_ns: int, zone: tzinfo, reset: time) -> int:
    """The first reset after this."""
    day: date = moment(at_ns).astimezone(zone).date() - _DAY
    while True:
        found = _since(datetime.combine(day, reset, tzinfo=zone).astimezone(UTC))
        if found > at_ns:
            return found
        day += _DAY


_encode = msgspec.json.Encoder().encode
