"""The lease page's layout: what its words say of a table of halts, and that they fit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core import lease
from riskd.actors.messages import Mode

NAMED_SCOPES = st.builds(
    "{}:{}".format,
    st.sampled_from(["account", "exchange", "strategy", "symbol", "worker"]),
    st.text(min_size=1, max_size=12),
)
MODES: st.SearchStrategy[Mode] = st.sampled_from(["halt", "reduce_only"])
TABLES = st.dictionaries(st.just("all") | NAMED_SCOPES, MODES, max_size=30)
WORDS: dict[Mode | None, int] = {None: 0, "reduce_only": 1, "halt": 2}


def entries(body: list[int]) -> dict[int, int]:
    return dict(zip(body[3::2], body[4::2], strict=True))


def many(count: int) -> dict[str, Mode]:
    return {f"symbol:S{number}": "reduce_only" for number in range(count)}


# Published vectors of the algorithm, so that a reader in another language has something to check
# itself against: docs/lease.md repeats the last one.
@pytest.mark.parametrize(
    ("text", "hashed"),
    [
        ("", 0xCBF29CE484222325),
        ("a", 0xAF63DC4C8601EC8C),
        ("foobar", 0x85944171F73967E8),
    ],
)
def test_a_scope_is_known_by_its_fnv_1a_hash(text: str, hashed: int) -> None:
    assert lease.scope_hash(text) == hashed


def test_a_page_is_known_by_the_hash_of_its_path() -> None:
    assert lease.path_hash(b"/run/riskd", b"riskd.sock.lease") == 0x6A3E2FCE479AF0EF


@given(TABLES, st.integers(0, 2**63))
def test_the_words_say_of_every_scope_what_the_table_says(
    modes: dict[str, Mode], epoch: int
) -> None:
    body = lease.body(modes, epoch)
    named = {
        lease.scope_hash(scope): WORDS[mode] for scope, mode in modes.items() if scope != "all"
    }
    assert body[:3] == [epoch, WORDS[modes.get("all")], len(named)]
    assert entries(body) == named


@given(TABLES)
def test_entries_ascend_and_none_comes_twice(modes: dict[str, Mode]) -> None:
    keys = lease.body(modes, 1)[3::2]
    assert keys == sorted(set(keys))


@given(TABLES)
def test_every_word_fits_in_64_bits(modes: dict[str, Mode]) -> None:
    assert all(0 <= word < 2**64 for word in lease.body(modes, 2**64 - 1))


@pytest.mark.parametrize("first", ["halt", "reduce_only"])
def test_scopes_with_the_same_hash_share_the_stricter_mode(
    first: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "scope_hash", lambda _scope: 7)
    second: Mode = "reduce_only" if first == "halt" else "halt"
    body = lease.body({"symbol:A": first, "symbol:B": second}, 1)
    assert body == [1, lease.OPEN, 1, 7, lease.HALT]


def test_a_full_table_leaves_no_room_for_an_entry() -> None:
    body = lease.body(many(lease.ENTRIES_MAX), 1)
    left = lease.PAGE_BYTES // lease.WORD_BYTES - (lease.AT_EPOCH + len(body))
    assert left in (0, 1)
    assert body[1:3] == [lease.OPEN, lease.ENTRIES_MAX]


def test_more_scopes_than_there_is_room_for_halt_everything() -> None:
    assert lease.body(many(lease.ENTRIES_MAX + 1), 9) == [9, lease.HALT, 0]


def test_everything_takes_no_entry() -> None:
    modes = many(lease.ENTRIES_MAX) | {"all": "reduce_only"}
    assert lease.body(modes, 1)[1:3] == [lease.REDUCE_ONLY, lease.ENTRIES_MAX]


def test_all_halts_that_can_be_in_force_have_room() -> None:
    from riskd.actors.core.kill_switch import HALTS_MAX

    assert HALTS_MAX <= lease.ENTRIES_MAX
