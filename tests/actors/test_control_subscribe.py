"""Subscriptions: no fact is lost and none comes twice, however slow or often interrupted one is."""

import json
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from riskd.actors.control import PUSH_BYTES
from riskd.actors.core import subscription as core
from riskd.actors.core.access import TOKEN_BYTES
from riskd.actors.messages import ActorSilent, DaemonStopped
from riskd.actors.ports import FeedLost

OBSERVER = 4242
VERSION = b'{"type":"version","id":1}'
FROM_THE_FIRST = b'{"type":"subscribe","id":"s","from_lsn":1}'
FROM_NOW_ON = b'{"type":"subscribe","id":"s"}'
MORE_THAN_A_SOCKET_HOLDS = 4000
Serving = Callable[..., AbstractAsyncContextManager[Any]]


def subscribe(**fields: Any) -> bytes:
    return msgspec.json.encode({"type": "subscribe", "id": "s", **fields})


async def lines(client: Any, count: int) -> list[dict[str, Any]]:
    found = [await client.line() for _ in range(count)]
    assert None not in found
    return found


async def lsns(client: Any, up_to: int) -> list[int]:
    """The facts that are told, up to this one."""
    found: list[int] = []
    while not found or found[-1] < up_to:
        line = await client.line()
        if line["type"] == "recorded":
            found.append(line["lsn"])
    return found


# --- what comes -----------------------------------------------------------------------------------


async def test_a_subscriber_hears_what_has_been_and_what_comes(serving: Serving) -> None:
    async with serving() as served:
        served.feed.add(3)
        client = await served.connect()
        await client.send(subscribe(from_lsn=2))
        first, *told, position = await lines(client, 4)
        assert first == {"type": "subscribed", "id": "s", "from_lsn": 2, "lsn": 3}
        assert position == {"type": "position", "id": "s", "lsn": 3}
        served.feed.add()
        told += await lines(client, 1)
        stored = [json.loads(line) for line in served.feed.stored[1:]]
        assert told == [{"type": "recorded", "id": "s", **each} for each in stored]


async def test_without_a_beginning_only_what_comes_is_told(serving: Serving) -> None:
    async with serving() as served:
        served.feed.add(3)
        client = await served.connect()
        await client.send(FROM_NOW_ON)
        first, position = await lines(client, 2)
        assert first == {"type": "subscribed", "id": "s", "from_lsn": 4, "lsn": 3}
        assert position == {"type": "position", "id": "s", "lsn": 3}
        served.feed.add()
        assert (await client.line() or {})["lsn"] == 4


async def test_before_the_first_fact_one_can_wait_for_it(serving: Serving) -> None:
    async with serving() as served:
        client = await served.connect()
        reply = await client.ask(FROM_THE_FIRST)
        assert (reply["from_lsn"], reply["lsn"]) == (1, 0)
        assert (await client.line() or {})["lsn"] == 0
        served.feed.add()
        assert (await client.line() or {})["lsn"] == 1


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    before=st.integers(min_value=0, max_value=1200),
    sessions=st.lists(
        st.tuples(
            st.integers(min_value=0, max_value=600),  # facts that come meanwhile
            st.integers(min_value=0, max_value=800),  # lines that are read before it breaks off
            st.sampled_from([97, 1000, 5000, 100_000]),  # bytes that are read at once
        ),
        max_size=4,
    ),
)
async def test_however_often_it_breaks_off_every_fact_is_heard_once_and_in_order(
    serving: Serving, before: int, sessions: list[tuple[int, int, int]]
) -> None:
    heard: list[bytes] = []

    async def listen(served: Any, lines_max: int, chunk: int) -> None:
        """Up to so many facts, or all that there are; then leave, perhaps within a line."""
        stream = (await served.connect()).stream
        await stream.send_all(b'{"type":"subscribe","from_lsn":%d}\n' % (len(heard) + 1))
        received, wanted = b"", min(len(heard) + lines_max, served.feed.lsn)
        while len(heard) < wanted:
            received += await stream.receive_some(chunk)
            *whole, received = received.split(b"\n")
            heard.extend(line for line in whole if line.startswith(b'{"type":"recorded"'))
        await stream.aclose()

    async with serving() as served:
        served.feed.add(before)
        for more, lines_max, chunk in [*sessions, (0, 10_000, 100_000)]:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(listen, served, lines_max, chunk)
                served.feed.add(more)
        head = b'{"type":"recorded","id":0,'
        assert heard == [head + stored[1:] for stored in served.feed.stored]


async def test_a_filter_passes_over_the_rest_and_says_how_far_it_is(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "POSITION_EVERY", 100)
    async with serving() as served:
        served.feed.add(250)
        served.feed.add(fact=DaemonStopped(reason="SIGTERM"))
        client = await served.connect()
        await client.send(subscribe(from_lsn=1, facts=["daemon_stopped", "child_held"]))
        told = [(line["type"], line["lsn"]) for line in await lines(client, 5)]
        assert told == [
            ("subscribed", 251),
            ("position", 100),
            ("position", 200),
            ("recorded", 251),
            ("position", 251),
        ]


async def test_what_is_chosen_must_fit_the_actor_and_the_account_too(serving: Serving) -> None:
    async with serving() as served:
        served.feed.add(2)
        served.feed.add(fact=ActorSilent(actor="gate", deadline_s=1))
        client, other = await served.connect(), await served.connect()
        await client.send(subscribe(from_lsn=1, actor="gate"))
        assert [line["lsn"] for line in await lines(client, 3)] == [3, 3, 3]
        await other.send(subscribe(from_lsn=1, actor="gate", account="main"))
        assert [line["type"] for line in await lines(other, 2)] == ["subscribed", "position"]


# --- replies in between ---------------------------------------------------------------------------


async def test_commands_are_answered_in_between_and_no_line_is_broken(serving: Serving) -> None:
    async with serving() as served, trio.open_nursery() as nursery:
        served.feed.add(MORE_THAN_A_SOCKET_HOLDS)
        client = await served.connect()
        await client.send(FROM_THE_FIRST)
        commands = [b'{"type":"version","id":%d}' % number for number in range(3000)]
        nursery.start_soon(client.send, *commands, b'{"type":"actors","id":3000}')
        found = await lines(client, 1 + MORE_THAN_A_SOCKET_HOLDS + 1 + 3001)
        assert found[0]["type"] == "subscribed"
        told = [line["lsn"] for line in found if line["type"] == "recorded"]
        assert told == list(range(1, MORE_THAN_A_SOCKET_HOLDS + 1))
        answered = [line["id"] for line in found if line["type"] in ("version", "actors")]
        assert answered == list(range(3001))


async def test_a_reply_does_not_wait_for_the_end_of_history(serving: Serving) -> None:
    async with serving() as served:
        served.feed.add(MORE_THAN_A_SOCKET_HOLDS)
        client = await served.connect()
        await client.send(FROM_THE_FIRST)
        await trio.testing.wait_all_tasks_blocked()
        await client.send(VERSION)
        types = [line["type"] for line in await lines(client, MORE_THAN_A_SOCKET_HOLDS + 3)]
        assert types.index("version") < MORE_THAN_A_SOCKET_HOLDS


# --- slow ones ------------------------------------------------------------------------------------


@pytest.mark.parametrize("about", ["s", "\1" * 64], ids=["short", "long"])
async def test_one_that_does_not_read_makes_nothing_grow(serving: Serving, about: str) -> None:
    async with serving(cleanup_s=0.05) as served:
        served.feed.add(MORE_THAN_A_SOCKET_HOLDS)
        client = await served.connect()
        await client.send(subscribe(from_lsn=1, id=about))
        await trio.testing.wait_all_tasks_blocked()
        (held,), (follower,) = served.control._clients, served.feed.followers
        unsent, read = len(held.unsent), follower.lsn
        assert 0 < unsent <= PUSH_BYTES + max(map(len, served.feed.stored)) + 500
        assert read < served.feed.lsn
        served.feed.add(5000)
        await trio.testing.wait_all_tasks_blocked()
        assert (len(held.unsent), follower.lsn) == (unsent, read)


async def test_one_that_does_not_read_is_dropped_and_comes_back_for_the_rest(
    serving: Serving,
) -> None:
    async with serving(send_timeout_s=0.05) as served:
        served.feed.add(MORE_THAN_A_SOCKET_HOLDS)
        client = await served.connect()
        await client.send(FROM_THE_FIRST)
        await served.log.heard("control.client_slow")
        heard = []
        received = bytearray()
        while chunk := await client.stream.receive_some():
            received += chunk
        heard += [json.loads(line)["lsn"] for line in received.split(b"\n")[1:-1]]
        await trio.testing.wait_all_tasks_blocked()
        found = served.control.statistics()
        assert (found.clients, found.subscribers, found.dropped_slow) == (0, 0, 1)
        assert served.feed.followers[0].closed
        again = await served.connect()
        await again.send(subscribe(from_lsn=heard[-1] + 1))
        heard += await lsns(again, MORE_THAN_A_SOCKET_HOLDS)
        assert heard == list(range(1, MORE_THAN_A_SOCKET_HOLDS + 1))


async def test_one_that_reads_slowly_is_not_dropped_however_long_it_takes(
    serving: Serving, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(send_timeout_s=1.0) as served:
        served.feed.add(3 * MORE_THAN_A_SOCKET_HOLDS)
        client = await served.connect()
        await client.send(FROM_THE_FIRST)
        received = bytearray()
        started, total = trio.current_time(), 3 * MORE_THAN_A_SOCKET_HOLDS + 2
        while received.count(b"\n") < total:
            await trio.sleep(0.9)
            until = len(received) + 250_000
            while len(received) < until and received.count(b"\n") < total:
                received += await client.stream.receive_some(250_000)
        assert trio.current_time() - started > 3 * 1.0
        told = [json.loads(line)["lsn"] for line in received.split(b"\n")[1:-2]]
        assert told == list(range(1, 3 * MORE_THAN_A_SOCKET_HOLDS + 1))


async def test_one_fact_that_is_long_may_be_read_as_slowly(
    serving: Serving, autojump_clock: trio.testing.MockClock
) -> None:
    async with serving(send_timeout_s=1.0) as served:
        served.feed.add(fact=DaemonStopped(reason="x" * 1_000_000))
        client = await served.connect()
        await client.send(FROM_THE_FIRST)
        received = bytearray()
        while received.count(b"\n") < 2:
            await trio.sleep(0.9)
            received += await client.stream.receive_some(250_000)
        assert json.loads(received.splitlines()[1])["fact"]["reason"] == "x" * 1_000_000


async def test_a_stalled_one_holds_up_neither_a_quick_one_nor_anybody_else(
    serving: Serving,
) -> None:
    async with serving() as served:
        served.feed.add(MORE_THAN_A_SOCKET_HOLDS)
        stalled, quick, other = [await served.connect() for _ in range(3)]
        await stalled.send(FROM_THE_FIRST)
        await trio.testing.wait_all_tasks_blocked()
        await quick.send(FROM_THE_FIRST)
        served.feed.add(10)
        everything = list(range(1, MORE_THAN_A_SOCKET_HOLDS + 11))
        assert await lsns(quick, everything[-1]) == everything
        assert (await other.ask(VERSION))["type"] == "version"
        assert await lsns(stalled, everything[-1]) == everything


async def test_a_long_search_that_finds_nothing_lets_everybody_else_have_a_turn(
    serving: Serving,
) -> None:
    async with serving() as served:
        served.feed.add(20_000)
        searching, other = await served.connect(), await served.connect()
        await searching.ask(subscribe(from_lsn=1, facts=["child_held"]))
        assert (await other.ask(VERSION))["type"] == "version"
        assert served.feed.followers[0].lsn < served.feed.lsn


async def test_nothing_more_is_carried_out_for_one_that_has_been_cut_off(serving: Serving) -> None:
    async with serving() as served:
        client = await served.connect()
        await client.ask(VERSION)
        (held,) = served.control._clients
        os.write(client.stream.socket.fileno(), VERSION + b"\n")
        served.control._cut(held)
        assert await client.line() is None
        await trio.testing.wait_all_tasks_blocked()
        assert served.control.statistics().lines == 1


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("from_lsn", "code", "named"), [(12, "ahead", "newest is 10"), (4, "too_old", "oldest is 5")]
)
async def test_a_beginning_that_is_not_there_is_refused_with_what_is(
    serving: Serving, from_lsn: int, code: str, named: str
) -> None:
    async with serving() as served:
        served.feed.add(10)
        served.feed.oldest = 5
        client = await served.connect()
        refused = await client.ask(subscribe(from_lsn=from_lsn))
        assert (refused["type"], refused["code"], refused["id"]) == ("refused", code, "s")
        assert named in refused["message"]
        for allowed in (5, 11):
            another = await served.connect()
            assert (await another.ask(subscribe(from_lsn=allowed)))["from_lsn"] == allowed


async def test_a_second_subscription_of_one_connection_is_refused(serving: Serving) -> None:
    async with serving() as served:
        client = await served.connect()
        await client.send(FROM_NOW_ON, subscribe(id=2))
        first, *rest = await lines(client, 3)
        assert first["type"] == "subscribed"
        (refused,) = [line for line in rest if line["type"] != "position"]
        assert (refused["code"], refused["id"]) == ("already_subscribed", 2)
        served.feed.add()
        assert (await client.line() or {})["id"] == "s"


async def test_an_unknown_fact_is_an_error_that_names_the_field(serving: Serving) -> None:
    async with serving() as served:
        client = await served.connect()
        error = await client.ask(subscribe(facts=["child_failed", "child_fialed"]))
        assert (error["code"], error["field"]) == ("invalid_value", "facts")
        assert "'child_fialed'" in error["message"]
        found = served.control.statistics()
        assert (found.errors, found.subscribers) == (1, 0)


async def test_a_worker_may_not_subscribe_and_who_becomes_one_hears_no_more(
    serving: Serving,
) -> None:
    async with serving() as served:
        token = served.tokens.issue("mm-1", bytes(TOKEN_BYTES)).encode()
        client = await served.connect()
        await client.ask(FROM_NOW_ON)
        assert (await client.line() or {})["type"] == "position"
        await client.ask(b'{"type":"hello","token":"' + token + b'"}')
        served.feed.add()
        last = await client.line()
        assert last is not None
        assert (last["code"], last["id"]) == ("not_permitted", "s")
        assert (await client.ask(FROM_NOW_ON))["code"] == "not_permitted"
        assert (await client.ask(VERSION))["type"] == "version"
        assert served.control.statistics().subscribers == 0


async def test_a_history_that_can_not_be_read_makes_subscribing_unavailable(
    serving: Serving,
) -> None:
    async with serving() as served:
        served.feed.fail(FeedLost("the disk is gone"))
        client = await served.connect()
        reply = await client.ask(FROM_THE_FIRST)
        assert (reply["code"], reply["message"]) == ("unavailable", "the disk is gone")
        assert (await client.ask(VERSION))["type"] == "version"


# --- the end --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "code", "event"),
    [
        (FeedLost("fact 3 is damaged"), "feed_lost", "control.feed_lost"),
        (OSError("a secret detail"), "internal", "control.feed_failed"),
        (KeyError("a secret detail"), "internal", "control.feed_failed"),
    ],
)
async def test_a_feed_that_fails_ends_the_subscription_alone(
    serving: Serving, failure: Exception, code: str, event: str
) -> None:
    async with serving() as served:
        served.feed.add(2)
        client, other = await served.connect(), await served.connect()
        await client.send(FROM_THE_FIRST)
        await lines(client, 4)
        served.feed.fail(failure)
        last = await client.line()
        assert last is not None
        assert (last["type"], last["id"], last["code"]) == ("error", "s", code)
        assert "secret" not in last["message"]
        assert len(served.log.of(event)) == 1
        assert served.feed.followers[0].closed
        assert (await other.ask(VERSION))["type"] == "version"
        served.feed.fail(None)
        assert (await client.ask(subscribe(from_lsn=2)))["type"] == "subscribed"
        assert (await client.line() or {})["lsn"] == 2


async def test_when_the_subscriber_leaves_its_place_in_the_feed_is_given_back(
    serving: Serving,
) -> None:
    async with serving() as served:
        waiting, stalled, other = [await served.connect() for _ in range(3)]
        await waiting.ask(FROM_NOW_ON)
        served.feed.add(MORE_THAN_A_SOCKET_HOLDS)
        await stalled.send(FROM_THE_FIRST)
        await other.ask(VERSION)
        for each in (waiting, stalled):
            await each.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert [follower.closed for follower in served.feed.followers] == [True, True]
        found = served.control.statistics()
        assert (found.clients, found.subscribers, found.dropped_slow) == (1, 0, 0)


async def test_a_subscriber_that_is_told_things_is_not_the_silent_one(serving: Serving) -> None:
    async with serving(max_clients=2) as served:
        subscriber, other = await served.connect(), await served.connect()
        await subscriber.ask(FROM_NOW_ON)
        await other.ask(VERSION)
        served.feed.add()
        await lsns(subscriber, 1)
        await trio.testing.wait_all_tasks_blocked()
        newcomer = await served.connect()
        await newcomer.ask(VERSION)
        assert (await other.line() or {})["code"] == "too_many_clients"
        served.feed.add()
        assert (await subscriber.line() or {})["lsn"] == 2


async def test_a_subscriber_to_whom_nothing_was_told_for_the_longest_time_gives_way(
    serving: Serving,
) -> None:
    async with serving(max_clients=2) as served:
        subscriber, other = await served.connect(), await served.connect()
        await subscriber.ask(FROM_NOW_ON)
        assert (await subscriber.line() or {})["type"] == "position"
        await trio.testing.wait_all_tasks_blocked()
        await other.ask(VERSION)
        newcomer = await served.connect()
        await newcomer.ask(VERSION)
        assert (await subscriber.line() or {})["code"] == "too_many_clients"
        assert await subscriber.line() is None
        await trio.testing.wait_all_tasks_blocked()
        assert served.feed.followers[0].closed


async def test_when_the_actor_ends_what_was_begun_is_sent_up_to_the_end_of_a_line(
    serving: Serving,
) -> None:
    async with serving() as served:
        served.feed.add(MORE_THAN_A_SOCKET_HOLDS)
        client = await served.connect()
        await client.send(FROM_THE_FIRST)
        await trio.testing.wait_all_tasks_blocked()
        read = served.feed.followers[0].lsn
        served.scope.cancel()
        assert (await client.line() or {})["type"] == "subscribed"
        told = []
        while line := await client.line():
            told.append(line["lsn"])
        assert told == list(range(1, len(told) + 1))
        assert 0 < len(told) <= read < MORE_THAN_A_SOCKET_HOLDS
        await served.ended.wait()
        assert served.feed.followers[0].closed


async def test_a_subscriber_that_sends_too_long_a_line_is_told_so_and_closed(
    serving: Serving,
) -> None:
    async with serving(max_line_bytes=1024) as served:
        client = await served.connect()
        await client.ask(FROM_NOW_ON)
        assert (await client.line() or {})["type"] == "position"
        assert (await client.ask(b"x" * 1025))["code"] == "line_too_long"
        assert await client.line() is None
        await trio.testing.wait_all_tasks_blocked()
        assert served.feed.followers[0].closed
