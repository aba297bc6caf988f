"""What a tree needs from outside, and how it answers who calls it."""

import random
from collections.abc import Callable, Sequence

import attrs
import structlog

from ...actors.messages import ChildFailed, Fact
from .state import Answer


@attrs.frozen(kw_only=True)
class Past:
    """What earlier facts say about a tree: which children are held, and how old its failures are.

    Keys are paths, such as "riskd/watchdogs". Ages are in seconds at the moment of the start.
    """

    held: frozenset[tuple[str, str]] = frozenset()
    failures: tuple[tuple[str, str, float], ...] = ()


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
