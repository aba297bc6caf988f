"""What a tree needs from outside, and how it answers who calls it."""

import random
from collections.abc import Callable, Sequence

import attrs
import structlog

from ...actors.messages import ChildFailed, ChildHeld, ChildReleased, Fact
from .state import Answer


@attrs.frozen(kw_only=True)
class Past:
    """What earlier facts say about a tree: which children are held, and how old its failures are.

    Keys are paths, such as "riskd/watchdogs". Ages are in seconds at the moment of the start.
    """

    held: frozenset[tuple[str, str]] = frozenset()
    failures: tuple[tuple[str, str, float], ...] = ()


class Memory:
    """What a whole tree knows beyond the lives of its supervisors: the past, and what came since.

    Holds follow the facts, so that a supervisor that is built anew for each of its lives finds
    them. The failures of a path are given away once: who runs there later has a full budget, for
    its parent has paid, and a new riskd has not.
    """

    def __init__(self, past: Past) -> None:
        self._held = set(past.held)
        self._ages: dict[str, list[tuple[str, float]]] = {}
        for path, child, age in past.failures:
            self._ages.setdefault(path, []).append((child, age))
        self._began: float | None = None

    def learn(self, fact: Fact) -> None:
        match fact:
            case ChildHeld(supervisor=path, child=child):
                self._held.add((path, child))
            case ChildReleased(supervisor=path, child=child):
                self._held.discard((path, child))

    def held(self, path: str) -> frozenset[str]:
        """Whom of its children the supervisor there must not start."""
        return frozenset(child for supervisor, child in self._held if supervisor == path)

    def take_failures(self, path: str, now: float) -> dict[str, tuple[float, ...]]:
        """When the children there failed before the tree began. The first to ask is its root."""
        if self._began is None:
            self._began = now
        times: dict[str, tuple[float, ...]] = {}
        for child, age in self._ages.pop(path, []):
            times[child] = (*times.get(child, ()), self._began - age)
        return times

    def forgive(self, path: str) -> None:
        """The supervisor there is restarted, and that is paid for: by a tick, or by a caller."""
        for below in [key for key in self._ages if f"{key}/".startswith(f"{path}/")]:
            del self._ages[below]


def _log(fact: Fact) -> None:
    """Where facts go when nobody keeps them: no failure passes unseen."""
    tag = str(type(fact).__struct_config__.tag)
    fields = {name: getattr(fact, name) for name in fact.__struct_fields__}
    structlog.get_logger("riskd.tree").warning(tag, **fields)


def _nobody(_path: str, _stack: Sequence[str]) -> None:
    """A stuck child is a recorded fact in any case; a program that can end itself should."""


def _recorded(ports: "Ports") -> Callable[[ChildFailed, BaseException], object]:
    return lambda fact, _error: ports.record(fact)


@attrs.frozen(kw_only=True)
class Ports:
    """The outside of a tree. A nested supervisor takes its parent's.

    `failed` takes the place of `record` where there is an error: the fact has one line of it.
    """

    record: Callable[[Fact], object] = _log
    failed: Callable[[ChildFailed, BaseException], object] = attrs.field(
        default=attrs.Factory(_recorded, takes_self=True)
    )
    chance: Callable[[], float] = random.SystemRandom().random
    stuck: Callable[[str, Sequence[str]], None] = _nobody
    past: Past = attrs.field(factory=Past)
    memory: Memory = attrs.field(
        init=False,
        eq=False,
        repr=False,
        default=attrs.Factory(lambda self: Memory(self.past), takes_self=True),
    )


@attrs.frozen(kw_only=True)
class Reply:
    """What a call of the API came to. `value` is what the child gave to started()."""

    answer: Answer
    incarnation: int = 0
    value: object = None
    error: str | None = None

    @property
    def ok(self) -> bool:
        return self.answer is Answer.OK
