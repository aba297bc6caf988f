"""The control socket, over real Unix sockets: commands, rubbish, and who may do what."""

import json
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from riskd.actors.core.access import TOKEN_BYTES, Caller
from riskd.actors.messages import Status, StatusIs

OWN, OBSERVER, STRANGER = os.getuid(), 4242, 4711
VERSION = b'{"type":"version","id":1}'
Serving = Callable[..., AbstractAsyncContextManager[Any]]

# --- commands -------------------------------------------------------------------------------------


async def test_a_command_gets_its_reply_with_its_id(serving: Serving) -> None:
    async with serving() as served:
        client = await served.connect()
        assert await client.ask(b'{"type":"status","id":"a-7"}') == {
            "type": "status",
            "id": "a-7",
            "status": {"role": "operator"},
        }
        assert (await client.ask(b'{"type":"version"}'))["id"] == 0


async def test_five_thousand_pipelined_commands_are_answered_in_order(serving: Serving) -> None:
    async with serving() as served, trio.open_nursery() as nursery:
        client = await served.connect()
        lines = [b'{"type":"version","id":%d}' % number for number in range(5000)]
        nursery.start_soon(client.send, *lines)
        ids = [(await client.line() or {})["id"] for _ in lines]
        assert ids == list(range(5000))
        assert served.control.statistics().lines == 5000


async def test_blank_lines_get_no_reply_and_carriage_returns_are_tolerated(
    serving: Serving,
) -> None:
    async with serving() as served:
        client = await served.connect()
        reply = await client.ask(b'\n\r\n  \n{"type":"version","id":5}\r')
        assert (reply["type"], reply["id"]) == ("version", 5)


async def test_a_line_may_come_byte_by_byte(serving: Serving) -> None:
    async with serving() as served:
        client = await served.connect()
        for byte in VERSION + b"\n":
            await client.stream.send_all(bytes([byte]))
            await trio.testing.wait_all_tasks_blocked()
        assert (await client.line() or {})["type"] == "version"


async def test_a_refusal_says_its_code_and_problems(serving: Serving) -> None:
    async with serving() as served:
        client = await served.connect()
        assert await client.ask(b'{"type":"kill_actor","name":"x","id":2}') == {
            "type": "refused",
            "id": 2,
            "code": "no_such_actor",
            "message": "no actor x",
            "problems": ["known: gate"],
        }


async def test_an_actor_that_is_away_makes_its_commands_unavailable(serving: Serving) -> None:
    async with serving() as served:
        client = await served.connect()
        reply = await client.ask(b'{"type":"kill_actor","name":"away","id":2}')
        assert (reply["code"], reply["message"]) == ("unavailable", "the gate is restarting")


async def test_what_was_begun_and_not_answered_is_not_confirmed(serving: Serving) -> None:
    async with serving() as served:
        client = await served.connect()
        reply = await client.ask(b'{"type":"kill_actor","name":"hanging","id":2}')
        assert (reply["code"], reply["message"]) == ("not_confirmed", "the gate does not answer")


async def test_a_command_without_a_handler_is_unavailable(serving: Serving) -> None:
    async with serving() as served:
        client = await served.connect()
        assert (await client.ask(b'{"type":"reload"}'))["code"] == "unavailable"


async def test_a_bug_in_a_handler_is_logged_and_costs_its_command_alone(serving: Serving) -> None:
    async with serving() as served:
        client, other = await served.connect(), await served.connect()
        reply = await client.ask(b'{"type":"kill_actor","name":"bug","id":2}')
        assert (reply["type"], reply["id"], reply["code"]) == ("error", 2, "internal")
        assert "secret" not in json.dumps(reply)
        logged = served.log.of("control.handler_failed")
        assert isinstance(logged[0]["exc_info"], RuntimeError)
        assert (await client.ask(VERSION))["type"] == "version"
        assert (await other.ask(VERSION))["type"] == "version"


async def test_a_reply_that_can_not_be_encoded_is_a_bug_of_the_handler(serving: Serving) -> None:
    async def answer(caller: Caller, command: Status) -> StatusIs:
        return StatusIs(status={"broken": object()})

    async with serving(handlers={Status: answer}) as served:
        client = await served.connect()
        assert (await client.ask(b'{"type":"status","id":4}'))["code"] == "internal"
        assert (await client.ask(VERSION))["type"] == "version"


async def test_a_slow_command_of_one_client_does_not_hold_up_another(serving: Serving) -> None:
    release = trio.Event()

    async def answer(caller: Caller, command: Status) -> StatusIs:
        await release.wait()
        return StatusIs(status={})

    async with serving(handlers={Status: answer}) as served:
        waiting, other = await served.connect(), await served.connect()
        await waiting.send(b'{"type":"status","id":1}', b'{"type":"version","id":2}')
        assert (await other.ask(VERSION))["type"] == "version"
        release.set()
        assert [(await waiting.line() or {})["id"] for _ in range(2)] == [1, 2]


# --- rubbish --------------------------------------------------------------------------------------


def one_line(raw: bytes) -> bool:
    return b"\n" not in raw and bool(raw.strip(b" \t\r"))


rubbish = st.one_of(
    st.binary(min_size=1, max_size=100),
    st.text(min_size=1, max_size=50).map(lambda text: text.encode()),
    st.dictionaries(st.sampled_from(["type", "id", "name", "x"]), st.integers() | st.text()).map(
        lambda value: json.dumps(value).encode()
    ),
    st.sampled_from(
        [
            b"[" * 60_000,
            b'{"id":' + b"[" * 60_000,
            b"\0" * 1000,
            b'{"type":"kill_actor","name":"bug"}',
            b'{"type":"status","id":1' + b"0" * 6000 + b"}",
            b'{"type":"hello","role":"root"}',
            b'{"type":"hello","protocol":7}',
        ]
    ),
).filter(one_line)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lines=st.lists(rubbish, max_size=12))
async def test_every_line_gets_one_reply_and_the_connection_lives(
    serving: Serving, lines: list[bytes]
) -> None:
    async with serving() as served:
        client, other = await served.connect(), await served.connect()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send, *lines, b'{"type":"version","id":"end"}')
            replies = [await client.line() for _ in range(len(lines) + 1)]
        assert all(reply is not None for reply in replies)
        assert replies[-1] == {
            "type": "version",
            "id": "end",
            "version": "9",
            "protocol": 1,
            "python": "3",
        }
        assert (await other.ask(VERSION))["type"] == "version"
        assert served.control.statistics().lines == len(lines) + 2


# --- who may --------------------------------------------------------------------------------------


async def test_the_caller_is_whom_the_kernel_names(serving: Serving) -> None:
    async with serving() as served:
        client = await served.connect()
        assert await client.ask(b'{"type":"hello","id":1}') == {
            "type": "welcome",
            "id": 1,
            "role": "operator",
            "user_id": OWN,
            "process_id": os.getpid(),
            "worker": None,
            "version": "9",
            "protocol": 1,
        }


async def test_an_unknown_user_is_told_so_and_turned_away(
    serving: Serving, seen_as: Callable[..., None]
) -> None:
    seen_as(STRANGER)
    async with serving() as served:
        client = await served.connect()
        reply = await client.line()
        assert reply is not None
        assert (reply["code"], reply["id"]) == ("not_permitted", None)
        assert str(STRANGER) in reply["message"]
        assert await client.line() is None
        assert served.control.statistics().refused == 1
        assert served.log.of("control.client_refused")[0]["user_id"] == STRANGER


async def test_an_observer_looks_and_does_not_act(
    serving: Serving, seen_as: Callable[..., None]
) -> None:
    seen_as(OBSERVER)
    async with serving() as served:
        client = await served.connect()
        assert (await client.ask(b'{"type":"status"}'))["status"] == {"role": "observer"}
        reply = await client.ask(b'{"type":"kill_actor","name":"gate","id":3}')
        assert (reply["code"], reply["id"]) == ("not_permitted", 3)
        raised = await client.ask(b'{"type":"hello","role":"operator"}')
        assert (raised["code"], raised["field"]) == ("not_permitted", "role")
        assert (await client.ask(b'{"type":"status"}'))["status"] == {"role": "observer"}


async def test_an_operator_can_give_its_rights_up(serving: Serving) -> None:
    async with serving() as served:
        client = await served.connect()
        assert (await client.ask(b'{"type":"hello","role":"observer"}'))["role"] == "observer"
        reply = await client.ask(b'{"type":"kill_actor","name":"gate"}')
        assert reply["code"] == "not_permitted"


async def test_a_token_binds_the_connection_to_its_worker(serving: Serving) -> None:
    async with serving() as served:
        token = served.tokens.issue("mm-1", bytes(TOKEN_BYTES)).encode()
        client = await served.connect()
        welcome = await client.ask(b'{"type":"hello","token":"' + token + b'"}')
        assert (welcome["role"], welcome["worker"]) == ("worker", "mm-1")
        assert (await client.ask(b'{"type":"status"}'))["status"] == {"role": "worker"}
        reply = await client.ask(b'{"type":"kill_actor","name":"gate"}')
        assert reply["code"] == "not_permitted"


async def test_after_a_wrong_token_nothing_more_is_heard(serving: Serving) -> None:
    async with serving() as served:
        client = await served.connect()
        await client.send(b'{"type":"hello","token":"x","id":1}', VERSION)
        reply = await client.line()
        assert reply is not None
        assert (reply["code"], reply["field"], reply["id"]) == ("not_permitted", "token", 1)
        assert await client.line() is None
        assert served.control.statistics().lines == 1


async def test_a_worker_of_an_old_launch_is_cut_off_at_its_next_word(serving: Serving) -> None:
    async with serving() as served:
        token = served.tokens.issue("mm-1", bytes(TOKEN_BYTES)).encode()
        client = await served.connect()
        await client.ask(b'{"type":"hello","token":"' + token + b'"}')
        served.tokens.issue("mm-1", b"\1" * TOKEN_BYTES)
        assert (await client.ask(VERSION))["code"] == "not_permitted"
        assert await client.line() is None
