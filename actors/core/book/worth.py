"""What an account is worth: cash and positions at marks and rates, now and at every place before.

Theory
------
Cash moves by fees, funding and transfers. What price has won or lost needs no cash: it is what all
fills of an instrument are worth together, at its mark. Both are kept by currency and turned into
the reporting currency at the rate of the place.

Everything that happens is one or more stretches (`series`): from some place on, so much more. An
event at the end is one stretch that begins there. One that comes late is cut where a mark or a rate
changed behind it, for in each piece it is worth something else. `again` folds everything anew in
canonical order and knows nothing of stretches; it serves where what is late changes all that came
after it (the account's own beginning, a position that is taken over), and the two must always
agree. A rate that is late has a way of its own (`late`).
"""

import heapq
from bisect import insort
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from . import late
from .closed import Closed
from .instruments import Contract
from .late import Late
from .line import Line
from .numbers import ONE, ZERO
from .path import Execution, Key, Path, Step
from .series import Series, Stretch


class Cash(NamedTuple):
    """Money that came or went. A transfer is neither won nor lost."""

    key: Key
    ccy: str
    amount: Decimal
    is_transfer: bool = False
    is_start: bool = False
    """What the account began with."""


class Worth:
    """The worth of one account, and its path."""

    def __init__(self) -> None:
        self.reporting: str | None = None
        self.series = Series()
        self.marks: dict[str, Line] = {}
        self.rates: dict[str, Line] = {}
        self.paths: dict[str, Path] = {}
        self.cash: list[Cash] = []
        self.total = ZERO
        """Of everything known, in the reporting currency, less transfers."""
        self.moved = ZERO
        """All transfers, at the rates of their time."""
        self.unknown = 0
        """So many marks and rates are needed and missing."""
        self.prices = 0
        """So many marks and rates are kept."""
        self.horizon: Key | None = None
        """Before this place most of them have been let go (`past`)."""
        self.held: dict[str, Decimal] = {}
        """By currency, what positions are worth included."""
        self.begun: Key | None = None
        """The place of the account's beginning: no sample is older."""
        self.closed: Closed | None = None
        """What is left of the past that is closed (`past`)."""
        self.changed: set[str] = set()
        """Instruments of which something has changed since `sums` last looked."""
        self.needed: dict[str, Key] = {}
        """Currencies other than the reporting one, and from where on each is needed."""

    @property
    def equity(self) -> Decimal | None:
        """None: something that is needed is not known."""
        return None if self.unknown else self.total + self.moved

    def rate(self, ccy: str, key: Key) -> Decimal | None:
        """At a place in canonical order. None: it is not known there."""
        if ccy == self.reporting:
            return ONE
        line = self.rates.get(ccy)
        return None if line is None else line.at(key)

    def rate_now(self, ccy: str) -> Decimal | None:
        if ccy == self.reporting:
            return ONE
        line = self.rates.get(ccy)
        return None if line is None else line.now

    def mark_now(self, symbol: str) -> Decimal | None:
        line = self.marks.get(symbol)
        return None if line is None else line.now

    def _line(self, lines: dict[str, Line], name: str) -> Line:
        """Where one price more is put."""
        self.prices += 1
        line = lines.get(name)
        if line is None:
            line = lines[name] = Line()
        return line

    def _opened(self, key: Key) -> Key:
        """Where that counts which happened here: what is closed stays as it is, so right after."""
        closed = self.closed
        return key if closed is None or key > closed.place else (closed.place[0], key[1])

    def _is_past(self, line: Line | None, key: Key, closed: Closed) -> bool:
        """Was a price that began here out of force when the past was closed?"""
        first = None if line is None else line.first
        return first is not None and key < first <= closed.place

    # --- what happens

    def _is_newest(self, key: Key) -> bool:
        """Is nothing that counts later than this? Then it is reckoned with what holds now.

        All that counts has left a sample, once the account has begun; so one comparison tells.
        """
        return self.reporting is not None and key > self.series.keys[-1]

    def _append(self, key: Key, ccy: str, amount: Decimal) -> None:
        """The newest of all: so much more money."""
        if ccy == self.reporting:
            self.total += amount
        else:
            rate = self.rate_now(ccy)
            if rate is not None:
                self.total += amount * rate
            if ccy not in self.needed:
                self.needed[ccy] = key
                self.unknown += rate is None
        self.held[ccy] = self.held.get(ccy, ZERO) + amount

    def _append_fill(self, path: Path, fill: Execution) -> None:
        """A fill that is the newest of all: what `fill` does, without a look at what is past."""
        contract, key, qty = path.contract, fill.key, path.qty
        spent = path.add(fill)
        mark = self.mark_now(contract.symbol)
        if mark is None:
            self.unknown += bool(path.qty) - bool(qty)
        else:
            spent -= contract.worth(path.moved(fill), mark)
        amount = -contract.multiplier * spent
        if fill.fee:
            ccy, charge = path.charge(fill)
            if ccy == contract.settle:
                amount -= charge
            else:
                self._append(key, ccy, -charge)
        self._append(key, contract.settle, amount)
        self.series.add(key, self.total, self.unknown)

    def _append_mark(self, path: Path, key: Key, price: Decimal) -> None:
        """The same for a mark."""
        contract, qty = path.contract, path.qty
        line = self._line(self.marks, contract.symbol)
        old = line.now
        line.put(key, price)
        if qty:
            worth = contract.worth(qty, price)
            if old is None:
                self.unknown -= 1
            else:
                worth -= contract.worth(qty, old)
            self._append(key, contract.settle, contract.multiplier * worth)
        self.series.add(key, self.total, self.unknown)

    def fill(self, path: Path, fill: Execution, sign: int = 1) -> None:
        """A fill, or with sign -1 its end, as if it had never been."""
        key, symbol = fill.key, path.contract.symbol
        self.changed.add(symbol)
        if sign > 0 and self._is_newest(key):
            self._append_fill(path, fill)
            return
        line = self.marks.get(symbol)
        is_marked = line is not None and line.at(key) is not None
        before = [] if is_marked else list(self._blanks(path, key))
        if sign > 0:
            path.add(fill)
        else:
            path.remove(fill)
        if self.reporting is None:
            return
        if sign < 0 and self._was_first(path, fill):
            self.again()
            return
        after = [] if is_marked else list(self._blanks(path, key))
        moved = path.moved(fill) * sign
        spent = path.contract.spent(moved, fill.price)
        news = list(self._priced(path, key, None, moved, spent))
        if fill.fee:
            ccy, charge = path.charge(fill)
            news += self._amount(key, ccy, -charge * sign)
        news += [Stretch(begin, end, ZERO, -1) for begin, end in before]
        news += [Stretch(begin, end, ZERO, 1) for begin, end in after]
        self._take(key, news)

    def mark(self, symbol: str, key: Key, price: Decimal) -> None:
        """A mark, in force until the next one."""
        if self.closed is not None:
            if self._is_past(self.marks.get(symbol), key, self.closed):
                return
            key = self._opened(key)
        self.changed.add(symbol)
        if symbol in self.paths and self._is_newest(key):
            self._append_mark(self.paths[symbol], key, price)
            return
        line = self._line(self.marks, symbol)
        path = self.paths.get(symbol)
        old, first = line.at(key), line.first
        follower = line.put(key, price)
        if path is None or self.reporting is None:
            return
        contract, news = path.contract, list[Stretch]()
        rates = self.rates.get(contract.settle)
        quantities = [(key, path.qty)] if self._is_last(path, key) else list(path.quantities(key))
        for at, (begin, qty) in enumerate(quantities):
            end = quantities[at + 1][0] if at + 1 < len(quantities) else None
            if follower is not None and (end is None or end > follower):
                end = follower
            if not qty or (end is not None and begin >= end):
                continue
            worth = contract.worth(qty, price) - (contract.worth(qty, old) if old else ZERO)
            more = contract.multiplier * worth
            self._hold(contract.settle, more if end is None else ZERO)
            news += self._at_rates(rates, contract.settle, begin, end, more)
            if old is None and (first is None or begin < first):
                until = end if first is None or (end is not None and end < first) else first
                news.append(Stretch(begin, until, ZERO, -1))
        self._take(key, news)

    def fx(self, ccy: str, key: Key, rate: Decimal) -> Late | None:
        """A rate, in force until the next one. None: of what was realised nothing has changed."""
        if ccy == self.reporting:
            return None
        if self.closed is not None:
            if self._is_past(self.rates.get(ccy), key, self.closed):
                return None
            key = self._opened(key)
        line = self._line(self.rates, ccy)
        old = line.at(key)
        follower = line.put(key, rate)
        if self.reporting is None:
            for path in self.paths.values():
                if path.keys and path.keys[-1] > key:
                    self.changed.add(path.contract.symbol)
                    path.again()
            return None
        if follower is not None or (self.series.keys and key < self.series.keys[-1]):
            return self._fx_late(late.Rate(ccy, key, follower, old, rate))
        more = self.held.get(ccy, ZERO) * (rate - (old or ZERO))
        known = 1 if old is None and ccy in self.needed else 0
        self._take(key, [Stretch(key, None, more, -known)])
        return None

    def _fx_late(self, rate: late.Rate) -> Late:
        if self.horizon is not None and rate.key < self.horizon:
            self.again()  # which knows whether so old a price has a sample
            return Late(rate.key, [], is_all=True)
        news, cash = list(late.stretches(self, rate)), list(late.paid(self, rate))
        for each in cash:
            if each.is_transfer:
                more = each.amount * rate.more
                self.moved += more
                news.append(Stretch(each.key, None, -more))
        walked = late.walk(self, rate)
        self._take(rate.key, news)
        return Late(rate.key, walked, is_all=not all(each.is_transfer for each in cash))

    def begin(self, key: Key, ccy: str, balance: Decimal) -> None:
        """The account has so much from here on, and is reckoned in this currency, which is worth
        one whatever was said: what leaves no sample must not count as a price."""
        self.reporting = ccy
        said = self.rates.pop(ccy, None)
        self.prices -= 0 if said is None else len(said.keys)
        insort(self.cash, Cash(key, ccy, balance, is_start=True))
        self.begun = key
        self.again()

    def adopt(self, path: Path, key: Key, qty: Decimal, average: Decimal | None) -> list[Execution]:
        """A position that is held from here on, whatever was before it: the fills that are in
        it."""
        self.changed.add(path.contract.symbol)
        inside = path.adopt(key, qty, average)
        if self.closed is not None:
            self.closed = self.closed.without(path.contract.symbol)
        if self.reporting is not None:
            self.again()
        return inside

    def pay(self, cash: Cash) -> Cash:
        """Funding, or a transfer: as it counts."""
        cash = cash._replace(key=self._opened(cash.key))
        insort(self.cash, cash)
        if self.reporting is None:
            return cash
        news = list(self._amount(cash.key, cash.ccy, cash.amount))
        if cash.is_transfer:
            rate = self.rate(cash.ccy, cash.key) or ZERO
            self.moved += cash.amount * rate
            news.append(Stretch(cash.key, None, -cash.amount * rate))
        self._take(cash.key, news)
        return cash

    # --- stretches

    def _take(self, key: Key, news: Iterable[Stretch]) -> None:
        """Let it be so."""
        series, is_last = self.series, True
        stretches = list(news)
        for stretch in stretches:
            if stretch.end is None:
                self.total += stretch.worth
                self.unknown += stretch.unknown
            is_last = is_last and stretch.begin == key and stretch.end is None
        if self.begun is not None and key < self.begun:
            series.shift(stretches)
        elif not series.keys or key > series.keys[-1]:
            assert is_last, "nothing lies behind the end"
            series.add(key, self.total, self.unknown)
        else:
            series.insert(key)
            series.shift(stretches)

    def _priced(
        self, path: Path, begin: Key, end: Key | None, moved: Decimal, spent: Decimal
    ) -> Iterator[Stretch]:
        """So much more of an instrument, from a place on: at each mark, and at each rate."""
        contract = path.contract
        line = self.marks.get(contract.symbol)
        rates = self.rates.get(contract.settle)
        cuts = [begin, *(line.changes(begin, end) if line is not None else ())]
        for at, start in enumerate(cuts):
            stop = cuts[at + 1] if at + 1 < len(cuts) else end
            mark = None if line is None else line.at(start)
            worth = contract.worth(moved, mark) if mark else ZERO
            more = contract.multiplier * (worth - spent)
            self._hold(contract.settle, more if stop is None else ZERO)
            yield from self._at_rates(rates, contract.settle, start, stop, more)
        yield from self._need(contract.settle, begin)

    def _amount(self, begin: Key, ccy: str, amount: Decimal) -> Iterator[Stretch]:
        """So much more cash."""
        self._hold(ccy, amount)
        yield from self._at_rates(self.rates.get(ccy), ccy, begin, None, amount)
        yield from self._need(ccy, begin)

    def _at_rates(
        self, rates: Line | None, ccy: str, begin: Key, end: Key | None, amount: Decimal
    ) -> Iterator[Stretch]:
        """An amount, cut where its rate changes."""
        if ccy == self.reporting:
            yield Stretch(begin, end, amount)
        elif rates is not None:
            cuts = [begin, *rates.changes(begin, end)]
            for at, start in enumerate(cuts):
                stop = cuts[at + 1] if at + 1 < len(cuts) else end
                yield Stretch(start, stop, amount * (rates.at(start) or ZERO))

    def _need(self, ccy: str, key: Key) -> Iterator[Stretch]:
        """From here on a currency is needed: where it has no rate, nothing is known."""
        if ccy == self.reporting:
            return
        known, needed = self.rates.get(ccy), self.needed.get(ccy)
        if needed is not None and needed <= key:
            return
        self.needed[ccy] = key
        rated = None if known is None else known.first
        ends = [each for each in (needed, rated) if each is not None]
        end = min(ends, default=None)
        if end is None or key < end:
            yield Stretch(key, end, ZERO, 1)

    def _was_first(self, path: Path, fill: Execution) -> bool:
        """Was a currency needed because of this fill, and had it no rate? Then where it is needed
        without it is to be found anew."""
        used = (path.contract.settle, path.charge(fill)[0])
        return any(
            self.needed.get(ccy) == fill.key and self.rate(ccy, fill.key) is None for ccy in used
        )

    def _blanks(self, path: Path, key: Key) -> Iterator[tuple[Key, Key | None]]:
        """Where, from this place on, there is a position and no mark."""
        line = self.marks.get(path.contract.symbol)
        limit = None if line is None else line.first
        quantities = [(key, path.qty)] if self._is_last(path, key) else list(path.quantities(key))
        for at, (begin, qty) in enumerate(quantities):
            end = quantities[at + 1][0] if at + 1 < len(quantities) else None
            if limit is not None and (end is None or end > limit):
                end = limit
            if qty and (end is None or begin < end):
                yield begin, end

    def _is_last(self, path: Path, key: Key) -> bool:
        last = path.keys[-1] if path.keys else path.base_key
        return last is None or last <= key

    def _hold(self, ccy: str, amount: Decimal) -> None:
        if amount:
            self.held[ccy] = self.held.get(ccy, ZERO) + amount

    # --- all of it anew

    def again(self) -> None:
        """Fold everything in canonical order, as if it had come so."""
        self.changed.update(self.paths)
        for path in self.paths.values():
            path.again()
        fold = _Fold(self)
        self.series, self.held, self.needed = fold.series, {}, {}
        self.total = self.moved = ZERO
        self.unknown = 0
        for key, kind, what in heapq.merge(*self._everything(), key=lambda each: each[0]):
            fold.take(key, kind, what)
        self.held, self.needed = fold.held, fold.needed
        self.total, self.moved, self.unknown = fold.total, fold.moved, fold.unknown

    def _everything(self) -> Iterator[list[tuple[Key, str, object]]]:
        """All that is not closed. Of a line its first value may be."""
        place = None if self.closed is None else self.closed.place
        for symbol, path in self.paths.items():
            if path.base_key is not None and (place is None or path.base_key > place):
                yield [(path.base_key, "base", path)]
            yield [(fill.key, "fill", (path, fill)) for fill in path.fills]
            line = self.marks.get(symbol)
            if line is not None:
                yield [
                    (key, "mark", (path, price))
                    for key, price in zip(line.keys, line.values, strict=True)
                    if place is None or key > place
                ]
        for ccy, line in self.rates.items():
            if ccy != self.reporting:
                yield [
                    (key, "rate", (ccy, rate))
                    for key, rate in zip(line.keys, line.values, strict=True)
                    if place is None or key > place
                ]
        yield [(cash.key, "cash", cash) for cash in self.cash]


def worth_of(
    contract: Contract, step: Step, mark: Decimal | None, charged: Mapping[str, Decimal]
) -> Iterator[tuple[str, Decimal]]:
    """All that an instrument has ever brought, by currency: by price at the mark, and less fees."""
    worth = contract.worth(step.qty, mark) if mark is not None and step.qty else ZERO
    yield contract.settle, contract.multiplier * (worth - (step.cost - step.won))
    for ccy, charge in charged.items():
        yield ccy, -charge


class _Fold:
    """Everything in canonical order, one after the other: what it adds up to."""

    def __init__(self, worth: Worth) -> None:
        self.reporting, self.series = worth.reporting, Series()
        self._horizon = worth.horizon
        self._kept = set(worth.series.keys) if worth.horizon is not None else set[Key]()
        self.held: dict[str, Decimal] = {}
        self.needed: dict[str, Key] = {}
        self.total = self.moved = ZERO
        self.unknown = 0
        self._rates: dict[str, Decimal] = {} if self.reporting is None else {self.reporting: ONE}
        self._marks: dict[str, Decimal] = {}
        self._begun = worth.begun
        self._held_of: dict[str, Decimal] = {}
        """Quantities, by symbol."""
        if worth.closed is not None:
            self._go_on(worth, worth.closed)

    def _go_on(self, worth: Worth, closed: Closed) -> None:
        """From the closed place."""
        place = closed.place
        self.series.restore((each.key, each.worth, each.unknown) for each in closed.samples)
        for ccy, line in worth.rates.items():
            rate = line.at(place)
            if rate is not None and ccy != self.reporting:
                self._rates[ccy] = rate
        self.held, self.moved = closed.cash.copy(), closed.moved
        used = set(closed.cash)
        for symbol, path in worth.paths.items():
            prices = worth.marks.get(symbol)
            mark = None if prices is None else prices.at(place)
            if mark is not None:
                self._marks[symbol] = mark
            if path.base_key is None or path.base_key > place:
                continue
            base, contract = path.base, path.contract
            self._held_of[symbol] = base.qty
            self.unknown += bool(base.qty) and mark is None
            for ccy, amount in worth_of(contract, base, mark, path.charged):
                used.add(ccy)
                self.held[ccy] = self.held.get(ccy, ZERO) + amount
        self.needed = {ccy: key for ccy, key in closed.needed.items() if ccy in used}
        self.unknown += sum(ccy not in self._rates for ccy in self.needed)
        for ccy, amount in self.held.items():
            self.total += amount * self._rates.get(ccy, ZERO)
        self.total -= self.moved

    def take(self, key: Key, kind: str, what: Any) -> None:
        match kind:
            case "base":
                self._position(what, key, what.base.qty, what.base.cost)
            case "fill":
                path, fill = what
                moved = path.moved(fill)
                self._position(path, key, moved, path.contract.spent(moved, fill.price))
                if fill.fee:
                    ccy, charge = path.charge(fill)
                    self._pay(key, ccy, -charge)
            case "mark":
                self._mark(*what)
            case "rate":
                self._rate(*what)
            case "cash":
                self._pay(key, what.ccy, what.amount)
                if what.is_transfer:
                    value = what.amount * self._rates.get(what.ccy, ZERO)
                    self.moved += value
                    self.total -= value
        if self._begun is not None and key >= self._begun and self._counts(key, kind):
            self.series.add(key, self.total, self.unknown)

    def _counts(self, key: Key, kind: str) -> bool:
        """An old price whose sample was let go makes none now: others of its time are gone too."""
        if self._horizon is None or key >= self._horizon or kind not in ("mark", "rate"):
            return True
        return key in self._kept

    def _position(self, path: Path, key: Key, moved: Decimal, spent: Decimal) -> None:
        contract = path.contract
        symbol, mark = contract.symbol, self._marks.get(contract.symbol)
        qty = self._held_of.get(symbol, ZERO)
        worth = ZERO
        if mark is None:
            self.unknown += bool(qty + moved) - bool(qty)
        else:
            worth = contract.worth(moved, mark)
        self._held_of[symbol] = qty + moved
        self._pay(key, contract.settle, contract.multiplier * (worth - spent))

    def _mark(self, path: Path, price: Decimal) -> None:
        contract = path.contract
        symbol, old = contract.symbol, self._marks.get(contract.symbol)
        self._marks[symbol] = price
        qty = self._held_of.get(symbol, ZERO)
        if qty:
            worth = contract.worth(qty, price) - (contract.worth(qty, old) if old else ZERO)
            self.unknown -= old is None
            more = contract.multiplier * worth
            self.held[contract.settle] = self.held.get(contract.settle, ZERO) + more
            self.total += more * self._rates.get(contract.settle, ZERO)

    def _rate(self, ccy: str, rate: Decimal) -> None:
        old = self._rates.get(ccy)
        self._rates[ccy] = rate
        self.total += self.held.get(ccy, ZERO) * (rate - (old or ZERO))
        if old is None and ccy in self.needed:
            self.unknown -= 1

    def _pay(self, key: Key, ccy: str, amount: Decimal) -> None:
        self.held[ccy] = self.held.get(ccy, ZERO) + amount
        self.total += amount * self._rates.get(ccy, ZERO)
        if ccy != self.reporting and ccy not in self.needed:
            self.needed[ccy] = key
            self.unknown += ccy not in self._rates
