"""The Trio shell of the supervision tree: it runs what the core decides, and decides nothing.

Theory of operation
-------------------
One task per supervisor reads one channel. Whatever happens arrives there as an event; the core
answers with actions, and performing them never waits. So no event finds the supervisor busy, and a
stop gets in between any two of them.

Every child runs in a cancel scope of its own inside `_Incarnation.run`, the one place that catches
everything. The scope is shielded, because an outer cancel would otherwise reach all children in
the same instant and there would be no order to stop them in. The supervisor's own task is not
shielded: it sees the cancel, latches the stop, and takes the children down one by one.

Three things could hold a tree for ever, and none does:
* A child that cleans up does so under `ctx.cleanup()`, a shield that its supervisor owns and ends.
* A child that raises a shield of its own loses it when it is killed (`_revoke_shields`).
* A child that swallows its cancellation is reported as stuck, and the process can end itself.

If the supervisor itself is at fault (an impossible cell, a port that raises), its children are
killed before the error goes up. A supervisor that is not there has no children.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from itertools import islice

import attrs
import trio

from ...actors.messages import ChildFailed, Fact
from .core import decide, next_deadline
from .ports import Ports, Reply
from .spec import (
    ChildSpec,
    Escalated,
    FailedToStart,
    Killed,
    NeverStarted,
    StartTimeout,
    describe,
)
from .state import (
    STRIKE_S,
    STRIKES_MAX,
    Action,
    Answer,
    Begin,
    Cancel,
    ChildEvent,
    Close,
    Ended,
    Ending,
    Event,
    Finish,
    Kill,
    Note,
    Outcome,
    Ready,
    Respond,
    Spawn,
    Started,
    State,
    Stop,
    Stuck,
    Tick,
)

STACK_LINES_MAX = 200
"""Of a stuck child. Beyond it the rest is left out: the way in is what tells."""

REPORT_TURNS_MAX = 8
"""Of the loop, after a nested supervisor's deadline. Its report climbs one level in each turn, and
deeper trees than this nobody builds."""

_FAULTS: dict[str, type[Exception]] = {
    fault.__name__: fault for fault in (StartTimeout, NeverStarted, Killed)
}


def _revoke_shields(scope: trio.CancelScope, spared: list[trio.CancelScope]) -> None:
    """Take down every shield below a scope, so that its cancellation reaches all of it.

    Trio has no public way to find the scopes that a task has entered. This walks its private tree
    of them; a test fails when a release of Trio changes that tree. Without it one `shield=True`
    in a library could keep a trading process from stopping.
    """
    pending = [scope._cancel_status]  # noqa: SLF001 - see above
    while pending:
        status = pending.pop()
        if status is not None:
            if status._scope not in spared:  # noqa: SLF001 - see above
                status._scope.shield = False  # noqa: SLF001 - see above
            pending.extend(status._children)  # noqa: SLF001 - see above


class Context:
    """What a supervisor gives to each incarnation of a child."""

    def __init__(self, run: "Run", spec: ChildSpec, incarnation: int) -> None:
        self.id = spec.id
        self.path = f"{run.state.name}/{spec.id}"
        self.incarnation = incarnation
        self.ports = run.ports
        self.is_stopping = run.is_stopping
        self._patience = spec.shutdown
        self._stop_by = math.inf
        self.cleanups: list[trio.CancelScope] = []

    def __repr__(self) -> str:
        return f"<Context {self.path}#{self.incarnation}>"

    @contextlib.contextmanager
    def cleanup(self) -> Iterator[trio.CancelScope]:
        """The one legal shield. It lasts for the child's `shutdown`, from the stop at the latest.

        What is not done by then is cancelled, silently, so that the tree can go on stopping; from
        then on it shields nothing, and the next await ends the child.
        """
        now = trio.current_time()
        deadline = min(self._stop_by, now + self._patience)
        scope = trio.CancelScope(shield=deadline > now, deadline=deadline)
        self.cleanups.append(scope)
        try:
            with scope:
                yield scope
        finally:
            self.cleanups.remove(scope)

    def hurry(self, deadline: float) -> None:
        """Cleaning up, now and later, ends at the deadline. Called by the supervisor alone."""
        self._stop_by = min(self._stop_by, deadline)
        for scope in self.cleanups:
            scope.deadline = min(scope.deadline, deadline)


class _Incarnation:
    """One life of one child: its scope, its handshake, and its end."""

    def __init__(self, run: "Run", spec: ChildSpec, incarnation: int) -> None:
        self._run = run
        self._spec = spec
        self.context = Context(run, spec, incarnation)
        self.scope = trio.CancelScope(shield=True)
        self.task: trio.lowlevel.Task | None = None
        self.value: object = None
        self.over = False
        self._started = False

    def started(self, value: object = None) -> None:
        """What the child calls as `task_status.started(value)`."""
        if self.over:
            return
        if self._started:
            raise RuntimeError(f"{self.context.path}: started() was called twice")
        self._started = True
        self.value = value
        self._run.send(Started(self._spec.id, self.context.incarnation))

    async def run(self) -> None:
        """Run the child, and tell how it ended. Nothing that it raises goes further."""
        self.task = trio.lowlevel.current_task()
        try:
            with self.scope:
                await self._spec.run(self.context, task_status=self)
        except BaseException as caught:  # noqa: BLE001 - the one place that catches everything
            self._end(_own_error(caught))
        else:
            self._end(None)

    def _end(self, error: BaseException | None) -> None:
        self.over = True
        self._run.ended(self._spec.id, self.context.incarnation, error)

    def kill(self) -> None:
        """End it, its shields included. A cleanup that is under way ends by its own deadline."""
        self.context.hurry(-math.inf)
        self.scope.cancel()
        _revoke_shields(self.scope, spared=self.context.cleanups)

    def stack(self) -> list[str]:
        """Where it hangs: its tasks, each with its frames, innermost last; none when it is gone."""
        if self.task is None or self.over:
            return []
        return list(islice(_frames(self.task), STACK_LINES_MAX))


def _own_error(caught: BaseException) -> BaseException:
    """What the child has to answer for, of all that it raised.

    A cancellation that gets past the child's own scope is either an ancestor's, and then this
    supervisor was killed as well and nobody asks; or the child has carried it out of a scope that
    is over, and that is an error like any other.
    """
    cancelled, error = _part(caught)
    if error is None:
        error = RuntimeError("raised a Cancelled that belongs to no scope it is in")
        error.__cause__ = cancelled
    return error


def _part(caught: BaseException) -> tuple[BaseException | None, BaseException | None]:
    """The cancellation in it and the rest, each or neither."""
    if isinstance(caught, trio.Cancelled):
        return caught, None
    if isinstance(caught, BaseExceptionGroup):
        return caught.split(trio.Cancelled)
    return None, caught


def _frames(task: trio.lowlevel.Task) -> Iterator[str]:
    """A task's frames, then those of the tasks it waits for."""
    yield f"task {task.name}"
    try:
        for frame, line in task.iter_await_frames():
            yield f"{frame.f_code.co_filename}:{line} {frame.f_code.co_name}"
    except TypeError as opaque:  # An awaitable that is no coroutine has no frames to show.
        yield str(opaque)
    for nursery in task.child_nurseries:
        for child in sorted(nursery.child_tasks, key=lambda task: task.name):
            yield from _frames(child)


@attrs.define
class _Call:
    """Somebody waits for an answer."""

    done: trio.Event = attrs.field(factory=trio.Event)
    reply: Reply = attrs.field(factory=lambda: Reply(answer=Answer.STOPPING))


class Run:
    """One run of a supervisor, from its first child's start to its last child's end."""

    def __init__(self, state: State, ports: Ports, context: Context | None, total: float) -> None:
        self.state = state
        self.ports = ports
        self._total = total
        self._context = context
        # Unbounded, and yet bounded: an incarnation sends two events, a caller waits for its
        # answer, and a pending latch needs one wake.
        self._sender, self._receiver = trio.open_memory_channel[Event](math.inf)
        self._incarnations: dict[str, _Incarnation] = {}
        self._errors: dict[str, BaseException] = {}
        self._calls: dict[int, _Call] = {}
        self._calls_made = 0
        self._latched: float | None = None
        self._interrupt: BaseException | None = None
        self._outcome: Outcome | None = None
        self._turns_given = 0
        self._nursery: trio.Nursery | None = None
        self._scope = trio.CancelScope()
        self._ready: Callable[[], None] = lambda: None

    async def main(self, task_status: trio.TaskStatus[None]) -> None:
        self._ready = task_status.started
        try:
            with self._scope:
                await self._live()
        finally:
            for call in self._calls.values():
                call.done.set()
            if self._interrupt is not None:
                raise self._interrupt
        self._conclude()

    async def _live(self) -> None:
        async with trio.open_nursery() as self._nursery:
            try:
                await self._watch()
            except BaseException:
                await self._abandon()
                raise

    async def _watch(self) -> None:
        """Serve until no child is left. A cancel from outside becomes an ordered stop.

        It does so wherever it is noticed. One that was there before the first child starts
        none, and one that was heard with the last event is still a cancel.
        """
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            self._apply(Begin())
            await self._serve()
            await trio.lowlevel.checkpoint_if_cancelled()
        except trio.Cancelled:
            self.latch()
            shield = (
                trio.CancelScope(shield=True) if self._context is None else self._context.cleanup()
            )
            with shield:
                await self._serve()
            # Without an outcome our own parent's patience is over, and what is left is killed.
            if self._outcome is None or self._outcome.ending is Ending.STOPPED:
                raise

    async def _abandon(self) -> None:
        """Kill the children until none is left. Nothing is decided any more."""
        strikes = 0
        with trio.CancelScope(shield=True):
            while left := [i for i in self._incarnations.values() if not i.over]:
                for incarnation in left:
                    incarnation.kill()
                    if strikes == STRIKES_MAX:
                        self.ports.stuck(incarnation.context.path, incarnation.stack())
                strikes += 1
                with trio.move_on_after(STRIKE_S):
                    while not all(incarnation.over for incarnation in left):
                        await self._receiver.receive()

    async def _serve(self) -> None:
        while self._outcome is None:
            for event in await self._next():
                self._hear(event)

    async def _next(self) -> list[Event]:
        """The next event; or, once a deadline has come, what is queued by then and a Tick.

        The Tick goes last: when something has blocked the loop, a child that has reported meanwhile
        is not overdue. And it goes in any case, for a queue that never gets empty stops no clock.

        A nested supervisor has to hear its own children before it can report. If it is due, it gets
        some turns for that, and what comes meanwhile is heard.
        """
        with trio.move_on_at(next_deadline(self.state)):
            event = await self._receiver.receive()
            self._turns_given = 0
            return [event]
        waits = self._turns_given < REPORT_TURNS_MAX and self._is_nested_due()
        self._turns_given = self._turns_given + 1 if waits else 0
        if waits:
            await trio.lowlevel.checkpoint()
        queued = self._receiver.statistics().current_buffer_used
        events = [self._receiver.receive_nowait() for _ in range(queued)]
        return events if waits else [*events, Tick()]

    def _is_nested_due(self) -> bool:
        now = trio.current_time()
        return any(
            child.spec.kind == "supervisor" and child.deadline is not None and child.deadline <= now
            for child in self.state.children.values()
        )

    def _hear(self, event: Event) -> None:
        # Before anything else: what was queued earlier can't start a child any more. A cancel from
        # outside doesn't overtake an event that was on its way, so it is looked for here.
        if self._latched is None and not self.state.starts_nothing and self._is_cancelled():
            self.latch()
        if self._latched is not None:
            within, self._latched = self._latched, None
            self._apply(Stop(within))
        elif not self.state.starts_nothing and self.is_stopping():
            self._apply(Close())
        if self._outcome is None:
            self._apply(event)

    def _conclude(self) -> None:
        outcome = self._outcome
        if self._interrupt is not None:
            raise self._interrupt
        assert outcome is not None, "the watch ends with an outcome or an exception"
        if outcome.ending is Ending.ESCALATED:
            cause = _fault(outcome.cause, self._errors.get(outcome.child))
            raise Escalated(
                self.state.name, outcome.child, outcome.cause, outcome.failures
            ) from cause
        if outcome.ending is Ending.FAILED_TO_START:
            fault = _fault(outcome.cause, self._errors.get(outcome.child))
            assert fault is not None, "a start that just ended has never started"
            raise FailedToStart(outcome.child, fault) from fault
        self._ready()

    def is_stopping(self) -> bool:
        """Has a stop come, here or above, whether it was heard already or not?"""
        above = self._context is not None and self._context.is_stopping()
        latched = self._latched is not None or self.state.starts_nothing
        return above or latched or self._is_cancelled()

    def _is_cancelled(self) -> bool:
        """From outside. Asked by other tasks as well, which Trio has no public way for.

        The scope is there to be looked at. What the task waits in has deadlines of its own, and one
        of those is no cancel. A test fails when a release of Trio changes what is private here.
        """
        status = self._scope._cancel_status  # noqa: SLF001 - see above
        return status is not None and status.effectively_cancelled

    # --- events in

    def send(self, event: Event) -> None:
        self._sender.send_nowait(event)

    def latch(self, within: float | None = None) -> None:
        within = self._total if within is None else within
        if self._latched is None:
            self.send(Tick())
        self._latched = within if self._latched is None else min(self._latched, within)

    def ended(self, name: str, incarnation: int, error: BaseException | None) -> None:
        self._errors.pop(name, None)
        if error is not None:
            self._errors[name] = error
            if not isinstance(error, Exception):
                # KeyboardInterrupt and its kin are for the program, not for a restart.
                self._interrupt = error
                self.latch()
        text = None if error is None else describe(error)
        self.send(Ended(name, incarnation, text))

    async def call(self, make: Callable[[int], Event]) -> Reply:
        self._calls_made += 1
        number, call = self._calls_made, _Call()
        self._calls[number] = call
        try:
            self.send(make(number))
            await call.done.wait()
        finally:
            self._calls.pop(number, None)
        return call.reply

    # --- actions out

    def _apply(self, event: Event) -> None:
        if isinstance(event, Ended):
            event = attrs.evolve(event, chance=self.ports.chance())
        step = decide(self.state, event, trio.current_time())
        self.state = step.state
        for action in step.actions:
            self._perform(action)
        if isinstance(event, ChildEvent) and event.id not in step.state.children:
            self._incarnations.pop(event.id, None)
            self._errors.pop(event.id, None)

    def _perform(self, action: Action) -> None:
        match action:
            case Spawn():
                self._spawn(action)
            case Cancel(name, _, deadline):
                self._incarnations[name].context.hurry(deadline)
                self._incarnations[name].scope.cancel()
            case Kill(name):
                self._incarnations[name].kill()
            case Stuck(name):
                incarnation = self._incarnations[name]
                self.ports.stuck(incarnation.context.path, incarnation.stack())
            case Respond():
                self._respond(action)
            case Note(fact):
                self._record(fact)
            case Ready():
                self._ready()
                self._ready = lambda: None
            case Finish(outcome):
                self._outcome = outcome

    def _record(self, fact: Fact) -> None:
        error = self._errors.get(fact.child) if isinstance(fact, ChildFailed) else None
        if isinstance(fact, ChildFailed) and error is not None:
            self.ports.failed(fact, error)
        else:
            self.ports.record(fact)
        self.ports.memory.learn(fact)

    def _spawn(self, action: Spawn) -> None:
        assert self._nursery is not None, "children live inside main()"
        child = self.state.children[action.id]
        spec = child.spec
        # Its frames would keep what the last incarnation held: a lock, a connection.
        self._errors.pop(action.id, None)
        incarnation = _Incarnation(self, spec, action.incarnation)
        self._incarnations[action.id] = incarnation
        if child.because_of is not None:
            self.ports.memory.forgive(incarnation.context.path)
        self._nursery.start_soon(incarnation.run, name=f"{incarnation.context!r}")

    def _respond(self, action: Respond) -> None:
        call = self._calls.get(action.call)
        if call is None:
            return  # the caller was cancelled while it waited
        incarnation = self._incarnations.get(action.id)
        is_up = action.answer in (Answer.OK, Answer.ALREADY_RUNNING)
        call.reply = Reply(
            answer=action.answer,
            incarnation=action.incarnation,
            value=incarnation.value if incarnation is not None and is_up else None,
            error=action.error,
        )
        call.done.set()


def _fault(cause: str, error: BaseException | None) -> BaseException | None:
    """What the cause names: the child's own error, or else what the supervisor noticed itself.

    None is of a permanent child that has merely returned.

    What went wrong while an overdue child left must not pass for the reason why it had to leave.
    """
    name, _, text = cause.partition(": ")
    if name not in _FAULTS or (error is not None and describe(error) == cause):
        return error
    fault = _FAULTS[name](text)
    fault.__cause__ = error
    return fault
