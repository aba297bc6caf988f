"""The supervisor that programs build: its arguments checked, its API, and its runs."""

import math
from collections.abc import Iterable, Mapping
from itertools import chain

import attrs
import trio

from .cells import counted, failed_before
from .ports import Ports, Reply
from .shell import Context, Run
from .spec import (
    AUTO_SHUTDOWNS,
    STRATEGIES,
    AutoShutdown,
    Budget,
    ChildSpec,
    Kind,
    NotRunning,
    RestartType,
    Strategy,
)
from .state import Add, Child, Crash, Delete, Mode, Phase, Restart, State, Terminate, Then


@attrs.frozen(kw_only=True)
class ChildInfo:
    """One child as it stands."""

    id: str
    kind: Kind
    restart: RestartType
    state: str
    incarnation: int
    restarts: int
    held: bool
    stuck: bool
    cause: str | None
    supervisor: "Supervisor | None"


@attrs.frozen(kw_only=True)
class Counts:
    """How many children there are; `active` ones have a task."""

    specs: int
    active: int
    supervisors: int
    workers: int


class Supervisor:
    """Starts children in order, restarts them by strategy and within a budget, stops them in order.

    `await nursery.start(supervisor.run)` returns when every child has started. As a child of
    another supervisor it is `ChildSpec(id, supervisor.run, kind="supervisor")`. It may be run
    again after it has ended: with its first children, a full budget, and the holds it had. The
    children that it still has go on counting their incarnations, so that no number comes twice.
    """

    def __init__(
        self,
        children: Iterable[ChildSpec] = (),
        *,
        strategy: Strategy = "one_for_one",
        intensity: int = 1,
        period: float = 5.0,
        auto_shutdown: AutoShutdown = "never",
        name: str = "supervisor",
        total: float = math.inf,
        ports: Ports | None = None,
    ) -> None:
        """`total` bounds the whole stop; `name` and `ports` are for a tree's root."""
        _one_of("strategy", strategy, STRATEGIES)
        _one_of("auto_shutdown", auto_shutdown, AUTO_SHUTDOWNS)
        if math.isnan(total) or total <= 0:
            raise ValueError(f"total={total!r}: must be a number of seconds above zero")
        self._specs = tuple(children)
        self._total = total
        self._ports = ports
        self._run: Run | None = None
        self._state = State(
            name=name,
            strategy=strategy,
            budget=Budget(intensity=intensity, period=period),
            auto_shutdown=auto_shutdown,
        )
        for spec in self._specs:
            self._check(spec)
        ids = [spec.id for spec in self._specs]
        repeated = sorted({name for name in ids if ids.count(name) > 1})
        if repeated:
            raise ValueError(f"children with the same id: {', '.join(repeated)}")
        self._state = self._first_state(name, frozenset(), {}, 0.0)

    async def run(
        self,
        ctx: Context | None = None,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Run until stopped. Raises FailedToStart or Escalated; returns when it shut down."""
        if self._run is not None:
            raise RuntimeError(f"supervisor {self.name!r} is running already")
        ports = self._ports or (Ports() if ctx is None else ctx.ports)
        path = self._state.name if ctx is None else ctx.path
        now = trio.current_time()
        held, failed = ports.memory.held(path), ports.memory.take_failures(path, now)
        self._run = Run(self._first_state(path, held, failed, now), ports, ctx, self._total)
        try:
            await self._run.main(task_status)
        finally:
            self._state = _at_rest(self._run.state)
            self._run = None

    def shutdown(self, within: float | None = None) -> None:
        """Stop the children in order, then return from run(). A later call can only hasten."""
        if self._run is not None:
            self._run.latch(within)

    async def start_child(self, spec: ChildSpec) -> Reply:
        """Add a child and start it. When the start fails the spec is not kept.

        When the child is terminated while it starts, that is an answer "failed" as well, but the
        spec is kept and held, unless it is temporary.

        A listed child that was terminated and is gone is started too: that is the newer word.
        """
        self._check(spec)
        return await self._live().call(lambda call: Add(call, spec))

    async def terminate_child(self, child: str) -> Reply:
        """Stop a child and keep it stopped, whatever happens to its siblings or to riskd."""
        return await self._live().call(lambda call: Terminate(child, call))

    async def restart_child(self, child: str) -> Reply:
        """Start a child that is stopped. A failure leaves it stopped."""
        return await self._live().call(lambda call: Restart(child, call))

    async def delete_child(self, child: str) -> Reply:
        """Forget a child that is stopped. A listed one that is held stays so in later runs."""
        return await self._live().call(lambda call: Delete(child, call))

    async def kill_child(self, child: str) -> Reply:
        """Crash a child on purpose. Unlike the other calls this is a failure, and costs a tick."""
        return await self._live().call(lambda call: Crash(child, call))

    def which_children(self) -> list[ChildInfo]:
        """The children in start order."""
        return [_info(child) for child in self.state.children.values()]

    def count_children(self) -> Counts:
        children = self.state.children.values()
        supervisors = sum(child.spec.kind == "supervisor" for child in children)
        return Counts(
            specs=len(children),
            active=sum(child.alive for child in children),
            supervisors=supervisors,
            workers=len(children) - supervisors,
        )

    @property
    def name(self) -> str:
        return self.state.name

    @property
    def state(self) -> State:
        """The whole of what it knows, frozen."""
        return self._state if self._run is None else self._run.state

    def failures_in_window(self) -> int:
        """How much of the budget is used now. Inside Trio only."""
        since = trio.current_time() - self.state.budget.period
        return sum(at >= since for at in self.state.failures)

    def _live(self) -> Run:
        if self._run is None:
            raise NotRunning(f"supervisor {self.name!r} is not running")
        return self._run

    def _check(self, spec: ChildSpec) -> None:
        if spec.significant and self._state.auto_shutdown == "never":
            raise ValueError(
                f"child {spec.id!r} is significant, but auto_shutdown is 'never': it would have "
                f"no effect; set auto_shutdown, or significant=False"
            )

    def _first_state(
        self, path: str, held: frozenset[str], failed: Mapping[str, tuple[float, ...]], now: float
    ) -> State:
        """The first specs, with their holds, and with the failures of the past that still count."""
        held = self._state.held.union(
            held, (child.spec.id for child in self._state.children.values() if child.held)
        )
        children = {}
        for spec in self._specs:
            before = self._state.children.get(spec.id, Child(spec=spec))
            children[spec.id] = Child(
                spec=spec,
                held=spec.id in held,
                incarnation=before.incarnation,
                failures=failed_before(failed, spec, now),
            )
        return State(
            name=path,
            listed=frozenset(children),
            held=held.difference(children),
            strategy=self._state.strategy,
            budget=self._state.budget,
            auto_shutdown=self._state.auto_shutdown,
            children=children,
            past=failed,
            failures=counted(sorted(chain(*failed.values())), self._state.budget, now),
        )


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name}={value!r}: must be one of {', '.join(allowed)}")


def _at_rest(state: State) -> State:
    """After a run, however it ended: a supervisor that is not there has nobody running."""
    children = {
        name: attrs.evolve(
            child, phase=Phase.IDLE, deadline=None, then=Then.REST, marked=False, strikes=0
        )
        for name, child in state.children.items()
    }
    return attrs.evolve(state, children=children, mode=Mode.DONE)


def _info(child: Child) -> ChildInfo:
    owner = getattr(child.spec.run, "__self__", None)
    return ChildInfo(
        id=child.spec.id,
        kind=child.spec.kind,
        restart=child.spec.restart,
        state=child.phase.value,
        incarnation=child.incarnation,
        restarts=child.restarts,
        held=child.held,
        stuck=child.stuck,
        cause=child.cause,
        supervisor=owner if isinstance(owner, Supervisor) else None,
    )
