"""The service actor alone: what it tells the service manager, and when it loses its patience."""

import math

import attrs
import pytest
import trio
import trio.testing
from riskd.actors.messages import ActorSilent, Fact, Pulse
from riskd.actors.service import Service


@attrs.frozen
class Patience:
    heartbeat_interval_s: float = 1.0
    heartbeat_timeout_s: float = 2.0
    heartbeat_misses: int = 2


class Outside:
    """The service actor's ports, with a history of what it did through them."""

    watchdog_s: float | None = None

    def __init__(self) -> None:
        self.happened: list[object] = []

    def notify(self, *lines: str) -> None:
        self.happened.append(lines)

    async def crash(self, name: str) -> None:
        self.happened.append(f"crash {name}")

    def record(self, fact: Fact) -> None:
        self.happened.append(fact)

    def service(self) -> Service:
        return Service(self, Patience, self.crash, self.record)


@pytest.mark.parametrize(
    ("pulse", "lines"),
    [
        (Pulse(beating=("gate", "control"), silent=()), ("WATCHDOG=1", "STATUS=2 actors serve")),
        (Pulse(beating=("gate",), silent=("control",)), ("STATUS=silent: control",)),
        (Pulse(beating=(), silent=("gate", "control")), ("STATUS=silent: gate, control",)),
        (Pulse(beating=(), silent=()), ("STATUS=silent: everyone",)),
    ],
)
async def test_only_a_pulse_with_somebody_beating_and_nobody_silent_is_a_ping(
    pulse: Pulse, lines: tuple[str, ...]
) -> None:
    outside = Outside()
    await outside.service().receive(pulse)
    assert outside.happened == [lines]


async def test_each_pulse_good_or_bad_is_a_sign_of_life_of_the_heartbeat_trigger(
    autojump_clock: trio.testing.MockClock,
) -> None:
    service = Outside().service()
    assert service.wake_at() == trio.current_time() + 9
    for pulse in (Pulse(beating=("gate",), silent=()), Pulse(beating=(), silent=("gate",))):
        await trio.sleep(5)
        await service.receive(pulse)
        assert service.wake_at() == trio.current_time() + 9


async def test_without_a_pulse_the_heartbeat_trigger_is_crashed_after_it_is_told(
    autojump_clock: trio.testing.MockClock,
) -> None:
    outside = Outside()
    service = outside.service()
    await trio.sleep_until(service.wake_at())
    await service.wake()
    assert outside.happened == [
        ("STATUS=no heartbeats are being made",),
        ActorSilent(actor="heartbeat", deadline_s=9.0),
        "crash heartbeat",
    ]
    assert service.wake_at() == trio.current_time() + 9 < math.inf
