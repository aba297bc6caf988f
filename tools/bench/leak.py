"""What is left behind by many restarts, and by many temporary children that came and went.

The peer does the same to bare nurseries, so that what Trio or the allocator keeps is not laid at
riskd's door.
"""

import gc
import os
import sys
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from pathlib import Path

import attrs
import trio

from ...supervisor.tree import ChildSpec, Ports, Supervisor
from ...supervisor.tree.spec import RestartType
from .restart import INTENSITY, PERIOD_S, Child, Victim, idle, ignore, keep_up
from .results import Figure, Result, at_most, warm_up

STRAY_MAX = 200
"""What may be more by chance: caches fill, lists grow in steps, and the first census itself is
still there at the second. A leak of one in a hundred repetitions of the full run is seen."""
MEMORY_MIB_MAX = 1.0
"""Less than 20,000 of the smallest Python objects take."""
PATIENCE_S = 0.25
"""For a start and for a stop. Trio keeps the deadline of a scope that is over until the time has
come, or there are a thousand: so each census waits for these to pass."""
LIMITS = {
    "memory": MEMORY_MIB_MAX,
    "allocations": STRAY_MAX,
    "objects": STRAY_MAX,
    "held": 0,
    "tasks": 0,
    "descriptors": 0,
}
"""What may be more afterwards, by field of Census."""

Act = Callable[[], Awaitable[object]]


@attrs.frozen
class Census:
    """All that there is. Taken after a collection, so that garbage doesn't count."""

    memory: float
    """Resident, in MiB."""
    allocations: int
    """Blocks of Python's allocator: numbers and strings too, which the collector doesn't know."""
    objects: int
    held: int
    """Elements in the containers that can be reached from a supervisor."""
    tasks: int
    descriptors: int
    types: Mapping[str, int]


async def take_census(supervisor: Supervisor) -> Census:
    """Count everything, once what is only waiting to be forgotten has been forgotten."""
    await trio.sleep(2 * PATIENCE_S)
    gc.collect()
    objects = gc.get_objects()
    types = Counter(type(each).__qualname__ for each in objects)
    total = len(objects)
    del objects
    return Census(
        memory=resident_mib(),
        allocations=sys.getallocatedblocks(),
        objects=total,
        held=held_by(supervisor),
        tasks=trio.lowlevel.current_statistics().tasks_living,
        descriptors=len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - names alone are enough
        types=types,
    )


def resident_mib() -> float:
    """What this process holds in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


_CONTAINERS = (dict, list, tuple, set, frozenset, deque)
_FOLLOWED = ("riskd.", "trio._channel")


def held_by(root: object) -> int:
    """How many elements its containers have, at any depth, and those of the channels it reads."""
    seen: dict[int, object] = {}
    pending, elements = [root], 0
    while pending:
        found = pending.pop()
        is_container = type(found) in _CONTAINERS
        if id(found) in seen or not (is_container or _is_followed(found)):
            continue
        seen[id(found)] = found
        elements += len(found) if is_container else 0  # type: ignore[arg-type] # it is a container
        pending.extend(gc.get_referents(found))
    return elements


def _is_followed(found: object) -> bool:
    return not isinstance(found, type) and type(found).__module__.startswith(_FOLLOWED)


# --- the acts that are repeated -------------------------------------------------------------------


def _child(name: str, run: Child, restart: RestartType = "permanent") -> ChildSpec:
    return ChildSpec(name, run, restart=restart, start_timeout=PATIENCE_S, shutdown=PATIENCE_S)


async def _come_and_go(supervisor: Supervisor, name: str) -> None:
    await supervisor.start_child(_child(name, idle, restart="temporary"))
    await supervisor.terminate_child(name)


async def _come_and_go_bare(nursery: trio.Nursery) -> None:
    over = trio.Event()
    scope: trio.CancelScope = await nursery.start(_cancelled, over)
    scope.cancel()
    await over.wait()


async def _cancelled(over: trio.Event, *, task_status: trio.TaskStatus[trio.CancelScope]) -> None:
    with trio.CancelScope() as scope:
        task_status.started(scope)
        await trio.sleep_forever()
    over.set()


# --- before and after -----------------------------------------------------------------------------


def measure(n: int) -> list[Result]:
    return trio.run(_measure, n)


async def _measure(n: int) -> list[Result]:
    ours, theirs, names = Victim(), Victim(), count()
    supervisor = Supervisor(
        [_child("victim", ours.run)],
        intensity=INTENSITY,
        period=PERIOD_S,
        ports=Ports(record=ignore),
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(supervisor.run)
        await nursery.start(keep_up, [theirs.run])
        acts: dict[str, tuple[Act, Act]] = {
            "restarts": (ours.crash, theirs.crash),
            "temporary children": (
                lambda: _come_and_go(supervisor, f"child-{next(names)}"),
                lambda: _come_and_go_bare(nursery),
            ),
        }
        results = [
            result
            for name, (act, peer) in acts.items()
            for result in compare(
                name, n, await growth(n, act, supervisor), await growth(n, peer, supervisor)
            )
        ]
        nursery.cancel_scope.cancel()
    return results


async def growth(n: int, act: Act, supervisor: Supervisor) -> Census:
    """What there is more of after `n` repetitions."""
    for _ in range(warm_up(n)):
        await act()
    await take_census(supervisor)  # The first one fills caches of its own.
    before = await take_census(supervisor)
    for _ in range(n):
        await act()
    return _difference(before, await take_census(supervisor))


def _difference(before: Census, after: Census) -> Census:
    more = {name: getattr(after, name) - getattr(before, name) for name in LIMITS}
    types = Counter(after.types)
    types.subtract(before.types)
    return Census(**more, types=types)


def compare(act: str, n: int, ours: Census, theirs: Census) -> list[Result]:
    """One result for each kind of thing that could be left."""
    return [_left(act, n, kind, ours, theirs) for kind in LIMITS]


def _left(act: str, n: int, kind: str, ours: Census, theirs: Census) -> Result:
    unit = "MiB more" if kind == "memory" else "more"
    figure = Figure(getattr(ours, kind), unit)
    return Result(
        name=f"{kind} after {act}",
        n=n,
        figure=figure,
        peer_name="bare nursery",
        peer=None if kind == "held" else Figure(getattr(theirs, kind), unit),
        promise=at_most(LIMITS[kind], figure),
        note=_most_grown(ours.types, above=n // 100) if kind == "objects" else "",
    )


def _most_grown(types: Mapping[str, int], above: int) -> str:
    most = Counter(types).most_common(3)
    return ", ".join(f"{name} {more:+}" for name, more in most if more > above)
