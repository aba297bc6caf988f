"""The tree's vocabulary: phases, events in, actions out, and the state that lies between them."""

import enum
import math
from collections.abc import Mapping

import attrs

from ...actors.messages import Fact
from .spec import AutoShutdown, Budget, ChildSpec, Strategy

STRIKE_S = 0.5
"""A killed child is killed again this often, for it may have raised a new shield meanwhile."""
STRIKES_MAX = 2
"""After so many it is called stuck: it swallows its cancellation, and only the process can end it.
Longer waits were never seen to help."""


class Phase(enum.Enum):
    """Where one child stands."""

    IDLE = "idle"
    """Not running and nothing pending: never started, ended for good, or held."""
    WAITING = "waiting"
    """To be started in its turn; when a deadline is set, not before it (back-off)."""
    STARTING = "starting"
    """Runs, and has not called started() yet."""
    RUNNING = "running"
    """Serves."""
    STOPPING = "stopping"
    """Told to stop; may clean up until its deadline."""
    KILLING = "killing"
    """Past that deadline, or crashed on purpose: its shields are gone."""


ALIVE = frozenset({Phase.STARTING, Phase.RUNNING, Phase.STOPPING, Phase.KILLING})
LEAVING = frozenset({Phase.STOPPING, Phase.KILLING})


class Then(enum.Enum):
    """What becomes of a child when the incarnation that is leaving has left."""

    REST = "rest"
    """Stays down."""
    AGAIN = "again"
    """Is started again in its turn: a sibling's failure took it along."""
    GONE = "gone"
    """Its spec goes with it."""
    FAILED = "failed"
    """Its start has failed."""
    CRASH = "crash"
    """Counts as its own crash: it was killed on purpose."""


class Mode(enum.Enum):
    """Where the supervisor stands."""

    STARTING = "starting"
    """The first start: in order, and one failure undoes it all."""
    SERVING = "serving"
    """Children are watched and restarted."""
    STOPPING = "stopping"
    """Latched. Nothing is started any more."""
    DONE = "done"
    """No child is left."""


class Answer(enum.StrEnum):
    """What a call of the API came to."""

    OK = "ok"
    ALREADY_RUNNING = "already running"
    ALREADY_PRESENT = "already present"
    NOT_FOUND = "not found"
    NOT_RUNNING = "not running"
    RUNNING = "running"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    FAILED = "failed"


class Asked(enum.Enum):
    """Why a start is a caller's and not the supervisor's: its failure costs no tick."""

    ADD = "add"
    RESTART = "restart"


@attrs.frozen(kw_only=True)
class Child:
    """One child. `deadline` is of its phase: start, stop, stuck or back-off; None is none."""

    spec: ChildSpec
    phase: Phase = Phase.IDLE
    incarnation: int = 0
    deadline: float | None = None
    then: Then = Then.REST
    marked: bool = False
    """A failed sibling takes it along: nothing starts until it is down."""
    held: bool = False
    strikes: int = 0
    """How often it was killed again without effect."""
    proven: bool = False
    """Has served in this run of the supervisor, so that a failing start is a failing restart."""
    since: float | None = None
    """When it began to serve; None while it does not."""
    attempt: int = 0
    restarts: int = 0
    failures: tuple[float, ...] = ()
    cause: str | None = None
    because_of: str | None = None
    asked: Asked | None = None
    caller: int | None = None
    leavers: tuple[int, ...] = ()
    """Calls to be answered once it is down."""

    @property
    def stuck(self) -> bool:
        return self.strikes >= STRIKES_MAX

    @property
    def alive(self) -> bool:
        return self.phase in ALIVE

    @property
    def comes_back(self) -> bool:
        """It is leaving, and may be started again once it has left."""
        return self.then in (Then.AGAIN, Then.FAILED, Then.CRASH)


class Ending(enum.Enum):
    """Why a supervisor ends."""

    STOPPED = "stopped"
    AUTO_SHUTDOWN = "auto_shutdown"
    ESCALATED = "escalated"
    FAILED_TO_START = "failed_to_start"


@attrs.frozen(kw_only=True)
class Outcome:
    """How it ended, and through which child."""

    ending: Ending
    child: str = ""
    incarnation: int = 0
    cause: str = ""
    failures: int = 0


@attrs.frozen(kw_only=True)
class State:
    """A supervisor. `children` is in start order; new ones go last."""

    name: str
    strategy: Strategy = "one_for_one"
    budget: Budget = attrs.field(factory=Budget)
    auto_shutdown: AutoShutdown = "never"
    children: Mapping[str, Child] = attrs.field(factory=dict)
    listed: frozenset[str] = frozenset()
    """Whom every run begins with, also those who have gone meanwhile."""
    held: frozenset[str] = frozenset()
    """Holds of children that are not here: listed ones that went in this run, or from earlier."""
    mode: Mode = Mode.STARTING
    failures: tuple[float, ...] = ()
    past: Mapping[str, tuple[float, ...]] = attrs.field(factory=dict)
    """When children failed before riskd started: their own budgets count it when they are added."""
    stop_by: float = math.inf
    outcome: Outcome | None = None
    closing: bool = False
    """A supervisor above stops. This one is told in its turn, and until then starts nothing."""

    @property
    def starts_nothing(self) -> bool:
        """A stop is latched, here or above."""
        return self.closing or self.mode in (Mode.STOPPING, Mode.DONE)


# --- events ---------------------------------------------------------------------------------------


@attrs.frozen
class Begin:
    """Start the children."""


@attrs.frozen
class Stop:
    """Stop the children, all within `within` seconds. Latched; a later one can only hasten."""

    within: float = math.inf


@attrs.frozen
class Close:
    """A supervisor above stops. Start nothing more; the own stop comes in its turn."""


@attrs.frozen
class Tick:
    """Time has passed. Deadlines that are due are acted upon."""


@attrs.frozen
class Add:
    call: int
    spec: ChildSpec


@attrs.frozen
class ChildEvent:
    """Something about one child. One row of the table of cells each."""

    id: str


@attrs.frozen
class Started(ChildEvent):
    incarnation: int


@attrs.frozen
class Ended(ChildEvent):
    """The task of one incarnation is over. `error` is None when it returned or was cancelled.

    `chance` in [0, 1) is drawn by the shell: the core has no randomness of its own.
    """

    incarnation: int
    error: str | None = None
    chance: float = 0.0


@attrs.frozen
class Due(ChildEvent):
    """The child's own deadline has come. Made of a Tick, never sent from outside."""


@attrs.frozen
class Terminate(ChildEvent):
    call: int


@attrs.frozen
class Restart(ChildEvent):
    call: int


@attrs.frozen
class Delete(ChildEvent):
    call: int


@attrs.frozen
class Crash(ChildEvent):
    call: int


CHILD_EVENTS: tuple[type[ChildEvent], ...] = (
    Started, Ended, Due, Terminate, Restart, Delete, Crash,
)  # fmt: skip
Event = Begin | Stop | Close | Tick | Add | Started | Ended | Terminate | Restart | Delete | Crash


# --- actions --------------------------------------------------------------------------------------


@attrs.frozen
class Spawn:
    """Run a new incarnation. The one before it HAS ended."""

    id: str
    incarnation: int


@attrs.frozen
class Cancel:
    """Tell it to stop; what it cleans up under ctx.cleanup() may take until `deadline`."""

    id: str
    incarnation: int
    deadline: float


@attrs.frozen
class Kill:
    """Cancel it without mercy, its shields included."""

    id: str
    incarnation: int


@attrs.frozen
class Stuck:
    """It was killed and is still there. Only the process can end it."""

    id: str
    incarnation: int


@attrs.frozen
class Respond:
    """Answer a call. COMES AFTER the action that made the answer true."""

    call: int
    answer: Answer
    id: str
    incarnation: int = 0
    error: str | None = None


@attrs.frozen
class Note:
    """A fact for the journal, in the order in which things happened."""

    fact: Fact


@attrs.frozen
class Ready:
    """Every child has started, in order."""


@attrs.frozen
class Finish:
    """No child is left, and none will come."""

    outcome: Outcome


Action = Spawn | Cancel | Kill | Stuck | Respond | Note | Ready | Finish


@attrs.frozen
class Step:
    """The state after an event, and what is to be done about it, in this order."""

    state: State
    actions: tuple[Action, ...]
