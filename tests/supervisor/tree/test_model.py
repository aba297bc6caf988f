"""From any state that can be reached, no sequence of events breaks the tree's promises.

The world below stands for the shell and the children: it turns actions into events that come later,
in an order and at a time that hypothesis chooses, and checks every action against what is true.
"""

from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from riskd.actors.messages import (
    ChildEnded,
    ChildHeld,
    ChildReleased,
    ChildRestarted,
    ChildStuck,
)
from riskd.supervisor.tree import Backoff, Budget, ChildSpec
from riskd.supervisor.tree import state as words
from riskd.supervisor.tree.core import decide, next_deadline
from riskd.supervisor.tree.state import LEAVING, Child, Ending, Mode, Phase, State

NAMES = ("a", "b", "c", "d")
CALLS = (words.Terminate, words.Restart, words.Delete, words.Crash)
ORDERED = ("rest_for_one", "one_for_all")


async def never_run(ctx: object, *, task_status: object) -> None:
    raise AssertionError("the core runs nothing")


def specs(name):
    kinds = (("permanent", False), ("transient", False), ("temporary", False), ("transient", True))
    return st.builds(
        lambda kind, **fields: ChildSpec(
            name, never_run, restart=kind[0], significant=kind[1], **fields
        ),
        st.sampled_from(kinds),
        shutdown=st.sampled_from((0, 2.0, float("inf"))),
        start_timeout=st.sampled_from((1.0, float("inf"))),
        backoff=st.sampled_from((None, Backoff(first=1.0))),
        budget=st.sampled_from((None, None, Budget(intensity=1, period=2.0))),
    )


@st.composite
def supervisors(draw):
    children = [draw(specs(name)) for name in draw(st.sampled_from((NAMES[:2], NAMES[:3])))]
    held = draw(st.sampled_from((None, *NAMES[:2])))
    earlier = draw(st.sampled_from((frozenset(), frozenset(NAMES[3:]))))
    return State(
        name="top",
        strategy=draw(st.sampled_from(("one_for_one", *ORDERED, "dynamic"))),
        budget=Budget(intensity=draw(st.sampled_from((0, 2, 99))), period=5.0),
        auto_shutdown="any_significant",
        children={spec.id: Child(spec=spec, held=spec.id == held) for spec in children},
        listed=frozenset(spec.id for spec in children),
        held=earlier,
    )


def held_in(state):
    return {name for name, child in state.children.items() if child.held} | state.held


class World(RuleBasedStateMachine):
    """What is true: which incarnations live, what is on its way, and who waits for an answer."""

    @initialize(state=supervisors())
    def begin(self, state):
        self.state, self.now, self.calls = state, 0.0, 0
        self.queue = deque()
        self.live = {}  # name: incarnation, as long as its end has not been told
        self.over = set()  # names whose end is in the queue
        self.told = set()  # names that were told to leave
        self.waiting = set()
        self.earlier = state.held
        self.held = held_in(state)  # as the facts have it
        self.finished = False
        self.tell(words.Begin())

    # --- the shell

    def tell(self, event):
        before = self.state
        if isinstance(event, words.Ended):
            assert self.live.pop(event.id) == event.incarnation
            self.over.discard(event.id)
            self.told.discard(event.id)
        step = decide(before, event, self.now)
        assert decide(before, event, self.now) == step, "the same arguments give the same step"
        self.state = step.state
        for action in step.actions:
            self.perform(action)
            if isinstance(action, words.Note):
                self.learn(action.fact)
            if isinstance(action, words.Note) and (before.outcome is not None or before.closing):
                told = type(action.fact)
                by_call = (ChildHeld, ChildReleased) if before.closing else ()
                allowed = (ChildEnded, ChildStuck, ChildRestarted, *by_call)
                assert told in allowed, "what ends while stopping costs nothing"

    def learn(self, fact):
        match fact:
            case ChildHeld(child=name):
                assert name not in self.held, "a hold is told once"
                self.held.add(name)
            case ChildReleased(child=name):
                self.held.remove(name)

    def perform(self, action):
        match action:
            case words.Spawn(name, incarnation):
                self.check_spawn(name)
                self.live[name] = incarnation
            case words.Cancel(name, incarnation):
                assert self.live[name] == incarnation
                assert name not in self.told, "nobody is told to stop twice"
                self.check_order_of_stop(name)
                self.told.add(name)
            case words.Kill(name, incarnation):
                assert self.live[name] == incarnation
                self.told.add(name)
            case words.Respond(call):
                assert call in self.waiting, "each call is answered once"
                self.waiting.remove(call)
            case words.Finish():
                assert not self.finished
                assert not self.live, "a supervisor that is not there has no children"
                assert not self.waiting, "nobody waits for an answer that will not come"
                self.finished = True

    def check_spawn(self, name):
        assert name not in self.held, "what an operator stopped stays stopped"
        assert name not in self.live, "an incarnation lives until its end was told"
        assert not self.state.starts_nothing, "nothing starts once stopping is latched"
        if self.state.strategy in ORDERED:
            for child in self.state.children.values():
                if child.spec.id == name:
                    break
                down = child.phase is Phase.IDLE
                gone = child.phase in LEAVING and not child.comes_back
                assert down or gone or child.phase is Phase.RUNNING, "earlier children serve first"
            # The whole step is decided, so what still is marked was marked when this one started.
            waited = [c for c in self.state.children.values() if c.marked and not c.stuck]
            assert not waited, "nothing starts while siblings are to be stopped"

    def check_order_of_stop(self, name):
        """In a stop, whoever was started later is gone first; stuck ones excepted."""
        if self.state.mode is Mode.STOPPING and self.state.strategy != "dynamic":
            names = list(self.state.children)
            later = names[names.index(name) + 1 :]
            assert not [n for n in later if n in self.live and not self.state.children[n].stuck]

    # --- what children do

    def alive(self):
        return sorted(self.live.keys() - self.over)

    @precondition(lambda self: self.alive())
    @rule(data=st.data())
    def a_child_starts(self, data):
        name = data.draw(st.sampled_from(self.alive()))
        started = words.Started(name, self.live[name])
        if started not in self.queue and self.state.children[name].phase is Phase.STARTING:
            self.queue.append(started)

    @precondition(lambda self: self.alive())
    @rule(data=st.data(), error=st.sampled_from((None, "Oops")), chance=st.floats(0, 0.99))
    def a_child_ends(self, data, error, chance):
        name = data.draw(st.sampled_from(self.alive()))
        self.over.add(name)
        self.queue.append(words.Ended(name, self.live[name], error, chance))

    @rule(name=st.sampled_from(NAMES), event=st.sampled_from((words.Started, words.Ended)))
    def an_old_incarnation_speaks(self, name, event):
        current = self.state.children[name].incarnation if name in self.state.children else 1
        step = decide(self.state, event(name, current - 1), self.now)
        assert step == words.Step(self.state, ())

    # --- what the shell delivers, and what people ask for

    @precondition(lambda self: self.queue)
    @rule()
    def an_event_arrives(self):
        self.tell(self.queue.popleft())

    @rule(seconds=st.sampled_from((0.1, 0.5, 1.0, 2.0, 5.0)))
    def time_passes(self, seconds):
        self.now = max(self.now, min(self.now + seconds, next_deadline(self.state)))
        self.tell(words.Tick())

    @rule(name=st.sampled_from(NAMES), call=st.sampled_from(CALLS))
    def somebody_calls(self, name, call):
        self.calls += 1
        self.waiting.add(self.calls)
        self.tell(call(name, self.calls))

    @rule(data=st.data())
    def somebody_adds(self, data):
        self.calls += 1
        self.waiting.add(self.calls)
        self.tell(words.Add(self.calls, data.draw(specs(data.draw(st.sampled_from(NAMES))))))

    @rule(within=st.sampled_from((1.0, float("inf"))), chance=st.integers(0, 9))
    def somebody_stops(self, within, chance):
        if chance == 0:
            self.tell(words.Stop(within))

    @rule(chance=st.integers(0, 9))
    def a_supervisor_above_stops(self, chance):
        if chance == 0:
            self.tell(words.Close())

    # --- what is always so

    @invariant()
    def the_core_knows_who_is_alive(self):
        alive = {name: c.incarnation for name, c in self.state.children.items() if c.alive}
        assert alive == self.live

    @invariant()
    def the_core_holds_what_the_facts_hold(self):
        """So that a child comes to the same after a restart of riskd as of its supervisor."""
        assert held_in(self.state) == self.held
        assert not self.state.held & self.state.children.keys()

    @invariant()
    def no_hold_is_kept_of_a_temporary_child_that_was_added(self):
        """Each has a name of its own, and a hold of each would be kept for ever."""
        assert self.state.held <= self.state.listed | self.earlier

    @invariant()
    def who_waits_is_waited_for(self):
        """A call that is open belongs to a child that still has something to do."""
        owed = {call for c in self.state.children.values() for call in (*c.leavers, c.caller)}
        assert owed - {None} == self.waiting
        for child in self.state.children.values():
            assert child.phase is not Phase.IDLE or not (child.leavers or child.caller)

    @invariant()
    def what_exceeds_the_budget_ends_the_supervisor(self):
        if len(self.state.failures) > self.state.budget.intensity:
            assert self.state.outcome.ending is Ending.ESCALATED

    @invariant()
    def when_it_is_over_nothing_is_pending(self):
        if self.finished:
            assert {child.phase for child in self.state.children.values()} <= {Phase.IDLE}

    @invariant()
    def time_never_stands_still(self):
        """A deadline that has come was acted upon, else the shell would spin."""
        self.tell(words.Tick())
        assert next_deadline(self.state) > self.now or self.finished

    def teardown(self):
        """Whatever has happened, a stop comes to its end once the children leave."""
        if not hasattr(self, "state"):
            return
        self.tell(words.Stop())
        for _ in range(1000):
            if self.finished:
                break
            for name in self.alive():
                if name in self.told:
                    self.a_child_leaves(name)
            while self.queue:
                self.tell(self.queue.popleft())
            self.now = min(next_deadline(self.state), self.now + 1.0)
            self.tell(words.Tick())
        assert self.finished
        assert not self.live
        self.when_it_is_over_nothing_is_pending()

    def a_child_leaves(self, name):
        self.over.add(name)
        self.queue.append(words.Ended(name, self.live[name]))


World.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestWorld = World.TestCase
