"""A tree's core on the bench, told events by name; and a scene for its shell, on a real Trio."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import pytest
import trio
from riskd.supervisor.tree import (
    Budget,
    ChildSpec,
    Context,
    Escalated,
    FailedToStart,
    Ports,
    Supervisor,
)
from riskd.supervisor.tree import state as vocabulary
from riskd.supervisor.tree.core import decide
from riskd.supervisor.tree.state import Action, Child, State
from riskd.tools.seeded import seeded_schedule
from trio import TASK_STATUS_IGNORED as IGNORED


async def never_run(ctx: object, *, task_status: object) -> None:
    raise AssertionError("the core runs nothing")


def spec_of(child: str | ChildSpec) -> ChildSpec:
    return ChildSpec(child, never_run) if isinstance(child, str) else child


def child(name: str, **fields: Any) -> ChildSpec:
    """A spec for the core alone."""
    return ChildSpec(name, never_run, **fields)


def line(action: Action) -> str:
    """An action as a line of a transcript."""
    match action:
        case vocabulary.Spawn(name, incarnation):
            return f"spawn {name}#{incarnation}"
        case vocabulary.Cancel(name, incarnation, deadline):
            return f"cancel {name}#{incarnation} by {deadline:g}"
        case vocabulary.Kill(name, incarnation):
            return f"kill {name}#{incarnation}"
        case vocabulary.Stuck(name, incarnation):
            return f"stuck {name}#{incarnation}"
        case vocabulary.Respond(call, answer, error=error):
            return f"answer {call}: {answer.value}" + (f": {error}" if error else "")
        case vocabulary.Note(fact):
            return f"{type(fact).__struct_config__.tag} {fact.child}"
        case vocabulary.Finish(outcome):
            return f"finish {outcome.ending.value}"
    return type(action).__name__.lower()


class Tree:
    """One supervisor's state, its clock, and the numbers of its callers."""

    def __init__(self, *children: str | ChildSpec, **fields: Any) -> None:
        intensity, period = fields.pop("intensity", 1), fields.pop("period", 5.0)
        held = fields.pop("held", ())
        specs = [spec_of(each) for each in children]
        self.state = State(
            name="top",
            budget=Budget(intensity=intensity, period=period),
            children={spec.id: Child(spec=spec, held=spec.id in held) for spec in specs},
            listed=frozenset(spec.id for spec in specs),
            **fields,
        )
        self.now = 0.0
        self.calls = 0
        self.actions: tuple[Action, ...] = ()

    def tell(self, event: vocabulary.Event) -> list[str]:
        step = decide(self.state, event, self.now)
        self.state, self.actions = step.state, step.actions
        return [line(action) for action in step.actions]

    def __getitem__(self, name: str) -> Child:
        return self.state.children[name]

    @property
    def facts(self) -> list[Any]:
        """The facts of the last event."""
        return [a.fact for a in self.actions if isinstance(a, vocabulary.Note)]

    # --- events, by name

    def begin(self) -> list[str]:
        return self.tell(vocabulary.Begin())

    def serve(self) -> "Tree":
        """Begin, and let every child start."""
        self.begin()
        for name in tuple(self.state.children):
            if not self[name].held:
                self.started(name)
        return self

    def started(self, name: str) -> list[str]:
        return self.tell(vocabulary.Started(name, self[name].incarnation))

    def ended(self, name: str, error: str | None = None, chance: float = 0.0) -> list[str]:
        return self.tell(vocabulary.Ended(name, self[name].incarnation, error, chance))

    def crash(self, name: str, chance: float = 0.0) -> list[str]:
        return self.ended(name, "Oops", chance)

    def stop(self, **fields: Any) -> list[str]:
        return self.tell(vocabulary.Stop(**fields))

    def close(self) -> list[str]:
        return self.tell(vocabulary.Close())

    def tick(self, at: float) -> list[str]:
        self.now = at
        return self.tell(vocabulary.Tick())

    # --- calls; each gets the next number, from 1

    def _call(self, make: Callable[[int], vocabulary.Event]) -> list[str]:
        self.calls += 1
        return self.tell(make(self.calls))

    def add(self, child: str | ChildSpec) -> list[str]:
        return self._call(lambda call: vocabulary.Add(call, spec_of(child)))

    def terminate(self, name: str) -> list[str]:
        return self._call(lambda call: vocabulary.Terminate(name, call))

    def restart(self, name: str) -> list[str]:
        return self._call(lambda call: vocabulary.Restart(name, call))

    def delete(self, name: str) -> list[str]:
        return self._call(lambda call: vocabulary.Delete(name, call))

    def kill(self, name: str) -> list[str]:
        return self._call(lambda call: vocabulary.Crash(name, call))


@pytest.fixture
def tree() -> type[Tree]:
    return Tree


@pytest.fixture
def spec() -> Callable[..., ChildSpec]:
    return child


class Scene:
    """What children do on a real Trio, what the supervisor records, and how it ended."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.facts: list[str] = []
        self.stuck: list[tuple[str, list[str]]] = []
        self.end: BaseException | None = None
        self.ports = Ports(record=self._record, chance=lambda: 0.0, stuck=self._stuck)

    def _record(self, fact: Any) -> None:
        self.facts.append(f"{type(fact).__struct_config__.tag} {fact.child}")

    def _stuck(self, path: str, stack: Sequence[str]) -> None:
        self.stuck.append((path, list(stack)))

    def say(self, text: str) -> None:
        self.said.append(text)

    def heard(self) -> list[str]:
        """What was said since the last time."""
        said, self.said = self.said, []
        return said

    def calm(self, name: str, **fields: Any) -> ChildSpec:
        """A child that says when it serves and when it has stopped, and takes what it is told."""

        async def run(ctx: Context, *, task_status: trio.TaskStatus[object]) -> None:
            task_status.started(f"{name} serves")
            self.say(f"{name} up")
            try:
                await trio.sleep_forever()
            finally:
                self.say(f"{name} down")

        return ChildSpec(name, run, **fields)

    def slow(self, name: str, cleanup_s: float, **fields: Any) -> ChildSpec:
        """A child that cleans up for a while, in the one legal way."""

        async def run(ctx: Context, *, task_status: trio.TaskStatus[object]) -> None:
            task_status.started()
            how = " cut"
            try:
                await trio.sleep_forever()
            finally:
                with ctx.cleanup():
                    try:
                        await trio.sleep(cleanup_s)
                        how = ""
                    finally:
                        self.say(f"{name} cleaned{how} at {trio.current_time():g}")

        return ChildSpec(name, run, **fields)

    def crashing(self, name: str, error: BaseException, **fields: Any) -> ChildSpec:
        """A child that serves for a second."""

        async def run(ctx: Context, *, task_status: trio.TaskStatus[object]) -> None:
            task_status.started()
            await trio.sleep(1)
            raise error

        return ChildSpec(name, run, **fields)

    def failing(self, name: str, error: BaseException, **fields: Any) -> ChildSpec:
        """A child that can't start."""

        async def run(ctx: Context, *, task_status: trio.TaskStatus[object]) -> None:
            await trio.lowlevel.checkpoint()
            raise error

        return ChildSpec(name, run, **fields)

    def supervisor(self, *children: ChildSpec, **fields: Any) -> Supervisor:
        return Supervisor(children, **{"name": "top", "ports": self.ports, **fields})

    async def run(
        self, supervisor: Supervisor, *, task_status: trio.TaskStatus[None] = IGNORED
    ) -> None:
        """Run it to its end, and keep what it raised. Give it to nursery.start."""
        try:
            await supervisor.run(task_status=task_status)
        except (Escalated, FailedToStart, KeyboardInterrupt) as end:
            self.end = end


@pytest.fixture(params=range(12))
def any_order(request: pytest.FixtureRequest) -> Iterator[None]:
    """Runs the test under several orders of the tasks that can run in the same turn."""
    with seeded_schedule(request.param):
        yield


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def start(scene: Scene, nursery: trio.Nursery) -> Callable[[Supervisor], Awaitable[Supervisor]]:
    """Starts a supervisor that lives in the test's nursery."""

    async def start(supervisor: Supervisor) -> Supervisor:
        await nursery.start(scene.run, supervisor)
        return supervisor

    return start
