"""Whatever happens, in whatever order: the kill switch and its halts against a plain account of it.

The account (`Account`) is kept beside each fact, so that a power cut takes both back to the same
place. It is written from what was promised, not from the code: who approved, how much time has
gone by in truth, and what stands for which scope.
"""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from riskd.actors.core.halts import (
    Halted,
    Halts,
    Now,
    Span,
    cooldown_left_s,
    passing,
    remaining_s,
    strictest,
)
from riskd.actors.core.kill_switch import (
    TABLE,
    Breaker,
    NotAllowed,
    Rules,
    after_crash,
    complete,
    due,
    holds,
    lift,
    next_due_s,
    place,
    recover,
    trigger,
    trip,
)
from riskd.actors.messages import (
    By,
    DaemonStarted,
    DaemonStopped,
    Fact,
    Halt,
    HaltPlaced,
    HaltsEnded,
    HaltsLifted,
    KillSwitchTriggered,
    LooseningProposed,
    LooseningWithdrawn,
    Mode,
    Recorded,
    RecoveryCompleted,
    RecoveryStarted,
    TimeNoted,
    UntilCondition,
    UntilElapsed,
    UntilInstant,
    UntilOperator,
    UntilSession,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
PEOPLE = {"alice": 1001, "bob": 1002}
BOB = By(via="socket", user_id=1002, user="bob")
RISKD = By(via="riskd")
SCOPES = ("all", "account:main", "account:alt", "symbol:BTC")
CONDITIONS = ("reconciled", "feed")
BREAKER = Breaker(for_s=8, factor=2, for_max_s=50, window_s=300, times_max=3)
STRICTNESS = {"all": 0, "reduce_only": 1, "none": 2}

SECONDS = st.integers(0, 40)
UNTILS = st.one_of(
    st.just(UntilOperator()),
    st.sampled_from(CONDITIONS).map(lambda name: UntilCondition(condition=name)),
    st.integers(1, 60).map(lambda seconds: UntilElapsed(seconds=seconds)),
    st.integers(1, 60),
    st.integers(-60, -1),
)
"""A number is the instant so many seconds from now; a negative one the session's end."""
UNRECONCILED = st.sampled_from([[], [], ["main"], ["main", "alt"]])
STEPS = st.lists(st.sampled_from(["passes", "jumps", "power"]), max_size=3)
MEANWHILE = st.sampled_from([*["nothing"] * 5, "trigger", "halt", "again", "crash", "power"])


@attrs.define
class Placed:
    """A halt, as it was promised. `waited_s` is the time known to have gone by for it."""

    halt: Halt
    at: datetime
    waited_s: int = 0
    in_boot: bool = True


@attrs.define
class Account:
    """What is true at one fact, and how much of the time is known."""

    state: str = "ACTIVE"
    approved_by: str | None = None
    recovered_at_s: int = 0
    asked_s: int = 0
    waited_s: int = 0
    halts: dict[int, Placed] = attrs.field(factory=dict)
    trips: dict[tuple[str, str], list[int]] = attrs.field(factory=dict)
    boot: str = ""
    at_s: int = 0
    """When the fact was made, in true time."""
    runs: bool = False

    def go_on(self, seconds: int) -> None:
        """So much time is known to have gone by."""
        self.waited_s += seconds
        for one in self.halts.values():
            one.waited_s += seconds
        self.trips = {key: [s + seconds for s in each] for key, each in self.trips.items()}


class Lived(RuleBasedStateMachine):
    """One riskd on one machine: true time, two clocks, and facts of which the disk has some."""

    def set_up(self, policy: Any, pair: bool) -> None:
        self.true_s, self.skew_s = 0, 0
        self.boots, self.boot, self.boot_s = 1, "boot 1", 100
        """`boot_s` is what the monotonic clock says at true time 0."""
        self.policy, self.pair, self.cooldown_s = policy, pair, 60
        self.unreconciled: list[str] = []
        self.facts: list[Recorded] = []
        self.accounts = [Account()]
        self.safe = 0
        self.halts = Halts()
        self.up = False

    # --- the clocks and the ledger

    @property
    def now(self) -> Now:
        return Now(boot=self.boot, monotonic_s=self.monotonic_s, at=self.wall)

    @property
    def monotonic_s(self) -> int:
        return self.boot_s + self.true_s

    @property
    def wall(self) -> datetime:
        return NOON + timedelta(seconds=self.true_s + self.skew_s)

    @property
    def halted(self) -> Halted:
        return self.halts.now

    @property
    def configured(self) -> Rules:
        return Rules(cooldown_s=self.cooldown_s, two_person=self.pair, people=PEOPLE)

    def account(self) -> Account:
        """What is true now: the last fact's, and in its boot the time since then."""
        account = copy.deepcopy(self.accounts[-1])
        if account.boot == self.boot:
            account.go_on(self.true_s - account.at_s)
        return account

    def make(self, fact: Fact) -> None:
        account = self.account()
        account.at_s = self.true_s
        self.keep_account(account, fact)
        self.accounts.append(account)
        recorded = Recorded(
            lsn=len(self.facts) + 1,
            at=self.wall,
            monotonic_s=float(self.monotonic_s),
            fact=fact,  # type: ignore[arg-type]  # every Fact is of AnyFact
        )
        self.facts.append(recorded)
        before = self.halted.epoch
        self.halts.apply(recorded)
        if fact.BEARING == "tightens":
            assert self.halted.epoch > before, "what was permitted before has to be asked again"

    def keep_account(self, account: Account, fact: Fact) -> None:
        match fact:
            case DaemonStarted(boot=boot):
                for one in account.halts.values():
                    one.in_boot = one.in_boot and boot == account.boot
                account.boot, account.runs = boot, True
            case DaemonStopped():
                account.runs = False
            case KillSwitchTriggered():
                account.state, account.approved_by = "KILLED", None
            case RecoveryStarted(approved_by=approved_by, cooldown_s=cooldown_s):
                assert account.state == "KILLED"
                account.state, account.approved_by = "RECOVERING", approved_by
                account.recovered_at_s, account.asked_s = self.true_s, int(cooldown_s)
                account.waited_s = 0
            case RecoveryCompleted():
                account.state = "ACTIVE"
            case HaltPlaced(halt_id=halt_id, halt=halt):
                assert halt_id not in account.halts, "an id is its halt's own"
                account.halts[halt_id] = Placed(halt, self.wall)
                if isinstance(halt.until, UntilElapsed):
                    account.trips.setdefault((halt.source, halt.scope), []).append(0)
            case HaltsLifted(halt_ids=halt_ids) | HaltsEnded(halt_ids=halt_ids):
                for one in halt_ids:
                    account.halts.pop(one, None)


class World(Lived):
    """What the machine does, what people and watchdogs ask for, and what always holds."""

    @initialize(policy=st.sampled_from(["reconcile", "operator"]), pair=st.booleans())
    def begin(self, policy: Any, pair: bool) -> None:
        self.set_up(policy, pair)
        self.start()

    def tighten(self, fact: Fact | None) -> None:
        if fact is not None:
            assert fact.BEARING == "tightens"
            self.make(fact)

    def loosen(self, fact: Fact, meanwhile: str) -> bool:
        """As the ledger does: nothing is loosened before the disk has it, and not at all when
        something was tightened meanwhile."""
        assert fact.BEARING == "loosens"
        self.make(LooseningProposed(proposed=fact))  # type: ignore[arg-type]  # it loosens
        proposed = len(self.facts)
        promised = self.do_meanwhile(fact, meanwhile)
        if not self.up:
            return False
        self.safe = len(self.facts)
        because = [r.lsn for r in self.facts[proposed:] if r.fact.BEARING == "tightens"]
        if because:
            self.make(LooseningWithdrawn(proposed_lsn=proposed, because_lsn=because[-1]))
        else:
            self.make(fact)
        if promised is not None:
            self.check_halted(promised)
        return not because

    def do_meanwhile(self, fact: Fact, meanwhile: str) -> Halt | None:
        match meanwhile:
            case "trigger":
                self.trigger(1, BOB)
            case "crash":
                self.crash(up=False)
            case "power":
                self.cut_power(off_s=10, lost=1, boot_s=50, up=False)
            case "halt":
                self.place("account:main", "halt", "operator", UntilOperator())
            case "again" if isinstance(fact, HaltsLifted | HaltsEnded):
                wanted = self.halted.halts[fact.halt_ids[0]].halt
                self.tighten(place(self.halted, wanted, by=BOB, now=self.now))
                return wanted
        return None

    # --- what the machine does

    @rule(
        seconds=SECONDS,
        jump_s=st.sampled_from([0, 0, 0, -86_400, -3_600, -7, 7, 3_600, 86_400]),
        then=st.sampled_from(["nothing", "synced", "noted"]),
    )
    def time_passes(self, seconds: int, jump_s: int, then: str) -> None:
        """The wall clock may jump; the disk may catch up, or the time may be noted."""
        self.true_s += seconds
        self.skew_s += jump_s
        if self.up and then == "noted":
            self.make(TimeNoted(waiting=1))
        if then != "nothing":
            self.safe = len(self.facts)

    @precondition(lambda self: self.up)
    @rule(up=st.booleans())
    def crash(self, up: bool) -> None:
        """riskd is killed: the kernel has all its facts."""
        self.up = False
        if up:
            self.start()

    @precondition(lambda self: self.up)
    @rule()
    def stop(self) -> None:
        self.make(DaemonStopped(reason="asked"))
        self.safe = len(self.facts)
        self.up = False

    @rule(off_s=SECONDS, lost=st.integers(0, 10), boot_s=st.integers(0, 5_000), up=st.booleans())
    def cut_power(self, off_s: int, lost: int, boot_s: int, up: bool) -> None:
        """The newest facts are lost, as far as the disk didn't have them."""
        keep = max(self.safe, len(self.facts) - lost)
        del self.facts[keep:], self.accounts[keep + 1 :]
        self.safe = keep
        self.true_s += off_s
        self.boots += 1
        self.boot, self.boot_s = f"boot {self.boots}", boot_s - self.true_s
        self.up = False
        if up:
            self.start()

    @precondition(lambda self: not self.up)
    @rule()
    def start(self) -> None:
        """From the facts alone. Nothing may trade before the disk has the start."""
        self.halts = Halts()
        for recorded in self.facts:
            self.halts.apply(recorded)
        fact = after_crash(self.halted, by=RISKD, policy=self.policy)
        crashed = self.accounts[-1].runs
        assert fact is None or crashed
        self.make(
            DaemonStarted(
                version="1", process_id=1, boot=self.boot, config_source="", config_digest=""
            )
        )
        self.tighten(fact)
        self.safe = len(self.facts)
        self.up = True
        if crashed:
            assert passing(self.halted, []) == "none", "after a crash nothing trades"

    @precondition(lambda self: self.up)
    @rule(cut=st.integers(0, 200))
    def a_snapshot_serves(self, cut: int) -> None:
        cut = min(cut, len(self.facts))
        halts, again = Halts(), Halts()
        for recorded in self.facts[:cut]:
            halts.apply(recorded)
        again.load(b"".join(halts.dump()))
        for recorded in self.facts[cut:]:
            again.apply(recorded)
        assert again.now == self.halted
        self.halts = again

    # --- what people and watchdogs do

    @rule(cooldown_s=st.sampled_from([0, 10, 60, 120]), accounts=UNRECONCILED)
    def the_world_changes(self, cooldown_s: int, accounts: list[str]) -> None:
        self.cooldown_s, self.unreconciled = cooldown_s, accounts

    @precondition(lambda self: self.up)
    @rule(source=st.integers(0, 20), by=st.sampled_from([BOB, RISKD]))
    def trigger(self, source: int, by: By) -> None:
        before = self.halted.state
        fact = trigger(
            self.halted, by=by, cause="threshold", source=f"trigger:{source}", reason="why"
        )
        assert fact is not None or before == "KILLED"
        self.tighten(fact)
        assert self.halted.state == "KILLED"
        assert len(self.halted.triggers) <= 64

    @precondition(lambda self: self.up)
    @rule(by=st.sampled_from([BOB, RISKD]), approved_by=st.sampled_from(["alice", "bob", "x", " "]))
    def recover(self, by: By, approved_by: str) -> None:
        before = self.halted.state
        another = PEOPLE.get(approved_by) not in (None, by.user_id) and by.user_id is not None
        may = another if self.pair else approved_by != " "
        try:
            fact = recover(self.halted, by=by, approved_by=approved_by, rules=self.configured)
        except NotAllowed:
            assert before == "KILLED"
            assert not may
            return
        if before != "KILLED":
            assert fact is None
            return
        assert fact is not None
        assert may
        self.make(fact)

    @precondition(lambda self: self.up)
    @rule(killed=st.booleans(), steps=STEPS)
    def the_way_back_is_gone(self, killed: bool, steps: list[str]) -> None:
        """As it goes when nobody fails on it: else few walks would ever come to its end."""
        if killed:
            self.trigger(0, BOB)
        self.recover(BOB, "alice")
        for step in steps:
            match step:
                case "passes":
                    self.time_passes(20, 0, "noted")
                case "jumps":
                    self.time_passes(5, 3_600, "nothing")
                case "power":
                    self.cut_power(off_s=30, lost=2, boot_s=7, up=True)
        self.complete("nothing", 1)
        self.complete("nothing", 0)

    @precondition(lambda self: self.up)
    @rule(meanwhile=MEANWHILE, early_s=st.sampled_from([None, 0, 0, 1]))
    def complete(self, meanwhile: str, early_s: int | None) -> None:
        """Now, or at the very second at which the cooldown is over, or one before."""
        left_s = cooldown_left_s(self.halted, self.now, self.cooldown_s)
        if early_s is not None and left_s is not None:
            self.true_s += max(0, int(left_s) - early_s)
        account = self.account()
        asked_s = max(account.asked_s, self.cooldown_s)
        try:
            fact = complete(
                self.halted,
                by=BOB,
                rules=self.configured,
                now=self.now,
                unreconciled=self.unreconciled,
            )
        except NotAllowed:
            may = account.state == "RECOVERING" and account.waited_s >= asked_s
            assert not may or self.unreconciled, "nothing else stands in its way"
            return
        if fact is None:
            assert account.state == "ACTIVE"
            return
        assert account.state == "RECOVERING"
        assert account.approved_by, "somebody took the responsibility"
        assert self.true_s - account.recovered_at_s >= asked_s, "the cooldown is over, in truth"
        assert not self.unreconciled
        if self.loosen(fact, meanwhile):
            assert self.halted.state == "ACTIVE"

    @precondition(lambda self: self.up)
    @rule(
        scope=st.sampled_from(SCOPES),
        mode=st.sampled_from(get_args(Mode)),
        source=st.sampled_from(["operator", "trigger:lag"]),
        until=UNTILS,
    )
    def place(self, scope: str, mode: Mode, source: str, until: Any) -> None:
        if isinstance(until, int):
            at = self.wall + timedelta(seconds=abs(until))
            until = UntilInstant(at=at) if until > 0 else UntilSession(at=at)
        halt = Halt(scope=scope, mode=mode, cause="data", source=source, reason="why", until=until)
        before = {order: passing(self.halted, [order]) for order in SCOPES}
        self.tighten(place(self.halted, halt, by=BOB, now=self.now))
        for order, strict in before.items():
            assert STRICTNESS[passing(self.halted, [order])] >= STRICTNESS[strict]
        self.check_halted(halt)

    def check_halted(self, wanted: Halt) -> None:
        """What was asked for is so, by whichever halt."""
        strict = "none" if wanted.mode == "halt" else "reduce_only"
        assert STRICTNESS[passing(self.halted, [wanted.scope])] >= STRICTNESS[strict]

    @precondition(lambda self: self.up)
    @rule(scope=st.sampled_from(SCOPES))
    def trip(self, scope: str) -> None:
        halt = Halt(
            scope=scope,
            mode="halt",
            cause="network",
            source="trigger:lag",
            reason="why",
            until=UntilOperator(),
        )
        account = self.account()
        trips = account.trips.get(("trigger:lag", scope), [])
        times = sum(waited_s < BREAKER.window_s for waited_s in trips)
        fact = trip(self.halted, halt, BREAKER, by=RISKD, now=self.now)
        if isinstance(fact, HaltPlaced):
            seconds = [8, 16, 32]
            until = UntilElapsed(seconds=seconds[times]) if times < 3 else UntilOperator()
            assert fact.halt.until == until
        self.tighten(fact)
        assert passing(self.halted, [scope]) == "none"

    @precondition(lambda self: self.up)
    @rule(scope=st.sampled_from(SCOPES), meanwhile=MEANWHILE)
    def lift(self, scope: str, meanwhile: str) -> None:
        stand = {one for one, placed in self.account().halts.items() if placed.halt.scope == scope}
        approved_by = "alice" if self.pair else None
        fact = lift(
            self.halted,
            scope=scope,
            by=BOB,
            reason="why",
            approved_by=approved_by,
            rules=self.configured,
        )
        assert set(() if fact is None else fact.halt_ids) == stand
        if fact is not None:
            self.loosen(fact, meanwhile)

    @precondition(lambda self: self.up)
    @rule(condition=st.sampled_from(CONDITIONS), meanwhile=MEANWHILE)
    def a_condition_holds(self, condition: str, meanwhile: str) -> None:
        until = UntilCondition(condition=condition)
        stand = {one for one, each in self.account().halts.items() if each.halt.until == until}
        fact = holds(self.halted, condition)
        assert set(() if fact is None else fact.halt_ids) == stand
        if fact is not None:
            self.loosen(fact, meanwhile)

    @precondition(lambda self: self.up and self.halted.halts)
    @rule(meanwhile=MEANWHILE, at_edge=st.booleans())
    def times_come(self, meanwhile: str, at_edge: bool) -> None:
        """At the very second at which the next is due, or now."""
        left_s = next_due_s(self.halted, self.now)
        if at_edge and 0 < left_s < float("inf"):
            self.true_s += int(left_s)
            assert due(self.halted, self.now) is not None
        fact = due(self.halted, self.now)
        over = {one for one, each in self.account().halts.items() if self.is_over(each)}
        assert set(() if fact is None else fact.halt_ids) == over
        if fact is not None:
            self.loosen(fact, meanwhile)

    def is_over(self, placed: Placed) -> bool:
        match placed.halt.until:
            case UntilElapsed(seconds=seconds):
                return placed.waited_s >= seconds
            case UntilInstant(at=at) | UntilSession(at=at):
                planned = at - placed.at
                agrees = not placed.in_boot or timedelta(seconds=placed.waited_s) >= planned
                return self.wall >= at and agrees
        return False

    # --- what always holds

    @invariant()
    def the_facts_are_the_state(self) -> None:
        if self.up:
            again = Halts()
            for recorded in self.facts:
                again.apply(recorded)
            assert again.now == self.halted

    @invariant()
    def the_state_is_what_was_decided(self) -> None:
        if self.up:
            account = self.account()
            assert self.halted.state == account.state
            assert self.halted.state in TABLE
            assert set(self.halted.halts) == set(account.halts)

    @invariant()
    def known_time_is_never_more_than_true_time_and_is_not_lost(self) -> None:
        """The account goes on within a boot, and from the last fact before it in another one."""
        if not self.up:
            return
        account, recovery = self.account(), self.halted.recovery
        left_s = cooldown_left_s(self.halted, self.now, self.cooldown_s)
        assert (recovery is None) == (account.state != "RECOVERING") == (left_s is None)
        if recovery is not None:
            asked_s = max(account.asked_s, self.cooldown_s)
            assert left_s == max(0, asked_s - account.waited_s)
            known_s = recovery.waited.elapsed_s(self.monotonic_s)
            assert known_s == account.waited_s <= self.true_s - account.recovered_at_s
        for one, placed in account.halts.items():
            waited: Span = self.halted.halts[one].waited
            assert waited.elapsed_s(self.monotonic_s) == placed.waited_s
            assert (remaining_s(self.halted.halts[one], self.now) == 0) == self.is_over(placed)

    @invariant()
    def what_passes_is_the_most_restrictive_of_all_that_cover(self) -> None:
        if not self.up:
            return
        account, table = self.account(), strictest(self.halted)
        for order in (["account:main", "symbol:BTC"], ["account:alt"], ["worker:mm-1"], []):
            covering = [
                2 if placed.halt.mode == "halt" else 1
                for placed in account.halts.values()
                if placed.halt.scope in ("all", *order)
            ]
            strict = max(0 if account.state == "ACTIVE" else 2, *covering, 0)
            assert STRICTNESS[passing(self.halted, order)] == strict
            modes = [table.get(scope) for scope in ("all", *order)]
            assert max({None: 0, "reduce_only": 1, "halt": 2}[mode] for mode in modes) == strict


World.TestCase.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
TestWorld = World.TestCase
