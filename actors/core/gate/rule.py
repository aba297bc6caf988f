"""What a rule is: a pure function of an order and of what is known, and what it may answer.

A rule that lets an order pass without a word answers None, unless everything is to be explained:
then it says what it has measured. Boundaries are here and nowhere else: what is used up may reach
its limit and not pass it; a loss that has reached its limit has broken it.

A rule about how things stand is asked without an order too (`survey`), of each thing that it may be
broken for: of its scope, or of each position there.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from datetime import timedelta
from decimal import ROUND_FLOOR, Context, Decimal
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

from ....config.schema.rules.base import LimitRule, Rule, StateRule
from ...messages import OrderCancelAsked, StopMoveAsked
from ...messages.halts import Cause
from ...messages.reasons import Code
from ..book.account import AccountBook
from ..book.numbers import CONTEXT, ONE, ZERO
from ..book.path import Path
from ..books import Books
from .memory import Memory
from .standing import Standing
from .view import Moment, View

Outcome = Literal["pass", "warn", "cap", "block", "unknown"]
SEVERITY: tuple[Outcome, ...] = ("pass", "warn", "unknown", "cap", "block")
HUNDRED = Decimal(100)
FLOOR = Context(prec=CONTEXT.prec, rounding=ROUND_FLOOR)
"""What is left is never rounded up."""
Ask = OrderCancelAsked | StopMoveAsked
"""A fact that says what is to be done."""
MICROSECOND = timedelta(microseconds=1)

R = TypeVar("R", bound=Rule)
L = TypeVar("L", bound=LimitRule)
S = TypeVar("S", bound=StateRule)


class Found(NamedTuple):
    """What a rule says of an order, or of how things stand.

    `cap` passes at most so much (`cap`), `unknown` could not be judged for want of `missing`. Of a
    block, `cap` is the most that this rule would let pass; None: nothing.
    """

    outcome: Outcome
    code: Code
    limit: Decimal | None = None
    value: Decimal | None = None
    headroom: Decimal | None = None
    cap: Decimal | None = None
    missing: str | None = None


OK = Found("pass", "ok")


def unknown(missing: str) -> Found:
    """It can't be judged without this."""
    return Found("unknown", "not_evaluable", missing=missing)


class Judge(ABC, Generic[R]):
    """A rule in force. Made once, asked for every order in its scope."""

    STAGE: int
    """Its place in the order of evaluation, 3 to 13, as docs/gate.md lists them."""

    OF_AMENDMENTS: bool = True
    """It is asked when an order is to be changed, too."""

    ON_NEWS: bool = True
    """What happens in an account may change what it finds there without an order. Otherwise it is
    only time that does."""

    SAYS: ClassVar[str] = "it found {value}, and the limit is {limit}"
    """What it finds of an order that it doesn't let pass, for people."""

    def __init__(self, config: R) -> None:
        self.config = config
        self.scope = config.scope
        self.kind = config.kind
        self.id = config.id
        self.blocks = getattr(config, "action", "block") != "warn"
        """It only tells, otherwise."""

    def memory(self) -> Memory | None:
        """A new one, if it remembers anything."""
        return None

    @abstractmethod
    def judge(self, view: View) -> Found | None:
        """Of an order. None: it passes, and there is nothing to say."""

    def measure(
        self,
        _standing: Standing,
        _moment: Moment,
        _memory: Any = None,
        *,
        explains: bool = False,  # noqa: ARG002  # for those that have something to say
    ) -> Found | None:
        """Of how things stand, order or no order. None: all is well, or it only judges orders."""
        return None

    def overall(self, around: "Around") -> Found | None:
        """How things stand in all of its scope, in one figure, for people."""
        standing = around.standing(self.scope)
        return self.measure(standing, around.moment, around.memory, explains=True)


class LimitJudge(Judge[L]):
    """Of something that an order uses up."""

    SAYS = "{value} would exceed the limit of {limit}"

    def __init__(self, config: L) -> None:
        super().__init__(config)
        self.near = min(config.warn_pct, default=HUNDRED) / HUNDRED

    def used(
        self,
        view: View,
        limit: Decimal,
        before: Decimal,
        after: Decimal,
        each: Decimal = ONE,
        free: Decimal = ZERO,
    ) -> Found | None:
        """`before` and `after` the order; one unit of its quantity uses `each`, once so much of it
        as uses nothing (`free`) is gone."""
        if after <= limit:
            if after < limit * self.near:
                return Found("pass", "ok", limit, after, limit - before) if view.explains else None
            return Found("warn", self.kind, limit, after, limit - before)
        left = max(limit - before, ZERO)
        cap = FLOOR.add(free, FLOOR.divide(left, each)) if each else free
        is_cap = view.scales(self.config.on_excess)
        return Found("cap" if is_cap else "block", self.kind, limit, after, left, cap)


class ExposureJudge(LimitJudge[L]):
    """Of something that only an order can use up that makes it worse. One that doesn't passes,
    however far it is gone. An amendment does by its price as well.

    `judge` is what most orders of most days come by, so each rule has its own, which looks whether
    anything is near and leaves the rest to `weighed`. It may not know a thing that `weigh` doesn't.
    """

    STAGE = 12

    @abstractmethod
    def worsens(self, view: View) -> bool: ...

    @abstractmethod
    def weigh(self, view: View) -> Found | None:
        """Of an order that does."""

    def free(self, _view: View) -> Decimal:
        """So much of it would not."""
        return ZERO

    def judge(self, view: View) -> Found | None:
        return self.weighed(view)

    def weighed(self, view: View) -> Found | None:
        """The whole answer."""
        if self.worsens(view) or (view.amends and view.adds_risk and view.costs_more):
            found = self.weigh(view)
            if found is not None and found.cap is None and found.outcome in ("unknown", "block"):
                found = found._replace(cap=self.free(view))
            return found
        if view.adds_risk and not view.explains:
            return None
        found = self.weigh(view) or OK
        if found.outcome == "unknown" and not view.adds_risk:
            return found  # it passes, and that is told
        if not view.explains:
            return None
        return Found("pass", "ok", found.limit, found.value, found.headroom)


def tighter(one: Found | None, other: Found | None) -> Found | None:
    """Of two limits of one rule, what both say together."""
    if one is None or other is None:
        return other or one
    worse, better = (one, other) if _rank(one) >= _rank(other) else (other, one)
    if worse.cap is None or better.cap is None:
        return worse
    return worse._replace(cap=min(worse.cap, better.cap))


def _rank(found: Found) -> tuple[int, Decimal]:
    """The larger is the worse. A limit that is passed stands, whatever is not known beside it."""
    return SEVERITY.index(found.outcome), ZERO if found.cap is None else -found.cap


class Subject(NamedTuple):
    """What a rule is broken for. One that is asked of each position by itself names the account and
    the symbol; `scope` is what it may halt."""

    rule: str
    scope: str
    account: str | None = None
    symbol: str | None = None


class Around(NamedTuple):
    """What a rule about how things stand may look at."""

    books: Books
    moment: Moment
    memory: Any = None
    """Its own."""

    def standing(self, scope: str) -> Standing:
        symbol = scope.partition(":")[2] if scope.startswith("symbol:") else None
        return Standing(scope, self.books.of(scope), symbol)


class Steward(Judge[R]):
    """Judges no order, and asks for something to be done now and then."""

    @abstractmethod
    def asks(self, _around: Around) -> Iterable[Ask]:
        """As of a `StateJudge`."""


class StateJudge(Judge[S]):
    """Of something that can be broken by the market itself."""

    SAYS = "{value} is above the limit of {limit}"

    BY_MONEY: ClassVar[bool] = False
    """It goes by what was made and by nothing else, neither the time nor orders nor a memory: what
    it finds is so until that changes."""

    CAUSE: Cause = "position"
    """What its halts are recorded as; by this it is told whether it may pass by itself."""

    BROKEN: str = "it is broken"
    """What is said of what no number breaks."""

    patience_s: float | None = None
    """Not to be able to judge it for so long breaks it as well. None: that never does."""

    def __init__(self, config: S) -> None:
        super().__init__(config)
        self.near = min(config.warn_pct, default=HUNDRED) / HUNDRED
        self.levels = tuple(sorted(config.warn_pct))
        """Percent of the limit at which that is told."""
        self.remembers = self.memory() is not None

    def reached(self, limit: Decimal, value: Decimal, *, explains: bool = False) -> Found | None:
        """A loss, or a profit, above 0, against what it may come to: at its limit it is broken."""
        if value >= limit:
            return Found("block", self.kind, limit, value, ZERO)
        if value < limit * self.near:
            return Found("pass", "ok", limit, value, limit - value) if explains else None
        return Found("warn", self.kind, limit, value, limit - value)

    def exceeded(self, limit: Decimal, value: Decimal, *, explains: bool = False) -> Found | None:
        """An age, or a number of things, against the most that there may be: above it, it is
        broken."""
        if value > limit:
            return Found("block", self.kind, limit, value, ZERO)
        if value < limit * self.near or not limit or not self.levels:
            return Found("pass", "ok", limit, value, limit - value) if explains else None
        return Found("warn", self.kind, limit, value, limit - value)

    def fallen(self, floor: Decimal, value: Decimal, *, explains: bool = False) -> Found | None:
        """Against the least that there must be: below it, it is broken."""
        if value < floor:
            return Found("block", self.kind, floor, value, ZERO)
        return Found("pass", "ok", floor, value, value - floor) if explains else None

    def judge(self, view: View) -> Found | None:
        """While it is broken, what adds risk does not pass. What doesn't, does, and that is told;
        so it is when it can't be judged."""
        found = self.regard(view)
        if found is None or found.outcome != "block" or view.adds_risk:
            return found
        return found._replace(outcome="warn")

    def regard(self, view: View) -> Found | None:
        """How things stand for an order, whatever it does."""
        standing = view.standing(self.scope)
        if self.BY_MONEY and not view.explains:
            moment = view.moment
            return standing.once(self, lambda there: self.measure(there, moment))
        memory = view.memory(self.id) if self.remembers else None
        return self.measure(standing, view.moment, memory, explains=view.explains)

    def survey(self, around: Around) -> Iterator[tuple[Subject, Found | None]]:
        """How things stand, order or no order, for all that it is asked of."""
        found = self.measure(
            around.standing(self.scope), around.moment, around.memory, explains=True
        )
        yield Subject(self.id, self.scope), found

    def asks(self, _around: "Around") -> Iterable[Ask]:
        """What is to be done now, and was not asked for yet. That it is asked for becomes a fact,
        and the rule remembers it by that: so nothing is asked for twice."""
        return ()


class PositionJudge(StateJudge[S]):
    """Of each position by itself. An order is held to what it finds of its own symbol in its own
    account."""

    STAGE = 13

    @abstractmethod
    def weigh(self, book: AccountBook, path: Path, *, explains: bool) -> Found | None:
        """Of an open position."""

    def regard(self, view: View) -> Found | None:
        book = view.held.own(self.scope)
        path = None if book is None else book.worth.paths.get(view.symbol)
        if book is None or path is None or not path.last.qty:
            return Found("pass", "ok") if view.explains else None
        return self.weigh(book, path, explains=view.explains)

    def measure(
        self, standing: Standing, _moment: Moment, _memory: Any = None, *, explains: bool = False
    ) -> Found | None:
        """The worst of all: of two that pass the one that has used more of its limit."""
        found = [
            self.weigh(book, path, explains=True)
            for book, path in positions(standing.books, standing.symbol)
        ]
        worst = max((one for one in found if one is not None), key=badness, default=None)
        return worst if explains or worst is None or worst.outcome != "pass" else None

    def survey(self, around: Around) -> Iterator[tuple[Subject, Found | None]]:
        symbol = around.standing(self.scope).symbol
        for held, book in around.books.within(self.scope):
            account = held.about.name
            subject = Subject(self.id, self._halted(account), account)
            for _, path in positions((book,), symbol):
                found = self.weigh(book, path, explains=True)
                yield subject._replace(symbol=path.contract.symbol), found

    def _halted(self, account: str) -> str:
        """A position that breaks a rule about everything is its account's affair."""
        kind = self.scope.partition(":")[0]
        return f"account:{account}" if kind in ("all", "exchange") else self.scope


def badness(found: Found) -> tuple[int, Decimal]:
    """The larger is the worse: of two that say the same, the one that has used more."""
    used = ZERO
    if found.limit and found.value is not None:
        used = found.value / found.limit
    return SEVERITY.index(found.outcome), used


def positions(
    books: Iterable[AccountBook], symbol: str | None = None
) -> Iterator[tuple[AccountBook, Path]]:
    """Those that are open; with a symbol, in it alone."""
    for book in books:
        paths = book.worth.paths
        if symbol is None:
            some: Iterable[Path] = paths.values()
        else:
            some = (paths[symbol],) if symbol in paths else ()
        yield from ((book, path) for path in some if path.last.qty)


def seconds(span: timedelta) -> Decimal:
    """Exact, to the microsecond."""
    return Decimal(span // MICROSECOND) / 1_000_000
