"""The control socket's bounds: whoever goes beyond one loses only itself; and how it all ends."""

import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import trio
import trio.testing
from riskd.actors import control as module
from riskd.actors import turns
from riskd.actors.control import CHUNK_BYTES
from riskd.actors.core.access import TOKEN_BYTES, Caller
from riskd.actors.core.wire import Lines
from riskd.actors.messages import ActorKilled, KillActor, Status, StatusIs

OWN, OBSERVER = os.getuid(), 4242
SAFETY_S = 30.0
VERSION = b'{"type":"version","id":1}'
Serving = Callable[..., AbstractAsyncContextManager[Any]]
Built = Callable[..., Any]

# --- whose turn it is -----------------------------------------------------------------------------


async def test_what_is_urgent_is_answered_while_nobody_else_gets_a_turn(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "ROUND_S", 0.0)
    async with serving(urgent={KillActor}) as served:
        crowd = [await served.connect() for _ in range(3)]
        for client in crowd:
            await client.send(VERSION)
        operator = await served.connect()
        reply = await operator.ask(b'{"type":"kill_actor","name":"gate"}')
        assert reply["type"] == "actor_killed"
        monkeypatch.setattr(turns, "ROUND_S", 1.0)
        for client in crowd:
            assert (await client.line())["type"] == "version"


async def test_a_crowd_does_not_keep_the_loop_from_turning(serving: Serving) -> None:
    carried_out = 0

    async def work(_caller: Caller, _command: Status) -> StatusIs:
        """For all of a round's time."""
        nonlocal carried_out
        carried_out += 1
        began = trio.current_time()
        while trio.current_time() - began < turns.ROUND_S:
            pass
        return StatusIs(status={})

    async with serving(handlers={Status: work}) as served:
        crowd = [await served.connect() for _ in range(8)]
        for client in crowd:
            await client.send(*[b'{"type":"status"}'] * 5)
        most = 0
        while carried_out < 40:
            before = carried_out
            await trio.lowlevel.checkpoint()
            most = max(most, carried_out - before)
        # From one look to the next a round may begin twice: who is first in one is last in another.
        assert most <= 3


async def test_a_command_that_waits_long_is_in_nobodys_way(serving: Serving) -> None:
    asked, done = trio.Event(), trio.Event()

    async def wait(_caller: Caller, _command: Status) -> StatusIs:
        asked.set()
        await done.wait()
        return StatusIs(status={})

    async with serving(handlers={Status: wait}) as served:
        patient, other = await served.connect(), await served.connect()
        await patient.send(b'{"type":"status"}')
        await asked.wait()
        for _ in range(100):
            assert (await other.ask(VERSION))["type"] == "version"
        done.set()
        assert (await patient.line())["type"] == "status"


# --- lines and replies ----------------------------------------------------------------------------


async def test_a_line_without_an_end_is_bounded_and_closes_its_connection_alone(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, held = 0, 0

    class Counted(Lines):
        def feed(self, chunk: bytes) -> Iterator[bytes]:
            nonlocal read, held
            read += len(chunk)
            try:
                yield from super().feed(chunk)
            finally:
                held = max(held, self.pending)

    monkeypatch.setattr(module, "Lines", Counted)
    async with serving(max_line_bytes=100_000) as served:
        client, other = await served.connect(), await served.connect()
        with pytest.raises(trio.BrokenResourceError):
            await client.stream.send_all(b"x" * 8_000_000)
        reply = await client.line()
        assert reply is not None
        assert (reply["code"], reply["id"]) == ("line_too_long", None)
        assert await client.line() is None
        assert read <= 100_000 + CHUNK_BYTES
        assert 0 < held <= 100_000
        assert (await other.ask(VERSION))["type"] == "version"


async def test_what_came_before_a_line_that_is_too_long_is_answered(serving: Serving) -> None:
    async with serving(max_line_bytes=1024) as served:
        client = await served.connect()
        await client.send(VERSION, b"x" * 1025, VERSION)
        replies = [await client.line() for _ in range(3)]
        assert [reply and reply.get("code", reply["type"]) for reply in replies] == [
            "version",
            "line_too_long",
            None,
        ]


async def test_a_client_that_dies_in_the_middle_of_a_line_is_only_a_note(serving: Serving) -> None:
    async with serving() as served:
        client, other = await served.connect(), await served.connect()
        await client.stream.send_all(b'{"type":"kill_actor","na')
        await client.stream.aclose()
        assert (await served.log.heard("control.line_cut"))["bytes"] == 24
        assert (await other.ask(VERSION))["type"] == "version"
        assert served.control.statistics().clients == 1


async def test_a_client_that_leaves_without_reading_is_only_a_note(serving: Serving) -> None:
    async with serving() as served:
        client, other = await served.connect(), await served.connect()
        await client.send(*[b'{"type":"actors"}'] * 20)
        await client.stream.aclose()
        await served.log.heard("control.client_lost")
        assert (await other.ask(VERSION))["type"] == "version"


async def test_a_client_that_never_reads_is_dropped_and_the_others_are_served(
    serving: Serving,
) -> None:
    async with serving(send_timeout_s=0.05) as served:
        client, other = await served.connect(), await served.connect()
        await client.send(*[b'{"type":"actors"}'] * 20)
        assert (await other.ask(VERSION))["type"] == "version"
        dropped = await served.log.heard("control.client_slow")
        assert dropped["unsent"] > 0
        assert (await other.ask(VERSION))["type"] == "version"
        assert served.control.statistics().dropped_slow == 1


async def test_replies_are_sent_before_more_than_a_batch_is_held(serving: Serving) -> None:
    """One reply of a megabyte is on its way before the second command is carried out."""
    carried_out = 0

    async def answer(caller: Caller, command: Status) -> StatusIs:
        nonlocal carried_out
        carried_out += 1
        return StatusIs(status={"blob": "x" * 1_000_000})

    async with serving(handlers={Status: answer}) as served:
        client = await served.connect()
        await client.send(*[b'{"type":"status"}'] * 20)
        await trio.testing.wait_all_tasks_blocked()
        assert carried_out == 1
        for _ in range(20):
            await client.line()
        assert carried_out == 20


# --- places ---------------------------------------------------------------------------------------


async def test_two_hundred_idle_clients_hinder_nobody(serving: Serving) -> None:
    async with serving() as served:
        idle = [await served.connect() for _ in range(200)]
        client = await served.connect()
        assert (await client.ask(VERSION))["type"] == "version"
        assert served.control.statistics().clients == 201
        for each in idle:
            assert (await each.ask(VERSION))["type"] == "version"


async def test_when_all_places_are_taken_the_longest_silent_gives_way(serving: Serving) -> None:
    async with serving(max_clients=3) as served:
        first, second, third = [await served.connect() for _ in range(3)]
        for each in (second, first, third):
            await each.ask(VERSION)
        newcomer = await served.connect()
        assert (await newcomer.ask(VERSION))["type"] == "version"
        reply = await second.line()
        assert reply is not None
        assert (reply["code"], reply["id"]) == ("too_many_clients", None)
        assert await second.line() is None
        for each in (first, third):
            assert (await each.ask(VERSION))["type"] == "version"
        found = served.control.statistics()
        assert (found.clients, found.evicted, found.accepted) == (3, 1, 4)


async def test_a_flood_of_newcomers_never_holds_more_than_the_places(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    present: list[int] = []

    class Counted(Lines):
        def __init__(self, limit: int) -> None:  # Made for each newcomer, who isn't counted yet.
            super().__init__(limit)
            present.append(served.control.statistics().clients)

    monkeypatch.setattr(module, "Lines", Counted)
    async with serving(max_clients=3) as served:
        for _ in range(50):
            client = await served.connect()
            assert (await client.ask(VERSION))["type"] == "version"
    assert len(present) == 50
    assert max(present) == 2


async def test_a_worker_keeps_its_place_and_the_newcomer_is_told_why(serving: Serving) -> None:
    async with serving(max_clients=1) as served:
        token = served.tokens.issue("mm-1", bytes(TOKEN_BYTES)).encode()
        worker = await served.connect()
        await worker.ask(b'{"type":"hello","token":"' + token + b'"}')
        newcomer = await served.connect()
        assert (await newcomer.line() or {})["code"] == "too_many_clients"
        assert await newcomer.line() is None
        assert (await worker.ask(VERSION))["type"] == "version"


async def test_observers_can_not_crowd_an_operator_out(
    serving: Serving, seen_as: Callable[..., None]
) -> None:
    seen_as(OWN, OBSERVER)
    async with serving(max_clients=1) as served:
        operator = await served.connect()
        await operator.ask(VERSION)
        observer = await served.connect()
        assert (await observer.line() or {})["code"] == "too_many_clients"
        assert (await operator.ask(VERSION))["type"] == "version"


async def test_without_descriptors_accepting_pauses_and_goes_on(serving: Serving) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with serving() as served:
        other = await served.connect()
        await other.ask(VERSION)
        with socket.socket(socket.AF_UNIX) as waiting:
            lowest_free = os.dup(waiting.fileno())
            os.close(lowest_free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
            try:
                waiting.connect(str(served.place))
                assert "files" in (await served.log.heard("control.accept_paused"))["cause"]
                assert (await other.ask(VERSION))["type"] == "version"
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            client = served.adopt(trio.SocketStream(trio.socket.from_stdlib_socket(waiting)))
            assert (await client.ask(VERSION))["type"] == "version"


async def test_an_accept_that_fails_otherwise_crashes_the_actor(built: Built, context: Any) -> None:
    with socket.socket(socket.AF_UNIX) as deaf:  # It has never been told to listen.
        control, _, _ = built([deaf])
        with pytest.RaisesGroup(OSError), trio.fail_after(SAFETY_S):
            await control.serve(context)


# --- the end --------------------------------------------------------------------------------------


async def test_a_reply_that_is_ready_when_the_actor_is_cancelled_still_arrives(
    serving: Serving,
) -> None:
    scopes: list[trio.CancelScope] = []

    async def answer(caller: Caller, command: KillActor) -> ActorKilled:
        scopes[0].cancel()
        return ActorKilled(name=command.name, incarnation=1)

    async with serving(handlers={KillActor: answer}) as served:
        scopes.append(served.scope)
        client = await served.connect()
        reply = await client.ask(b'{"type":"kill_actor","name":"control","id":8}')
        assert (reply["type"], reply["id"]) == ("actor_killed", 8)
        assert await client.line() is None
        await served.ended.wait()


async def test_a_reply_that_was_half_sent_is_completed_exactly(serving: Serving) -> None:
    async with serving() as served:
        client = await served.connect()
        await client.send(b'{"type":"actors","id":1}')
        await trio.testing.wait_all_tasks_blocked()
        served.scope.cancel()
        reply = await client.line()
        assert reply is not None
        assert len(reply["actors"]) == 1000
        assert await client.line() is None


async def test_a_client_that_never_reads_does_not_keep_the_actor_from_ending(
    serving: Serving,
) -> None:
    async with serving(cleanup_s=0.05) as served:
        client = await served.connect()
        await client.send(b'{"type":"actors","id":1}')
        await trio.testing.wait_all_tasks_blocked()
        await served.stop()
        assert served.control.statistics().clients == 0


async def test_a_command_in_hand_is_cancelled_without_a_reply(serving: Serving) -> None:
    async def answer(caller: Caller, command: Status) -> StatusIs:
        await trio.sleep_forever()
        raise AssertionError

    async with serving(handlers={Status: answer}) as served:
        client = await served.connect()
        await client.send(b'{"type":"status"}')
        await trio.testing.wait_all_tasks_blocked()
        await served.stop()
        assert await client.line() is None


async def test_who_connects_while_the_actor_is_away_is_served_by_the_next_one(
    serving: Serving,
) -> None:
    async with serving() as served:
        await served.stop()
        client = await served.connect()
        await client.send(VERSION)
        async with trio.open_nursery() as nursery:
            await nursery.start(served.control.serve, served.context)
            assert (await client.line() or {})["type"] == "version"
            nursery.cancel_scope.cancel()


# --- the log --------------------------------------------------------------------------------------


async def test_what_clients_cause_is_logged_once_a_second_with_a_count(
    built: Built, autojump_clock: trio.testing.MockClock
) -> None:
    control, log, _ = built([])
    for _ in range(100):
        control._warn("control.client_slow", process_id=1)
    control._warn("control.handler_failed", command="Status", exc_info=ValueError())
    control._warn("control.handler_failed", command="Reload", exc_info=ValueError())
    assert [name for name, _ in log.events] == [
        "control.client_slow",
        "control.handler_failed",
        "control.handler_failed",
    ]
    await trio.sleep(module.LOG_INTERVAL_S)
    control._warn("control.client_slow", process_id=1)
    assert log.of("control.client_slow")[-1]["unsaid"] == 99


async def test_a_flood_of_forbidden_commands_is_not_a_flood_of_events(
    serving: Serving, seen_as: Callable[..., None]
) -> None:
    seen_as(OBSERVER)
    async with serving() as served, trio.open_nursery() as nursery:
        client = await served.connect()
        nursery.start_soon(lambda: client.send(*[b'{"type":"reload"}'] * 2000))
        for _ in range(2000):
            await client.line()
        assert len(served.log.of("control.not_permitted")) < 2000
        assert served.control.statistics().errors == 2000
