"""Following the ledger: every fact once, in order, from memory or from the files."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import attrs
import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from riskd.actors.messages import ActorSilent, Recorded
from riskd.actors.ports import FeedLost
from riskd.adapters.disk import SystemDisk
from riskd.supervisor import ledger as ledgers
from riskd.supervisor.feed import LedgerFeed
from riskd.supervisor.journal.files import segment_firsts, segment_name
from riskd.supervisor.ledger import Ledger
from riskd.supervisor.recall import open_ledger

SEGMENT_BYTES = 68_000
"""Hardly more than the reserve: a dozen facts fill it."""


@attrs.define
class StillClock:
    def monotonic_s(self) -> float:
        return 100.0

    def now(self) -> datetime:
        return datetime(2024, 5, 17, 12, tzinfo=UTC)

    def boot(self) -> str:
        return "boot-1"


@contextmanager
def opened(place: Path) -> Iterator[Ledger]:
    with open_ledger(SystemDisk(), place, StillClock(), [], segment_bytes=SEGMENT_BYTES) as ledger:
        yield ledger


def add(ledger: Ledger, count: int) -> None:
    for _ in range(count):
        ledger.commit(ActorSilent(actor=f"a{ledger.lsn + 1}", deadline_s=1.0))


def checked(found: list[tuple[int, bytes]], first: int = 1) -> None:
    """These are the facts from `first` on, without a gap or a repeat, as they are stored."""
    for expected, (lsn, payload) in enumerate(found, first):
        recorded = msgspec.json.decode(payload, type=Recorded)
        assert (lsn, recorded.lsn) == (expected, expected)
        assert recorded.fact == ActorSilent(actor=f"a{lsn}", deadline_s=1.0)


@settings(max_examples=40)
@given(
    recent_max=st.integers(1, 8),
    after=st.integers(0, 20),
    steps=st.lists(st.tuples(st.integers(0, 12), st.integers(1, 2_000)), max_size=12),
)
def test_a_follower_of_any_speed_is_given_every_fact_once(
    recent_max: int,
    after: int,
    steps: list[tuple[int, int]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async def follow() -> None:
        with opened(tmp_path_factory.mktemp("state")) as ledger:
            add(ledger, 20)
            follower = LedgerFeed(ledger).follow(after)
            found: list[tuple[int, bytes]] = []
            for count, bytes_max in [*steps, (1, 100_000)]:
                add(ledger, count)
                if after + len(found) < ledger.lsn:
                    batch = await follower.next(bytes_max=bytes_max)
                    assert sum(len(payload) for _, payload in batch[1:]) <= bytes_max
                    found += batch
            while after + len(found) < ledger.lsn:
                found += await follower.next(bytes_max=300)
            await follower.aclose()
            checked(found, after + 1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledgers, "RECENT_FACTS_MAX", recent_max)
        trio.run(follow)


async def test_a_follower_that_has_seen_all_waits_for_the_next(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        add(ledger, 3)
        follower = LedgerFeed(ledger).follow(3)
        found: list[tuple[int, bytes]] = []

        async def wait() -> None:
            found.extend(await follower.next(bytes_max=1000))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            assert not found
            add(ledger, 1)
        checked(found, 4)


async def test_a_cancelled_wait_or_read_has_passed_over_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "RECENT_FACTS_MAX", 2)
    with opened(tmp_path) as ledger:
        add(ledger, 30)
        follower = LedgerFeed(ledger).follow(0)
        found: list[tuple[int, bytes]] = []

        async def read() -> None:
            found.extend(await follower.next(bytes_max=200))

        while len(found) < 28:
            with trio.CancelScope() as scope:
                scope.cancel()
                await read()
            async with trio.open_nursery() as nursery:
                # It is cancelled while its thread reads.
                nursery.start_soon(read)
                await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()
            await read()
        checked(found)


async def test_facts_that_are_no_longer_kept_are_lost_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "RECENT_FACTS_MAX", 2)
    with opened(tmp_path) as ledger:
        add(ledger, 60)
        directory = ledger.journal.directory
        first, second, *_ = segment_firsts(SystemDisk().names(directory))
        (directory / segment_name(first)).unlink()
        feed = LedgerFeed(ledger)
        assert await feed.oldest_lsn() == second
        with pytest.raises(FeedLost, match=f"fact 1 is no longer kept; begin at {second}"):
            await feed.follow(0).next(bytes_max=1000)


async def test_whoever_waits_when_the_journal_fails_is_told(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        add(ledger, 1)

        async def wait() -> None:
            with pytest.raises(FeedLost, match="nothing more is written"):
                await LedgerFeed(ledger).follow(1).next(bytes_max=1000)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            ledger.failed(ledger.journal.fail("it broke", OSError(5, "Input/output error")))


async def test_a_follower_holds_nobody_up(tmp_path: Path) -> None:
    """A commit is one step, however many wait for it."""
    with opened(tmp_path) as ledger:
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(lambda: LedgerFeed(ledger).follow(0).next(bytes_max=1000))
            await trio.testing.wait_all_tasks_blocked()
            with trio.testing.assert_no_checkpoints():
                add(ledger, 1)
