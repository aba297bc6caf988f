"""The reader of the lease page: what it refuses, whatever lies there, and that it sees no mix."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core import lease as layout
from riskd.adapters.lease_page import MemoryLeasePage
from riskd.adapters.worker import lease as reader
from riskd.adapters.worker.lease import Lease, View

PATIENCE_S = 60.0
HOUR_NS = 3_600_000_000_000
MINUTE_NS = 60_000_000_000


Words = Mapping[int, int]
# The fixtures behind these, and their classes, live in conftest.py.
Lying = Callable[..., AbstractContextManager[Path]]
Publish = Callable[[Path], AbstractContextManager[Any]]


@attrs.define
class Hand:
    """The reader's clock, set by hand."""

    ns: int = 1_000_000_000_000

    def __call__(self) -> int:
        return self.ns


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Hand:
    hand = Hand()
    monkeypatch.setattr(reader, "monotonic_ns", hand)
    return hand


def kind(view: View, epoch: int | None = None, *, reduce_only: bool = False) -> str | None:
    """The answer, which the quick question and the slow one must share."""
    may_send = view.may_send(epoch, reduce_only=reduce_only)
    refusal = view.refusal(epoch, reduce_only=reduce_only)
    assert may_send == (refusal is None) == view.may_send(epoch, reduce_only=reduce_only)
    return None if refusal is None else refusal.kind


def why(view: View) -> str:
    refusal = view.refusal()
    assert refusal is not None
    return refusal.why


def until(true: Callable[[], bool]) -> None:
    """Look again and again. The limit is for what never comes."""
    ends_s = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < ends_s, "it never came"
        os.sched_yield()


# --- what is halted -------------------------------------------------------------------------------


def test_an_open_page_lets_everything_pass(live: Any) -> None:
    assert kind(live.view("account:main", "symbol:B")) is None
    assert kind(live.view()) is None


def test_a_halt_of_one_scope_stops_what_is_in_it_at_once(live: Any) -> None:
    inside, outside = live.view("account:main", "symbol:B"), live.view("account:other", "symbol:B")
    assert kind(inside) is None
    live.page.publish({"account:main": "halt"}, 2)
    assert (kind(inside), kind(outside)) == ("halted", None)
    assert why(inside) == "account:main is halted"
    live.page.publish({}, 3)
    assert kind(inside) is None


def test_reduce_only_lets_pass_what_makes_a_position_smaller(live: Any) -> None:
    view = live.view("account:main")
    live.page.publish({"account:main": "reduce_only"}, 2)
    assert (kind(view), kind(view, reduce_only=True)) == ("reduce_only", None)
    assert why(view) == "account:main is reduce-only"


def test_the_strictest_of_all_that_covers_an_order_wins(live: Any) -> None:
    view = live.view("account:main", "symbol:B", "strategy:mm")
    for modes in itertools.product(["halt", "reduce_only", None], repeat=4):
        scopes = ("all", *view.scopes)
        live.page.publish({s: m for s, m in zip(scopes, modes, strict=True) if m}, 2)
        expected = (
            "halted" if "halt" in modes else "reduce_only" if "reduce_only" in modes else None
        )
        assert kind(view) == expected
        assert kind(view, reduce_only=True) == (expected if expected == "halted" else None)


def test_everything_halted_stops_whoever_is_in_no_scope(live: Any) -> None:
    live.page.publish({"all": "halt"}, 2)
    assert kind(live.view()) == "halted"
    assert why(live.view("account:main")) == "everything is halted"


def test_every_entry_of_a_full_table_is_found(live: Any) -> None:
    scopes = [f"symbol:S{number}" for number in range(layout.ENTRIES_MAX)]
    live.page.publish(dict.fromkeys(scopes, "halt"), 2)
    lease = Lease(live.path)
    assert {kind(lease.view(scope)) for scope in scopes} == {"halted"}
    assert kind(lease.view("symbol:T")) is None


def test_a_table_that_overflows_halts_everything(live: Any) -> None:
    view = live.view("account:main")
    scopes = [f"symbol:S{number}" for number in range(layout.ENTRIES_MAX + 1)]
    live.page.publish(dict.fromkeys(scopes, "reduce_only"), 2)
    assert kind(view) == "halted"


def test_a_fence_and_a_seizure_stop_everything_at_once(live: Any) -> None:
    view = live.view("account:main")
    assert kind(view) is None
    live.page.fence()
    assert kind(view) == "halted"
    live.page.publish({}, 2)
    assert kind(view) is None
    live.page.seize()
    live.page.publish({}, 3)
    assert kind(view) == "halted"


# --- epochs ---------------------------------------------------------------------------------------


def test_a_permission_counts_in_its_own_epoch_only(live: Any) -> None:
    view = live.view("account:main")
    live.page.publish({}, 7)
    assert [kind(view, epoch) for epoch in (0, 1, 6, 7, 8)] == [
        "stale_epoch",
        "stale_epoch",
        "stale_epoch",
        None,
        "stale_epoch",
    ]
    live.page.publish({}, 8)
    assert (kind(view, 7), kind(view, 8), kind(view)) == ("stale_epoch", None, None)


def test_reducing_orders_need_the_present_epoch_too(live: Any) -> None:
    view = live.view("account:main")
    live.page.publish({"all": "reduce_only"}, 7)
    assert kind(view, 6, reduce_only=True) == "stale_epoch"
    assert kind(view, 7, reduce_only=True) is None


# --- the lease ------------------------------------------------------------------------------------


def test_the_lease_ends_at_the_nanosecond_that_it_names(tmp_path: Path, hand: Hand) -> None:
    page = MemoryLeasePage()
    page.link(tmp_path / "riskd.lease")
    page.publish({}, 1)
    view = Lease(tmp_path / "riskd.lease").view("account:main")
    assert kind(view) == "expired"
    assert "not given its word yet" in why(view)
    until_ns = hand.ns + 1_000_000_000
    page.extend(until_ns)
    assert kind(view) is None
    hand.ns = until_ns - 1
    assert kind(view) is None
    hand.ns = until_ns
    assert kind(view) == "expired"
    hand.ns += 1_500_000_000
    assert "1.500 s ago" in why(view)
    page.extend(hand.ns + 1)
    assert kind(view) is None
    page.close()


def test_a_lease_longer_than_any_riskd_gives_is_another_clocks(live: Any) -> None:
    live.page.extend(time.monotonic_ns() + HOUR_NS)
    view = live.view("account:main")
    assert kind(view) == "unreadable"
    assert "another clock" in why(view)


def test_an_expired_page_that_is_halted_too_is_expired(live: Any, hand: Hand) -> None:
    view = live.view("account:main")
    live.page.fence()
    hand.ns = time.monotonic_ns() + HOUR_NS
    assert kind(view) == "expired"


WRITER = """
import sys, time
from pathlib import Path
from riskd.adapters.lease_page import MemoryLeasePage
page = MemoryLeasePage()
page.publish({}, 1)
page.link(Path(sys.argv[1]))
while True:
    page.extend(time.monotonic_ns() + 300_000_000)
    time.sleep(0.01)
"""


def test_a_stopped_writer_stops_trading_and_goes_on_when_it_does(
    tmp_path: Path, process: Callable[..., Any]
) -> None:
    path = tmp_path / "riskd.lease"
    view = Lease(path).view("account:main")

    def refused(as_: str) -> bool:
        refusal = view.refusal()
        return refusal is not None and refusal.kind == as_

    with process(WRITER, path) as writer:
        until(view.may_send)
        writer.send_signal(signal.SIGSTOP)
        until(lambda: refused("expired"))
        writer.send_signal(signal.SIGCONT)
        until(view.may_send)
        writer.kill()
        writer.wait()
        until(lambda: refused("unreadable"))
    assert "riskd is not running" in why(view)


# --- whatever lies there --------------------------------------------------------------------------


def verdict(path: Path, *scopes: str) -> str | None:
    return kind(Lease(path).view(*scopes))


def test_a_page_as_it_should_be_is_open(lying: Lying) -> None:
    with lying() as path:
        assert verdict(path, "account:main") is None


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({layout.AT_MAGIC: 0}, "does not begin as one"),
        ({layout.AT_BYTES: 4096}, "does not begin as one"),
        ({layout.AT_VERSION: 2}, "layout 2"),
        (dict.fromkeys(range(2048), 0), "does not begin as one"),
    ],
)
def test_what_does_not_begin_as_a_page_is_refused(
    changed: Words, complaint: str, lying: Lying
) -> None:
    with lying(changed) as path:
        view = Lease(path).view()
        assert kind(view) == "unreadable"
        assert complaint in why(view)


@pytest.mark.parametrize("size", [0, 8, layout.PAGE_BYTES - 1, layout.PAGE_BYTES + 1])
def test_a_file_of_another_size_is_refused(size: int, lying: Lying) -> None:
    with lying(size=size) as path:
        assert verdict(path) == "unreadable"


@pytest.mark.parametrize("missing", [0x1, 0x2, 0x4, 0x10])
def test_a_page_that_lacks_a_seal_is_refused(missing: int, lying: Lying) -> None:
    with lying(unsealed=missing) as path:
        assert verdict(path) == "unreadable"


def test_a_page_in_a_plain_file_is_refused(tmp_path: Path, lying: Lying) -> None:
    with lying() as path:
        shutil.copy(path, tmp_path / "riskd.lease")
    assert verdict(tmp_path / "riskd.lease") == "unreadable"


def test_another_users_page_is_refused(lying: Lying) -> None:
    with lying() as path:
        stranger = Lease(path, owner=os.geteuid() + 1).view()
        assert kind(stranger) == "unreadable"
        assert "belongs to user" in why(stranger)
        assert kind(Lease(path, owner=os.geteuid()).view()) is None


def make_nothing(path: Path) -> None:
    """Leave the place empty."""


def make_dangling_link(path: Path) -> None:
    path.symlink_to(f"/proc/{2**22 + 1}/fd/3")


def make_loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (make_nothing, "riskd is not running"),
        (make_dangling_link, "riskd is not running"),
        (make_loop, "can't be opened"),
        (Path.mkdir, "no lease page"),
        (os.mkfifo, "no lease page"),
    ],
)
def test_what_is_no_page_is_refused_with_what_it_is(
    make: Callable[[Path], None], complaint: str, tmp_path: Path
) -> None:
    path = tmp_path / "riskd.lease"
    make(path)
    view = Lease(path).view("account:main")
    assert kind(view) == "unreadable"
    assert complaint in why(view)
    assert str(path) in why(view)


def test_no_attempt_leaves_a_descriptor(tmp_path: Path, hand: Hand, lying: Lying) -> None:
    (tmp_path / "file").write_bytes(bytes(layout.PAGE_BYTES))
    with lying({layout.AT_UNTIL: 1}) as expired:
        views = [Lease(path).view() for path in (tmp_path / "file", tmp_path / "none", expired)]
        for view in views:
            view.refusal()
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(20):
            hand.ns += reader.LOOK_AGAIN_NS
            assert all(view.refusal() for view in views)
        assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    "scope", ["", "all", "main", "acount:main", "account:", "account:a b", "account:a\n", ":x"]
)
def test_a_view_of_what_is_no_scope_is_a_mistake(scope: str, live: Any) -> None:
    with pytest.raises(ValueError, match="is no scope"):
        live.view("account:main", scope)


# --- another riskd --------------------------------------------------------------------------------


def test_a_dead_riskds_link_that_leads_to_another_ones_page_is_refused(
    live: Any, tmp_path: Path
) -> None:
    (tmp_path / "dead").mkdir()
    for path in (tmp_path / "dead" / "riskd.lease", tmp_path / "riskd.lease2"):
        path.symlink_to(live.path.readlink())
        view = Lease(path).view("account:main")
        assert kind(view) == "unreadable"
        assert "belongs to another riskd" in why(view)
        assert str(path) in why(view)
    assert kind(live.view("account:main")) is None


def test_a_reader_goes_on_to_no_page_of_another_riskd(
    live: Any, tmp_path: Path, hand: Hand, published: Publish
) -> None:
    view = live.view("account:main")
    hand.ns = time.monotonic_ns()
    assert kind(view) is None
    with published(tmp_path / "other.lease") as other:
        live.path.unlink()
        live.path.symlink_to(other.path.readlink())
        hand.ns += MINUTE_NS
        other.page.extend(hand.ns + MINUTE_NS)
        assert kind(view) == "unreadable"
        assert "belongs to another riskd" in why(view)


def test_a_page_that_was_never_linked_is_refused(lying: Lying) -> None:
    with lying({layout.AT_PATH: 0}) as path:
        assert verdict(path) == "unreadable"


def test_every_way_to_the_directory_leads_to_the_page(
    live: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "way").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    ways = ("riskd.lease", "way/riskd.lease", "./way/way/riskd.lease", f"/{tmp_path}//riskd.lease")
    assert [kind(Lease(way).view()) for way in ways] == [None] * 4


def test_after_a_restart_of_riskd_the_new_page_is_found(
    tmp_path: Path, hand: Hand, published: Publish
) -> None:
    path = tmp_path / "riskd.lease"
    hand.ns = time.monotonic_ns()
    with published(path) as older, published(path) as newer:
        older.page.link(path)
        lease = Lease(path)
        main, other = lease.view("account:main"), lease.view("account:other")
        older.page.publish({"account:other": "halt"}, 1)
        newer.page.publish({"account:main": "halt"}, 1)
        assert (kind(main), kind(other)) == (None, "halted")
        # The newer page has come to the same generation, with other halts in it.
        older.page.close()
        newer.page.link(path)
        hand.ns += reader.LOOK_AGAIN_NS
        assert (kind(main), kind(other)) == ("halted", None)


def test_a_page_is_not_looked_for_at_every_check(
    tmp_path: Path, hand: Hand, published: Publish
) -> None:
    path = tmp_path / "riskd.lease"
    view = Lease(path).view()
    hand.ns = time.monotonic_ns()
    assert kind(view) == "unreadable"
    with published(path):
        assert kind(view) == "unreadable"
        hand.ns += reader.LOOK_AGAIN_NS - 1
        assert kind(view) == "unreadable"
        hand.ns += 1
        assert kind(view) is None


def test_a_page_whose_link_was_away_is_found_again(live: Any, hand: Hand) -> None:
    lease = Lease(live.path)
    view = lease.view()
    hand.ns = time.monotonic_ns()
    assert kind(view) is None
    first = lease._words
    target = live.path.readlink()
    live.path.unlink()
    hand.ns += MINUTE_NS
    assert kind(view) == "unreadable"
    live.path.symlink_to(target)
    live.page.extend(hand.ns + MINUTE_NS)
    hand.ns += reader.LOOK_AGAIN_NS
    assert kind(view) is None
    assert lease._words is not first


def test_a_page_that_runs_out_and_comes_back_keeps_its_mapping(live: Any, hand: Hand) -> None:
    lease = Lease(live.path)
    view = lease.view()
    hand.ns = time.monotonic_ns()
    assert kind(view) is None
    first = lease._words
    hand.ns += MINUTE_NS
    assert kind(view) == "expired"
    live.page.extend(hand.ns + MINUTE_NS)
    assert kind(view) is None
    assert lease._words is first


def test_a_page_in_force_is_kept_even_if_its_link_goes(live: Any) -> None:
    view = live.view("account:main")
    assert kind(view) is None
    live.path.unlink()
    assert kind(view) is None


# --- many readers, and a writer that never rests --------------------------------------------------


def test_a_fence_stops_two_hundred_readers(live: Any) -> None:
    views = [live.view(f"worker:w{number}") for number in range(200)]
    assert [kind(view) for view in views] == [None] * 200
    live.page.fence()
    assert [kind(view) for view in views] == ["halted"] * 200


def test_a_reader_cannot_write(live: Any) -> None:
    view = live.view()
    assert kind(view) is None
    assert view._open[0].readonly


def test_what_changes_while_it_is_copied_is_copied_again(
    live: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind = iter([lambda: None, lambda: live.page.publish({"all": "halt"}, 2)])
    in_order = reader._in_order

    def change(lock: Any) -> None:
        in_order(lock)
        next(behind, lambda: None)()

    monkeypatch.setattr(reader, "_in_order", change)
    assert live.view("account:main").may_send() is False


def test_no_reader_sees_parts_of_two_states(restless: tuple[Path, str, str]) -> None:
    path, *scopes = restless
    lease = Lease(path)
    both, seen = lease.view(*scopes), {1: 0, 2: 0}
    ends_s = time.monotonic() + PATIENCE_S
    while min(seen.values()) < 300:
        assert time.monotonic() < ends_s, seen
        assert not both.may_send()
        found = lease._look()
        if not isinstance(found, reader.Refusal):
            table, _ = found
            halted = [table.modes[reader.scope_hash(scope)] for scope in scopes]
            assert halted == ([2, 0] if table.epoch == 1 else [0, 2])
            assert (len(table.modes), sum(table.modes.values())) == (1000, 1000)
            seen[table.epoch] += 1


# --- the file by itself ---------------------------------------------------------------------------


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_reader_and_writer_hash_alike(scope: str) -> None:
    assert reader.scope_hash(scope) == layout.scope_hash(scope)


def test_the_reader_works_as_a_single_copied_file(live: Any, tmp_path: Path) -> None:
    copy = tmp_path / "lease.py"
    shutil.copy(str(reader.__file__), copy)
    program = (
        "import sys, lease; view = lease.Lease(sys.argv[1]).view('account:main'); "
        "sys.exit(not view.may_send() or any(m.startswith('riskd') for m in sys.modules))"
    )
    # -I: nothing but the standard library can be imported, not even what is installed beside it.
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path.append({str(tmp_path)!r}); " + program,
    ]
    assert subprocess.run([*command, live.path], check=False).returncode == 0
