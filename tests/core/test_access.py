"""Who may say what: admission, hello, tokens, and the table of commands and roles."""

import inspect
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors import messages
from riskd.actors.core.access import (
    PERMITTED,
    TOKEN_BYTES,
    Access,
    Caller,
    Denied,
    Peer,
    Role,
    Tokens,
    admit,
    greet,
    permit,
    yields_to,
)
from riskd.actors.messages import (
    Actors,
    ClientCommand,
    Command,
    CompleteRecovery,
    Freeze,
    Hello,
    KillActor,
    Recover,
    Reload,
    ShowConfig,
    ShowHalts,
    Status,
    Subscribe,
    Trigger,
    Unfreeze,
    Version,
)

ACCESS = Access(1000, operator_user_ids={1001, 1003}, observer_user_ids={1002, 1003})


def peer(user_id: int = 1000) -> Peer:
    return Peer(user_id=user_id, group_id=user_id, process_id=4711)


def caller(role: Role) -> Caller:
    return Caller(peer(), role)


def worker(tokens: Tokens, name: str = "mm-1", fill: int = 1) -> Caller:
    token = tokens.issue(name, bytes([fill]) * TOKEN_BYTES)
    found = greet(caller(Role.OPERATOR), Hello(token=token), tokens)
    assert isinstance(found, Caller)
    return found


# --- the table ------------------------------------------------------------------------------------


def test_every_client_command_is_in_the_table_and_nothing_else() -> None:
    assert set(PERMITTED) == set(get_args(ClientCommand))


def test_every_command_of_the_vocabulary_can_arrive_and_is_permitted_to_somebody() -> None:
    defined = {
        found
        for _, found in inspect.getmembers(messages, inspect.isclass)
        if issubclass(found, Command) and found is not Command
    }
    assert defined == set(PERMITTED)
    assert all(PERMITTED.values())


def test_a_command_missing_from_the_table_is_refused_to_everybody() -> None:
    class Melt(Command, frozen=True, kw_only=True, tag="melt"):
        """Listed nowhere."""

    for role in Role:
        denied = permit(caller(role), Melt, Tokens())
        assert isinstance(denied, Denied)
        assert denied.code == "not_permitted"
        assert "nobody" in denied.message


@pytest.mark.parametrize(
    "command",
    [
        KillActor,
        Reload,
        ShowConfig,
        Trigger,
        Recover,
        CompleteRecovery,
        Freeze,
        Unfreeze,
    ],
)
def test_only_an_operator_acts_or_sees_the_configuration(command: type[Command]) -> None:
    allowed = {role for role in Role if permit(caller(role), command, Tokens()) is None}
    assert allowed == {Role.OPERATOR}


@pytest.mark.parametrize("command", [Hello, Status, Version])
def test_everybody_may_greet_and_ask_for_status_and_version(command: type[Command]) -> None:
    assert all(permit(caller(role), command, Tokens()) is None for role in Role)


@pytest.mark.parametrize("command", [Actors, ShowHalts, Subscribe])
def test_a_worker_stands_apart_from_an_observer(command: type[Command]) -> None:
    assert permit(caller(Role.OBSERVER), command, Tokens()) is None
    assert permit(caller(Role.OPERATOR), command, Tokens()) is None
    assert permit(caller(Role.WORKER), command, Tokens()) is not None


# --- admission ------------------------------------------------------------------------------------


@given(st.integers(min_value=0, max_value=2**32 - 1))
def test_only_root_the_own_user_and_listed_users_are_admitted(user_id: int) -> None:
    expected = {0: Role.OPERATOR, 1000: Role.OPERATOR, 1001: Role.OPERATOR, 1002: Role.OBSERVER}
    # 1003 is in both lists: the smaller right is what it gets.
    assert admit(ACCESS, peer(user_id)) == {**expected, 1003: Role.OBSERVER}.get(user_id)


@pytest.mark.parametrize(
    ("user_id", "role"),
    [
        (0, Role.OPERATOR),
        (1000, Role.OPERATOR),
        (1001, Role.OPERATOR),
        (1002, Role.OBSERVER),
        (1003, Role.OBSERVER),
        (1004, None),
        (65534, None),
    ],
)
def test_each_listed_user_gets_the_role_of_the_list(user_id: int, role: Role | None) -> None:
    assert admit(ACCESS, peer(user_id)) == role


# --- hello ----------------------------------------------------------------------------------------


@given(
    role=st.sampled_from(Role),
    wanted=st.one_of(st.none(), st.text(max_size=12), st.sampled_from([str(r) for r in Role])),
    protocol=st.integers(min_value=0, max_value=3),
)
def test_a_hello_without_a_token_never_gains_a_right(
    role: Role, wanted: str | None, protocol: int
) -> None:
    tokens = Tokens()
    before = caller(role)
    after = greet(before, Hello(role=wanted, protocol=protocol), tokens)
    if isinstance(after, Caller):
        assert after.peer == before.peer
        gained = {c for c, r in PERMITTED.items() if after.role in r and role not in r}
        assert not gained


def test_an_operator_may_become_an_observer_and_not_come_back() -> None:
    lowered = greet(caller(Role.OPERATOR), Hello(role="observer"), Tokens())
    assert lowered == caller(Role.OBSERVER)
    back = greet(caller(Role.OBSERVER), Hello(role="operator"), Tokens())
    assert isinstance(back, Denied)
    assert (back.code, back.field, back.closes) == ("not_permitted", "role", False)


def test_a_hello_that_asks_for_nothing_changes_nothing() -> None:
    assert greet(caller(Role.OPERATOR), Hello(), Tokens()) == caller(Role.OPERATOR)


@pytest.mark.parametrize("role", ["root", "", "OPERATOR", "operator "])
def test_a_role_that_does_not_exist_is_an_invalid_value(role: str) -> None:
    denied = greet(caller(Role.OPERATOR), Hello(role=role), Tokens())
    assert isinstance(denied, Denied)
    assert (denied.code, denied.field) == ("invalid_value", "role")


def test_another_protocol_is_refused_and_changes_nothing() -> None:
    denied = greet(caller(Role.OPERATOR), Hello(protocol=2, role="observer"), Tokens())
    assert isinstance(denied, Denied)
    assert (denied.code, denied.field, denied.closes) == ("invalid_value", "protocol", False)


def test_nobody_becomes_a_worker_without_a_token() -> None:
    denied = greet(caller(Role.OPERATOR), Hello(role="worker"), Tokens())
    assert isinstance(denied, Denied)
    assert "token" in denied.message


# --- tokens ---------------------------------------------------------------------------------------


def test_a_token_makes_a_worker_of_that_name_and_takes_the_users_rights() -> None:
    tokens = Tokens()
    found = worker(tokens)
    assert (found.role, found.worker, found.peer) == (Role.WORKER, "mm-1", peer())
    assert permit(found, KillActor, tokens) is not None


@given(st.text(max_size=256))
def test_a_wrong_token_ends_the_connection_whoever_shows_it(guess: str) -> None:
    tokens = Tokens()
    tokens.issue("mm-1", b"\x07" * TOKEN_BYTES)
    for role in Role:
        denied = greet(caller(role), Hello(token=guess), tokens)
        assert isinstance(denied, Denied)
        assert (denied.code, denied.field, denied.closes) == ("not_permitted", "token", True)


def test_an_empty_token_is_a_wrong_token() -> None:
    denied = greet(caller(Role.OPERATOR), Hello(token=""), Tokens())
    assert isinstance(denied, Denied)
    assert denied.closes


def test_a_new_launch_ends_the_one_before_for_hello_and_for_every_command() -> None:
    tokens = Tokens()
    old = tokens.issue("mm-1", b"\x01" * TOKEN_BYTES)
    bound = greet(caller(Role.OPERATOR), Hello(token=old), tokens)
    assert isinstance(bound, Caller)
    assert permit(bound, Status, tokens) is None
    new = tokens.issue("mm-1", b"\x02" * TOKEN_BYTES)
    late = permit(bound, Status, tokens)
    assert late is not None
    assert late.closes
    assert isinstance(greet(caller(Role.OPERATOR), Hello(token=old), tokens), Denied)
    assert isinstance(greet(caller(Role.OPERATOR), Hello(token=new), tokens), Caller)


def test_a_revoked_launch_is_over_and_its_neighbour_is_not() -> None:
    tokens = Tokens()
    first, second = worker(tokens, "mm-1", 1), worker(tokens, "mm-2", 2)
    tokens.revoke("mm-1")
    tokens.revoke("never-launched")
    assert permit(first, Status, tokens) is not None
    assert permit(second, Status, tokens) is None


def test_a_connection_belongs_to_one_worker_for_good() -> None:
    tokens = Tokens()
    first = worker(tokens, "mm-1", 1)
    other = tokens.issue("mm-2", b"\x02" * TOKEN_BYTES)
    denied = greet(first, Hello(token=other), tokens)
    assert isinstance(denied, Denied)
    assert not denied.closes
    assert greet(first, Hello(token=(b"\x01" * TOKEN_BYTES).hex()), tokens) == first


def test_a_token_with_another_role_is_refused() -> None:
    tokens = Tokens()
    token = tokens.issue("mm-1", b"\x01" * TOKEN_BYTES)
    for role in ("operator", "observer"):
        denied = greet(caller(Role.OPERATOR), Hello(token=token, role=role), tokens)
        assert isinstance(denied, Denied)
        assert denied.field == "role"


def test_a_worker_can_become_neither_observer_nor_operator() -> None:
    tokens = Tokens()
    bound = worker(tokens)
    for role in ("operator", "observer"):
        assert isinstance(greet(bound, Hello(role=role), tokens), Denied)


@given(st.binary(max_size=TOKEN_BYTES - 1))
def test_too_little_chance_makes_no_token(random: bytes) -> None:
    with pytest.raises(ValueError, match="a token needs"):
        Tokens().issue("mm-1", random)


@given(st.binary(min_size=TOKEN_BYTES, max_size=TOKEN_BYTES))
def test_tokens_are_not_kept_and_not_shown(random: bytes) -> None:
    tokens = Tokens()
    token = tokens.issue("mm-1", random)
    found = tokens.holder(token)
    assert found is not None
    assert token not in repr(vars(tokens))
    assert token not in repr(found)
    assert repr(found.digest) not in repr(found)


# --- places ---------------------------------------------------------------------------------------


@given(st.sampled_from(Role), st.sampled_from(Role))
def test_a_worker_keeps_its_place_and_an_operator_yields_only_to_an_operator(
    sitting: Role, newcomer: Role
) -> None:
    yields = yields_to(caller(sitting), caller(newcomer))
    if sitting == Role.WORKER:
        assert not yields
    elif sitting == Role.OPERATOR:
        assert yields == (newcomer == Role.OPERATOR)
    else:
        assert yields
