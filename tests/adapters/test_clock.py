"""The machine's clocks, as the port promises them."""

from datetime import UTC
from pathlib import Path

from riskd.actors.ports import Clock
from riskd.adapters.clock import SystemClock


def test_it_keeps_the_promises_of_the_port() -> None:
    clock: Clock = SystemClock()
    assert clock.monotonic_s() <= clock.monotonic_s()
    assert clock.now().tzinfo is UTC
    boots = {clock.boot(), SystemClock().boot()}
    assert boots == {Path("/proc/sys/kernel/random/boot_id").read_text().strip()}
