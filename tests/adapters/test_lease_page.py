"""The lease page as memory: who may write to it, in what order, and what ends it."""

import contextlib
import errno
import fcntl
import gc
import mmap
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from riskd.actors.core import lease
from riskd.actors.messages import Mode
from riskd.adapters import lease_page
from riskd.adapters.lease_page import MemoryLeasePage

PATIENCE_S = 60.0
HEADER = (lease.MAGIC, lease.VERSION, lease.PAGE_BYTES)


@contextlib.contextmanager
def opened() -> Iterator[MemoryLeasePage]:
    page = MemoryLeasePage()
    try:
        yield page
    finally:
        page.close()


@pytest.fixture
def page() -> Iterator[MemoryLeasePage]:
    with opened() as page:
        yield page


def mapped(page: MemoryLeasePage) -> memoryview:
    """What a worker sees."""
    return memoryview(mmap.mmap(page.descriptor, 0, mmap.MAP_SHARED, mmap.PROT_READ)).cast("Q")


def passes(words: memoryview) -> bool:
    return words[lease.AT_GENERATION] % 2 == 0


@contextlib.contextmanager
def denied(*reasons: int) -> Iterator[None]:
    with pytest.raises(OSError, match=r".") as raised:
        yield
    assert raised.value.errno in reasons


def descriptors() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


# --- the seals ------------------------------------------------------------------------------------


def writable(page: MemoryLeasePage) -> int:
    """A way in that the seals, and not the descriptor's mode, have to bar."""
    return os.open(f"/proc/self/fd/{page.descriptor}", os.O_RDWR)


def test_nobody_maps_it_writable(page: MemoryLeasePage) -> None:
    descriptor = writable(page)
    with denied(errno.EPERM):
        mmap.mmap(descriptor, lease.PAGE_BYTES, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    os.close(descriptor)


def test_nobody_writes_to_its_file(page: MemoryLeasePage) -> None:
    descriptor = writable(page)
    with denied(errno.EPERM):
        os.pwrite(descriptor, bytes(8), 0)
    with denied(errno.EPERM):
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, 0)
    os.close(descriptor)


@pytest.mark.parametrize("size", [0, lease.PAGE_BYTES - 1, lease.PAGE_BYTES + 1])
def test_nobody_changes_its_size(page: MemoryLeasePage, size: int) -> None:
    descriptor = writable(page)
    with denied(errno.EPERM):
        os.ftruncate(descriptor, size)
    os.close(descriptor)


def test_its_descriptor_only_reads(page: MemoryLeasePage) -> None:
    assert fcntl.fcntl(page.descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
    assert not os.get_inheritable(page.descriptor)


def test_a_forked_copy_has_no_way_to_write(page: MemoryLeasePage) -> None:
    words = mapped(page)
    page.publish({}, 1)
    child = os.fork()
    if not child:
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        page.fence()
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGSEGV
    assert passes(words)


# --- what it says ---------------------------------------------------------------------------------


def test_a_new_page_lets_nothing_pass(page: MemoryLeasePage) -> None:
    words = mapped(page)
    assert tuple(words[:3]) == HEADER
    assert not passes(words)
    assert words[lease.AT_UNTIL] == 0
    assert words[lease.AT_PATH] == 0


def test_a_publish_shows_all_of_it(page: MemoryLeasePage) -> None:
    modes: dict[str, Mode] = {"account:main": "halt", "symbol:B": "reduce_only"}
    page.publish(modes, 17)
    body = lease.body(modes, 17)
    words = mapped(page)
    assert passes(words)
    assert words[lease.AT_EPOCH : lease.AT_EPOCH + len(body)].tolist() == body


def test_no_generation_comes_twice(page: MemoryLeasePage) -> None:
    words = mapped(page)
    seen = [words[lease.AT_GENERATION]]
    for _ in range(10):
        page.fence()
        page.publish({}, 1)
        seen.append(words[lease.AT_GENERATION])
    assert seen == sorted(set(seen))


def test_it_is_never_extended_backwards(page: MemoryLeasePage) -> None:
    words = mapped(page)
    for until_ns, expected in [(100, 100), (99, 100), (0, 100), (101, 101)]:
        page.extend(until_ns)
        assert words[lease.AT_UNTIL] == expected


def test_what_was_published_before_a_fence_does_not_come_back_by_a_release(
    page: MemoryLeasePage,
) -> None:
    words = mapped(page)
    page.seize()
    page.publish({}, 1)
    page.fence()
    page.release()
    assert not passes(words)


class Machine(RuleBasedStateMachine):
    """Any sequence of calls beside a model in a few words."""

    def __init__(self) -> None:
        super().__init__()
        self.page = MemoryLeasePage()
        self.words = mapped(self.page)
        self.seized = False
        self.shown: int | None = None
        self.withheld: int | None = None
        self.until_ns = 0

    @rule(epoch=st.integers(0, 2**64 - 1))
    def publish(self, epoch: int) -> None:
        self.page.publish({"account:main": "halt"}, epoch)
        if self.seized:
            self.withheld = epoch
        else:
            self.shown = epoch
        self.compare()

    @rule()
    def fence(self) -> None:
        self.page.fence()
        self.shown = self.withheld = None
        self.compare()

    @rule()
    def seize(self) -> None:
        self.page.seize()
        self.seized, self.shown = True, None
        self.compare()

    @precondition(lambda self: self.seized)
    @rule()
    def release(self) -> None:
        self.page.release()
        self.seized, self.shown, self.withheld = False, self.withheld, None
        self.compare()

    @rule(until_ns=st.integers(0, 2**64 - 1))
    def extend(self, until_ns: int) -> None:
        self.page.extend(until_ns)
        if not self.seized:
            self.until_ns = max(self.until_ns, until_ns)
        self.compare()

    def compare(self) -> None:
        assert passes(self.words) == (self.shown is not None)
        assert self.words[lease.AT_UNTIL] == self.until_ns
        if self.shown is not None:
            assert self.words[lease.AT_EPOCH] == self.shown

    def teardown(self) -> None:
        self.page.close()
        assert not passes(self.words)


TestAnySequence = Machine.TestCase
TestAnySequence.settings = settings(max_examples=50, stateful_step_count=20)


# --- other threads, and signals -------------------------------------------------------------------


def test_a_seized_page_stays_so_while_another_thread_publishes(page: MemoryLeasePage) -> None:
    words, ends = mapped(page), threading.Event()

    def publish() -> None:
        while not ends.is_set():
            page.publish({}, 1)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        for _ in range(200):
            page.seize()
            assert not any(passes(words) for _ in range(50))
            page.release()
    finally:
        ends.set()
        thread.join()


def test_a_signal_may_seize_the_page_in_the_midst_of_a_publish(
    page: MemoryLeasePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not by waiting in vain for the publish that it has interrupted.
    monkeypatch.setattr(lease_page, "_GUARD_S", 3600.0)
    words = mapped(page)
    before = signal.signal(signal.SIGALRM, lambda _signal, _frame: page.seize())
    try:
        for number in range(1, 100):
            signal.setitimer(signal.ITIMER_REAL, number * 1e-5)
            seized_at = None
            while seized_at is None:
                page.publish({}, number)
                seized_at = None if passes(words) else number
            page.publish({}, number)
            assert not passes(words)
            page.release()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Watched:
    """The page's words, with what was stored as its generation; one store waits."""

    def __init__(self, words: memoryview) -> None:
        self.words = words
        self.generations: list[int] = []
        self.inside, self.may_go_on = threading.Event(), threading.Event()

    def __setitem__(self, at: int | slice, value: object) -> None:
        if at == lease.AT_GENERATION and isinstance(value, int):
            if value % 2 == 0:
                self.inside.set()
                self.may_go_on.wait()
            self.generations.append(value)
        self.words[at] = value  # type: ignore[call-overload]  # one word, or many


class Asked:
    """A lock that says when it is asked for with a limit, as `seize` does."""

    def __init__(self) -> None:
        self.lock, self.was = threading.Lock(), threading.Event()
        self.release = self.lock.release

    def acquire(self, timeout: float) -> bool:
        self.was.set()
        return self.lock.acquire(timeout=timeout)

    def __enter__(self) -> None:
        self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()


def test_who_seizes_the_page_lets_a_publish_under_way_end_first(
    page: MemoryLeasePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched, guard = Watched(page._words), Asked()
    with monkeypatch.context() as patched:
        patched.setattr(lease_page, "_GUARD_S", 3600.0)
        patched.setattr(page, "_words", watched)
        patched.setattr(page, "_guard", guard)
        threads = [threading.Thread(target=page.publish, args=({}, 1))]
        threads[0].start()
        watched.inside.wait()
        threads.append(threading.Thread(target=page.seize))
        threads[1].start()
        asked = guard.was.wait(PATIENCE_S)
        watched.may_go_on.set()
        for thread in threads:
            thread.join()
    assert asked
    assert watched.generations == [1, 2, 3]


def test_a_publish_that_never_ends_does_not_hold_up_who_seizes_the_page(
    page: MemoryLeasePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, may_go_on = threading.Event(), threading.Event()

    def stuck() -> None:
        inside.set()
        may_go_on.wait()

    words = mapped(page)
    monkeypatch.setattr(page, "_in_order", stuck)
    thread = threading.Thread(target=page.publish, args=({}, 1))
    thread.start()
    try:
        inside.wait()
        page.seize()
        assert not passes(words)
    finally:
        may_go_on.set()
        thread.join()
    assert not passes(words)


# --- how it is found, and how it ends -------------------------------------------------------------


def test_the_link_leads_every_process_to_the_page(page: MemoryLeasePage, tmp_path: Path) -> None:
    page.link(tmp_path / "riskd.lease")
    page.publish({}, 3)
    program = "import sys; sys.stdout.buffer.write(open(sys.argv[1], 'rb').read(56))"
    read = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "riskd.lease"], check=True, capture_output=True
    ).stdout
    assert memoryview(read).cast("Q").tolist() == [
        *HEADER,
        lease.path_hash(bytes(tmp_path.resolve()), b"riskd.lease"),
        2,
        0,
        3,
    ]


def test_the_page_says_whose_it_is_before_the_link_leads_to_it(
    page: MemoryLeasePage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = []
    replace, words = Path.replace, mapped(page)

    def seen(new: Path, path: Path) -> Path:
        said.append(words[lease.AT_PATH])
        return replace(new, path)

    monkeypatch.setattr(Path, "replace", seen)
    (tmp_path / "way").symlink_to(tmp_path)
    page.link(tmp_path / "way" / "riskd.lease")
    assert said == [lease.path_hash(bytes(tmp_path.resolve()), b"riskd.lease")]


def test_the_link_replaces_the_last_ones(page: MemoryLeasePage, tmp_path: Path) -> None:
    path = tmp_path / "riskd.lease"
    path.symlink_to("/proc/0/fd/1")
    path.with_name("riskd.lease.new").symlink_to("/left/by/a/crash")
    page.link(path)
    assert path.stat().st_ino == os.fstat(page.descriptor).st_ino
    assert [entry.name for entry in tmp_path.iterdir()] == ["riskd.lease"]


def test_an_orderly_end_refuses_removes_the_link_and_lets_go(tmp_path: Path) -> None:
    page = MemoryLeasePage()
    page.link(tmp_path / "riskd.lease")
    page.publish({}, 1)
    page.extend(10)
    words, descriptor = mapped(page), page.descriptor
    page.close()
    page.close()
    assert not passes(words)
    assert words[lease.AT_UNTIL] == 0
    assert list(tmp_path.iterdir()) == []
    with denied(errno.EBADF):
        os.fstat(descriptor)


def test_calls_after_the_end_change_nothing(page: MemoryLeasePage) -> None:
    words = mapped(page)
    page.close()
    at_the_end = words.tolist()
    page.release()
    page.publish({}, 5)
    page.extend(10)
    page.fence()
    page.seize()
    assert words.tolist() == at_the_end


def test_the_end_leaves_a_link_that_is_another_ones(tmp_path: Path) -> None:
    path = tmp_path / "riskd.lease"
    with opened() as older:
        older.link(path)
        with opened() as newer:
            newer.link(path)
            older.close()
            assert path.stat().st_ino == os.fstat(newer.descriptor).st_ino


def test_a_page_that_can_not_be_made_leaves_no_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "no seals here")

    gc.collect()
    before = descriptors()
    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "fcntl", refuse)
        with denied(errno.EPERM):
            MemoryLeasePage()
    gc.collect()  # the traceback has the frames, and they have the mapping
    assert descriptors() == before
