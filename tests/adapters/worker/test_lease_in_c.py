"""The reader in C: it builds without a warning, follows a live page, and agrees with the other."""

import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from riskd.actors.core import lease as layout
from riskd.adapters.worker import lease as reader
from riskd.adapters.worker.lease import Lease

SOURCE = Path(__file__).parents[3] / "adapters" / "worker"
MINUTE_NS = 60_000_000_000
VERDICTS = {None: 0, "reduce_only": 1, "halted": 2, "expired": 3, "unreadable": 4}
Words = Mapping[int, int]
Lying = Callable[..., AbstractContextManager[Path]]
"""The fixture lives in conftest.py."""


STRICT = ["cc", "-Wall", "-Wextra", "-Werror", "-O2", "-I", str(SOURCE)]


@pytest.fixture(scope="module")
def in_c(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("c") / "lease"
    subprocess.run([*STRICT, "-o", program, SOURCE / "lease.c"], check=True)
    return program


def c_verdict(program: Path, path: Path, *scopes: str) -> int:
    return subprocess.run([program, path, *scopes], check=False).returncode


def test_it_follows_a_live_page(in_c: Path, live: Any) -> None:
    scopes = ("account:main", "symbol:B")
    answers = []
    for modes in ({}, {"symbol:B": "reduce_only"}, {"account:main": "halt"}, {"all": "halt"}):
        live.page.publish(modes, 1)
        answers.append(c_verdict(in_c, live.path, *scopes))
    live.page.publish({}, 1)
    live.page.fence()
    answers.append(c_verdict(in_c, live.path, *scopes))
    live.page.close()
    answers.append(c_verdict(in_c, live.path, *scopes))
    assert answers == [0, 1, 2, 2, 2, 4]


@pytest.mark.parametrize("missing", [0x1, 0x2, 0x4, 0x10])
def test_it_wants_every_seal(in_c: Path, missing: int, lying: Lying) -> None:
    with lying(unsealed=missing) as path:
        assert c_verdict(in_c, path) == VERDICTS["unreadable"]


@pytest.mark.parametrize(
    "changed", [{layout.AT_MAGIC: 0}, {layout.AT_VERSION: 2}, {layout.AT_BYTES: 4096}]
)
def test_it_refuses_another_layout(in_c: Path, changed: Words, lying: Lying) -> None:
    with lying(changed) as path:
        assert c_verdict(in_c, path) == VERDICTS["unreadable"]


@pytest.mark.parametrize("size", [0, layout.PAGE_BYTES - 1, layout.PAGE_BYTES + 1])
def test_it_refuses_another_size(in_c: Path, size: int, lying: Lying) -> None:
    with lying(size=size) as path:
        assert c_verdict(in_c, path) == VERDICTS["unreadable"]


def test_it_refuses_a_lease_by_another_clock(in_c: Path, lying: Lying) -> None:
    with lying({layout.AT_UNTIL: time.monotonic_ns() + 60 * MINUTE_NS}) as path:
        assert c_verdict(in_c, path) == VERDICTS["expired"]


def test_it_refuses_a_plain_file(in_c: Path, tmp_path: Path, lying: Lying) -> None:
    with lying() as path:
        shutil.copy(path, tmp_path / "file")
    assert c_verdict(in_c, tmp_path / "file") == VERDICTS["unreadable"]


def test_it_refuses_another_riskds_page(in_c: Path, live: Any, tmp_path: Path) -> None:
    (tmp_path / "dead").mkdir()
    for path in (tmp_path / "dead" / "riskd.lease", tmp_path / "riskd.lease2"):
        path.symlink_to(live.path.readlink())
        assert c_verdict(in_c, path) == VERDICTS["unreadable"]
    assert c_verdict(in_c, live.path) == 0


def test_it_refuses_a_page_that_was_never_linked(in_c: Path, lying: Lying) -> None:
    with lying({layout.AT_PATH: 0}) as path:
        assert c_verdict(in_c, path) == VERDICTS["unreadable"]


def test_it_finds_the_page_by_every_way_to_the_directory(
    in_c: Path, live: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "way").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    ways = ("riskd.lease", "way/riskd.lease", "./way/way/riskd.lease", f"/{tmp_path}//riskd.lease")
    assert [subprocess.run([in_c, way], check=False).returncode for way in ways] == [0] * 4


STRESS = """
#define LEASE_NO_MAIN
#include "lease.c"
int main(int argc, char **argv) {
  const uint64_t *page = argc == 4 ? lease_open(argv[1]) : NULL;
  if (!page) return 9;
  const uint64_t scopes[2] = {scope_hash(argv[2]), scope_hash(argv[3])};
  for (int n = 0; n < 200000; n++)
    if (lease_check(page, scopes, 2) != HALTED) return 1;
  return 0;
}
"""


def test_it_sees_no_parts_of_two_states(tmp_path: Path, restless: tuple[Path, str, str]) -> None:
    (tmp_path / "stress.c").write_text(STRESS)
    subprocess.run([*STRICT, "-o", tmp_path / "stress", tmp_path / "stress.c"], check=True)
    assert subprocess.run([tmp_path / "stress", *restless], check=False).returncode == 0


# --- beside the one in Python ---------------------------------------------------------------------

SCOPES = tuple(f"{kind}:{name}" for kind in reader.KINDS for name in ("a", "b"))
MODES = st.integers(0, 4) | st.just(2**64 - 1)


@attrs.frozen
class Drawn:
    """A page's words at random, most of them such as riskd would never write."""

    generation: int
    lease_ns: int
    everything: int
    entries: Sequence[tuple[str, int]]
    count: int | None
    """None: as many as there are."""

    def words(self) -> Words:
        count = len(self.entries) if self.count is None else self.count
        until_ns = time.monotonic_ns() + self.lease_ns if self.lease_ns > 1 else self.lease_ns
        words = {
            layout.AT_GENERATION: self.generation,
            layout.AT_UNTIL: until_ns,
            layout.AT_MODE: self.everything,
            layout.AT_COUNT: count,
        }
        for number, (scope, mode) in enumerate(self.entries):
            at = layout.AT_ENTRIES + 2 * number
            words |= {at: reader.scope_hash(scope), at + 1: mode}
        return words

    def expected(self, scopes: Sequence[str]) -> set[int]:
        """The verdicts that the layout's document allows."""
        if self.generation % 2:
            return {2, 3} if self.lease_ns <= 1 else {2}
        if self.lease_ns <= 1:
            return {3}
        count = len(self.entries) if self.count is None else self.count
        if count > layout.ENTRIES_MAX:
            return {2}
        modes = [mode for scope, mode in self.entries[:count] if scope in scopes]
        return {min(2, max([self.everything, *modes]))}


DRAWN = st.builds(
    Drawn,
    generation=st.sampled_from([0, 1, 2, 2, 2, 3, 2**64 - 2, 2**64 - 1]),
    lease_ns=st.sampled_from([0, 1, MINUTE_NS, MINUTE_NS, MINUTE_NS]),
    everything=st.just(0) | MODES,
    entries=st.lists(st.tuples(st.sampled_from(SCOPES), st.just(0) | MODES), max_size=20),
    count=st.none() | st.integers(0, 25) | st.sampled_from([1019, 1020, 2**63, 2**64 - 1]),
)


@given(drawn=DRAWN, scopes=st.lists(st.sampled_from(SCOPES), max_size=5, unique=True))
@example(drawn=Drawn(2, MINUTE_NS, 0, [("account:a", 1)], None), scopes=["account:a"])
@example(
    drawn=Drawn(2, MINUTE_NS, 0, [("account:a", 2), ("account:a", 0)], None), scopes=["account:a"]
)
def test_both_readers_agree_on_any_table_and_are_right(
    in_c: Path, lying: Lying, drawn: Drawn, scopes: list[str]
) -> None:
    with lying(drawn.words()) as path:
        refusal = Lease(path).view(*scopes).refusal()
        ours = VERDICTS[refusal.kind if refusal else None]
        answers = {ours, c_verdict(in_c, path, *scopes)}
    assert answers <= drawn.expected(scopes)
