"""A log that is told event by event, and an oracle that knows nothing of how the book counts.

The oracle counts with fractions. It sorts the whole log and folds it from the beginning, with an
average, a cash balance for each currency and the equity after every event, as a person would on
paper; no running sums, no stretches.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pytest
from riskd.actors.core.book import door, shown
from riskd.actors.core.book.account import AccountBook
from riskd.actors.messages.book import AnyEvent

Said = Mapping[str, Any]
"""An event as a line of a file has it."""

Key = tuple[int, int]
Numbers = dict[str, Any]
LONG_AGO = -(10**30)
NOUGHT = Fraction(0)
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Log:
    """A book that is told through its door."""

    def __init__(self, *events: Said, **limits: Any) -> None:
        self.book = AccountBook(ZoneInfo, **limits)
        self.tell_all(events)

    @staticmethod
    def event(said: Said) -> AnyEvent:
        return msgspec.convert(said, AnyEvent)  # type: ignore[arg-type, no-any-return]  # a union

    def tell(self, event_type: str, /, **fields: Any) -> "Log":
        event = self.event({"type": event_type, **fields})
        door.check(self.book, event)
        self.book.apply(event)
        return self

    def tell_all(self, events: Sequence[Said]) -> "Log":
        for event in events:
            self.tell(event["type"], **{name: event[name] for name in event if name != "type"})
        return self

    # --- the commonest events

    def linear(self, symbol: str = "L", multiplier: str = "1", settle: str = "USD") -> "Log":
        return self.tell(
            "instrument", symbol=symbol, kind="linear", multiplier=multiplier, quote=settle,
            settle=settle,
        )  # fmt: skip

    def inverse(self, symbol: str = "I", multiplier: str = "100") -> "Log":
        return self.tell(
            "instrument", symbol=symbol, kind="inverse", multiplier=multiplier, quote="USD",
            settle="BTC", base="BTC",
        )  # fmt: skip

    def spot(self, symbol: str = "S") -> "Log":
        return self.tell(
            "instrument", symbol=symbol, kind="spot", quote="USD", settle="USD", base="ETH"
        )

    def buy(self, fill: str, qty: str, price: str, symbol: str = "L", **more: Any) -> "Log":
        return self.tell("fill", id=fill, symbol=symbol, side="buy", qty=qty, price=price, **more)

    def sell(self, fill: str, qty: str, price: str, symbol: str = "L", **more: Any) -> "Log":
        return self.tell("fill", id=fill, symbol=symbol, side="sell", qty=qty, price=price, **more)

    def order(self, order: str, side: str, qty: str, symbol: str = "L", **more: Any) -> "Log":
        return self.tell("order", id=order, symbol=symbol, side=side, qty=qty, **more)

    def mark(self, price: str, symbol: str = "L", **more: Any) -> "Log":
        return self.tell("mark", symbol=symbol, price=price, **more)

    def account(self, balance: str = "1000", ccy: str = "USD", **more: Any) -> "Log":
        return self.tell("account", ccy=ccy, balance=balance, **more)

    # --- what can be seen

    @property
    def document(self) -> dict[str, Any]:
        return shown.book(self.book)

    @property
    def positions(self) -> dict[str, Any]:
        return self.document["positions"]  # type: ignore[no-any-return]  # a document

    def position(self, symbol: str = "L") -> dict[str, Any]:
        return self.positions[symbol]  # type: ignore[no-any-return]  # a document

    @property
    def worth(self) -> dict[str, Any]:
        return self.document["account"]  # type: ignore[no-any-return]  # a document

    @property
    def flags(self) -> list[str]:
        return self.document["flags"]  # type: ignore[no-any-return]  # a document

    @property
    def odd(self) -> list[str]:
        """The flags that are not about a missing mark."""
        return [flag for flag in self.flags if not flag.startswith("no_mark:")]


@attrs.define
class Filled:
    """A fill, as the whole log has it at its end."""

    key: Key
    id: str
    symbol: str
    order: Any
    signed: Fraction
    price: Fraction
    fee: Fraction
    fee_ccy: str


@attrs.define
class Held:
    """A position on paper."""

    qty: Fraction = NOUGHT
    average: Fraction | None = None
    realised: Fraction = NOUGHT


ABSENT = "(absent)"


def is_its_own(order: Said, fill: Filled) -> bool:
    """Does this order explain the fill?"""
    side = "buy" if fill.signed > 0 else "sell"
    named = fill.order, fill.symbol, side
    return named == (order["id"], order["symbol"], order["side"])


def without_repeated_payments(events: Sequence[Said]) -> Iterator[Said]:
    """Of a payment with an id the first counts. That it is this late is news all the same."""
    known = set[Any]()
    for event in events:
        name = event["type"], event.get("symbol"), event.get("ccy"), event.get("id")
        if name in known:
            yield {"type": "tick", **{key: event[key] for key in event if key == "ts"}}
        else:
            yield event
            if event["type"] in ("funding", "transfer") and "id" in event:
                known.add(name)


class Oracle:
    """The whole log at once."""

    def __init__(self, events: Sequence[Said]) -> None:
        self.log: list[tuple[Key, Said]] = []
        latest = LONG_AGO
        for arrived, event in enumerate(without_repeated_payments(events)):
            at = latest if event.get("ts") is None else event["ts"]
            latest = max(latest, at)
            self.log.append(((at, arrived), event))
        self.timed = [key[0] for key, event in self.log if event.get("ts") is not None]
        self.contracts: dict[str, Said] = {}
        for event in self.all("instrument"):
            self.contracts.setdefault(event["symbol"], event)
        begun = [(key, event) for key, event in self.log if event["type"] == "account"]
        self.begun, self.owner = begun[0] if begun else (None, None)
        self.clock = ([None, *self.all("session")])[-1]
        self.sorted = sorted(self.log, key=lambda each: each[0])
        self.adopted: dict[str, tuple[Key, Said]] = {}
        # Of several of one moment that counts which was told last, in canonical order.
        for key, event in self.sorted:
            if event["type"] == "snapshot":
                old = self.adopted.get(event["symbol"])
                if old is None or event["as_of"] >= old[0][0]:
                    self.adopted[event["symbol"]] = ((event["as_of"], key[1]), event)
        self.conflicts: set[str] = set()
        self.executed = self._fills()
        self.fills = [fill for fill in self.executed if not self._is_adopted(fill)]
        self.rates = self._timeline("fx", "ccy", "rate")
        self.marks = self._timeline("mark", "symbol", "price")

    def all(self, kind: str) -> list[Said]:
        return [event for _, event in self.log if event["type"] == kind]

    # --- fills and orders

    def _fills(self) -> list[Filled]:
        """Those that were not taken back, in canonical order."""
        first: dict[Any, tuple[Filled, Any]] = {}
        for key, event in self.log:
            if event["type"] != "fill":
                continue
            name = event["symbol"], event.get("order", ABSENT), event["id"]
            signed = Fraction(event["qty"]) * (1 if event["side"] == "buy" else -1)
            content = signed, Fraction(event["price"])
            if name in first:
                if first[name][1] != content:
                    self.conflicts.add(event["id"])
                continue
            settle = self.contracts[event["symbol"]]["settle"]
            fee = Fraction(event.get("fee", 0))
            fill = Filled(
                key, event["id"], event["symbol"], name[1], signed, content[1], fee,
                event.get("fee_ccy") or settle,
            )  # fmt: skip
            first[name] = fill, content
        return sorted(
            (fill for fill, _ in first.values() if self._counts(fill)), key=lambda fill: fill.key
        )

    def _counts(self, fill: Filled) -> bool:
        """Corrects it, too."""
        counts = True
        for _, event in self.sorted:
            if event["type"] not in ("bust", "correct") or event["id"] != fill.id:
                continue
            if event["symbol"] != fill.symbol or event.get("order", fill.order) != fill.order:
                continue
            if event["type"] == "bust":
                counts = False
            elif counts:
                sign = 1 if fill.signed > 0 else -1
                fill.signed = sign * Fraction(event.get("qty", abs(fill.signed)))
                fill.price = Fraction(event.get("price", fill.price))
                fill.fee = Fraction(event.get("fee", fill.fee))
        return counts

    def _is_adopted(self, fill: Filled) -> bool:
        """It is in the position that the venue told; its order has been filled by it all the
        same."""
        adopted = self.adopted.get(fill.symbol)
        return adopted is not None and fill.key[0] <= adopted[0][0]

    def orders(self) -> dict[str, Numbers]:
        """Of each that was told of: what remains, and whether it was filled too far."""
        found: dict[str, Numbers] = {}
        for key, event in self.sorted:
            if event["type"] == "order" and event["id"] not in found:
                of = [(fill.key, abs(fill.signed)) for fill in self.executed
                      if is_its_own(event, fill)]  # fmt: skip
                begun = Fraction(event.get("filled", 0))
                early = sum((qty for at, qty in of if at < key), NOUGHT)
                filled = sum((qty for at, qty in of if at > key), max(begun, early))
                if not begun:
                    filled = sum((qty for _, qty in of), NOUGHT)
                found[event["id"]] = {"event": event, "filled": filled}
        # What is told of an order counts, be it before its beginning by somebody's clock.
        for name, order in found.items():
            total, pending, gone = Fraction(order["event"]["qty"]), list[Fraction](), False
            for _, event in self.sorted:
                if event.get("id") != name:
                    continue
                match event["type"]:
                    case "cancel" | "reject" | "expire":
                        gone = True
                    case "amend_request":
                        pending.append(Fraction(event["qty"]))
                    case "amend":
                        qty = Fraction(event["qty"])
                        if qty in pending:
                            pending = pending[pending.index(qty) + 1 :]
                        elif qty != total:  # else it is told again
                            pending = pending[1:]
                        total = qty
                    case "amend_reject":
                        refused = Fraction(event["qty"])
                        if refused in pending:  # else it is told again
                            pending.remove(refused)
            most = max([total, *pending])
            order["left"] = NOUGHT if gone else max(NOUGHT, most - order["filled"])
            order["over"] = order["filled"] > most
        return found

    # --- marks and rates

    def _timeline(self, kind: str, name: str, value: str) -> list[tuple[Key, str, Fraction]]:
        return [
            (key, event[name], Fraction(event[value]))
            for key, event in self.sorted
            if event["type"] == kind
        ]

    def rate(self, ccy: str, key: Key | None = None) -> Fraction | None:
        if self.owner is not None and ccy == self.owner["ccy"]:
            return Fraction(1)
        known = [rate for at, of, rate in self.rates if of == ccy and (key is None or at <= key)]
        return known[-1] if known else None

    def mark(self, symbol: str, key: Key | None = None) -> Fraction | None:
        known = [
            price for at, of, price in self.marks if of == symbol and (key is None or at <= key)
        ]
        return known[-1] if known else None

    # --- the fold

    def pnl(self, symbol: str, qty: Fraction, entry: Fraction, leave: Fraction) -> Fraction:
        contract = self.contracts[symbol]
        multiplier = Fraction(contract.get("multiplier", 1))
        if contract["kind"] == "inverse":
            return qty * multiplier * (1 / entry - 1 / leave)
        return qty * multiplier * (leave - entry)

    def trade(self, held: Held, symbol: str, signed: Fraction, price: Fraction) -> Fraction:
        """What it realises."""
        won = NOUGHT
        if held.qty * signed < 0:
            assert held.average is not None
            closed = min(abs(signed), abs(held.qty)) * (1 if held.qty > 0 else -1)
            won = self.pnl(symbol, closed, held.average, price)
            held.qty -= closed
            signed += closed
        if signed:
            if not held.qty:
                held.average = price
            elif self.contracts[symbol]["kind"] == "inverse":
                held.average = (held.qty + signed) / (held.qty / held.average + signed / price)  # type: ignore[operator]  # it has one
            else:
                held.average = (held.qty * held.average + signed * price) / (held.qty + signed)  # type: ignore[operator]  # it has one
            held.qty += signed
        if not held.qty:
            held.average = None
        held.realised += won
        return won

    def fold(self, until: Key | None = None) -> Numbers:
        """All that happened before this place."""
        held: dict[str, Held] = {}
        cash: dict[str, Fraction] = {}
        booked: list[tuple[Key, Fraction | None]] = []
        moved: list[tuple[Key, Fraction]] = []
        samples: list[tuple[Key, Fraction | None]] = []
        peak, fall = None, NOUGHT
        items: list[tuple[Key, str, Any]] = [(fill.key, "fill", fill) for fill in self.fills]
        items += [(key, "snapshot", event) for key, event in self.adopted.values()]
        items += [(key, event["type"], event) for key, event in self.log
                  if event["type"] in ("mark", "fx", "funding", "transfer")
                  or (key == self.begun)]  # fmt: skip
        for key, kind, what in sorted(items, key=lambda item: item[0]):
            if until is not None and key >= until:
                break
            if kind == "snapshot":
                qty = Fraction(what["qty"])
                held[what["symbol"]] = Held(qty, Fraction(what["avg_price"]) if qty else None)
                cash.setdefault(self.contracts[what["symbol"]]["settle"], NOUGHT)
            elif kind == "fill":
                booked.append((key, self._fill(held, cash, what)))
            elif kind == "funding":
                settle, amount = self.contracts[what["symbol"]]["settle"], Fraction(what["amount"])
                cash[settle] = cash.get(settle, NOUGHT) + amount
                rate = self.rate(settle, key)
                booked.append((key, None if rate is None else amount * rate))
            elif kind in ("transfer", "account"):
                amount = Fraction(what.get("amount", what.get("balance", 0)))
                cash[what["ccy"]] = cash.get(what["ccy"], NOUGHT) + amount
                if kind == "transfer":
                    value = amount * (self.rate(what["ccy"], key) or NOUGHT)
                    moved.append((key, value))
                    peak = None if peak is None else peak + value
            if self.begun is not None and key >= self.begun:
                equity = self.equity(held, cash, key)
                samples.append((key, equity))
                if equity is not None:
                    peak = equity if peak is None else max(peak, equity)
                    fall = max(fall, peak - equity)
        return {
            "held": held, "booked": booked, "moved": moved, "samples": samples, "peak": peak,
            "fall": fall,
        }  # fmt: skip

    def _fill(self, held: dict[str, Held], cash: dict[str, Fraction], fill: Filled) -> Any:
        """Cash moves; what it has brought in the reporting currency is the answer."""
        contract = self.contracts[fill.symbol]
        settle, one = contract["settle"], held.setdefault(fill.symbol, Held())
        won = self.trade(one, fill.symbol, fill.signed, fill.price)
        ccy, fee = fill.fee_ccy, fill.fee
        if contract["kind"] == "spot" and ccy == contract["base"] and fee:
            won += self.trade(one, fill.symbol, -fee, fill.price)
            # The units were sold for so much, and the fee was paid with it.
            ccy, fee = settle, fee * fill.price
        cash[settle] = cash.get(settle, NOUGHT) + won
        if fee:
            cash[ccy] = cash.get(ccy, NOUGHT) - fee
        parts = [(settle, won), (ccy, -fee)]
        rated = [(self.rate(each, fill.key), amount) for each, amount in parts if amount]
        if any(rate is None for rate, _ in rated):
            return None
        return sum((rate * amount for rate, amount in rated if rate is not None), NOUGHT)

    def equity(self, held: dict[str, Held], cash: dict[str, Fraction], key: Key) -> Fraction | None:
        values = list(cash.items())
        for symbol, one in held.items():
            if one.qty:
                mark = self.mark(symbol, key)
                if mark is None or one.average is None:
                    return None
                settle = self.contracts[symbol]["settle"]
                values.append((settle, self.pnl(symbol, one.qty, one.average, mark)))
        total = NOUGHT
        for ccy, amount in values:
            rate = self.rate(ccy, key)
            if rate is None:
                return None
            total += amount * rate
        return total

    # --- the document

    def document(self) -> Numbers:
        fold, orders = self.fold(), self.orders()
        happened = {event["symbol"] for _, event in self.log
                    if event["type"] != "instrument" and "symbol" in event}  # fmt: skip
        positions = {symbol: self._position(symbol, fold, orders) for symbol in happened}
        found: Numbers = {
            "positions": {name: one["shown"] for name, one in positions.items()},
            "flags": self._flags(positions, orders),
        }
        if self.owner is not None:
            found["account"] = self._account(fold, positions)
        return found

    def _position(self, symbol: str, fold: Numbers, orders: dict[str, Numbers]) -> Numbers:
        contract, held = self.contracts[symbol], fold["held"].get(symbol, Held())
        fees: dict[str, Fraction] = {}
        settled: Fraction | None = NOUGHT
        for fill in self.fills:
            if fill.symbol == symbol and fill.fee:
                fees[fill.fee_ccy] = fees.get(fill.fee_ccy, NOUGHT) + fill.fee
                worth = self._settled(contract, fill)
                settled = None if settled is None or worth is None else settled + worth
        funding = sum(
            (Fraction(event["amount"]) for event in self.all("funding")
             if event["symbol"] == symbol), NOUGHT,
        )  # fmt: skip
        left = dict.fromkeys(
            (("buy", False), ("sell", False), ("buy", True), ("sell", True)), NOUGHT
        )
        for order in orders.values():
            if order["event"]["symbol"] == symbol:
                left[order["event"]["side"], order["event"].get("reduce_only", False)] += order[
                    "left"
                ]
        mark, qty = self.mark(symbol), held.qty
        unrealised: Fraction | None = NOUGHT
        if qty:
            unrealised = None if mark is None else self.pnl(symbol, qty, held.average, mark)
        long = qty + left["buy", False] + min(left["buy", True], max(-qty, NOUGHT))
        short = qty - left["sell", False] - min(left["sell", True], max(qty, NOUGHT))
        return {
            "worst": max(abs(long), abs(short)),
            "qty": qty,
            "mark": mark,
            "shown": {
                "qty": qty, "avg_price": held.average, "realized_pnl": held.realised, "fees": fees,
                "funding": funding,
                "net_realized_pnl": None if settled is None else held.realised - settled + funding,
                "unrealized_pnl": unrealised,
                "open_buy_qty": left["buy", False] + left["buy", True],
                "open_sell_qty": left["sell", False] + left["sell", True],
                "worst_long": long, "worst_short": short,
            },
        }  # fmt: skip

    def _settled(self, contract: Said, fill: Filled) -> Fraction | None:
        if fill.fee_ccy == contract["settle"]:
            return fill.fee
        if contract["kind"] == "spot" and fill.fee_ccy == contract["base"]:
            return fill.fee * fill.price
        rate, unit = self.rate(fill.fee_ccy, fill.key), self.rate(contract["settle"], fill.key)
        return None if rate is None or unit is None else fill.fee * rate / unit

    def _flags(self, positions: Numbers, orders: Numbers) -> list[str]:
        flags = [f"no_mark:{name}" for name, one in positions.items()
                 if one["qty"] and one["mark"] is None]  # fmt: skip
        flags += [f"fill_conflict:{one}" for one in self.conflicts]
        flags += [f"overfill:{name}" for name, order in orders.items() if order["over"]]
        begun = [order["event"] for order in orders.values()]
        flags += list({f"rogue_fill:{fill.id}" for fill in self.fills if fill.order != ABSENT
                       and not any(is_its_own(order, fill) for order in begun)})  # fmt: skip
        return sorted(flags)

    def _account(self, fold: Numbers, positions: Numbers) -> Numbers:
        assert self.owner is not None
        equity = fold["samples"][-1][1]
        peak = fold["peak"]
        drawdown = None if equity is None else peak - equity
        sums: list[Fraction | None] = [NOUGHT, NOUGHT, NOUGHT]
        for symbol, one in positions.items():
            contract = self.contracts[symbol]
            rate = self.rate(contract["quote"])
            price = Fraction(1) if contract["kind"] == "inverse" else one["mark"]
            for at, qty in enumerate((abs(one["qty"]), one["qty"], one["worst"])):
                if qty and (rate is None or price is None):
                    sums[at] = None
                elif qty and sums[at] is not None:
                    value = qty * Fraction(contract.get("multiplier", 1)) * price * rate
                    sums[at] += value if at == 1 else abs(value)  # type: ignore[operator]  # it is known
        found: Numbers = {
            "ccy": self.owner["ccy"], "equity": equity, "peak_equity": peak, "drawdown": drawdown,
            "drawdown_pct": drawdown / peak * 100 if drawdown is not None and peak > 0 else None,
            "max_drawdown": None if peak is None else fold["fall"],
            "gross_notional": sums[0], "net_notional": sums[1], "worst_gross_notional": sums[2],
        }  # fmt: skip
        if self.clock is not None:
            for name, day in (("session", None), ("week", self.clock.get("week_start", "monday"))):
                found.update(self._period(name, day, fold, equity))
        return found

    def _period(self, name: str, day: str | None, fold: Numbers, equity: Any) -> Numbers:
        if not self.timed:
            return {f"{name}_{key}": None for key in ("start", "realized", "pnl")}
        begin = max(self.boundary(day), min(self.timed))
        booked = [value for key, value in fold["booked"] if key[0] >= begin]
        before = [sample for sample in fold["samples"] if sample[0][0] < begin]
        at, opened = (before or fold["samples"])[-1 if before else 0]
        moved = sum((value for key, value in fold["moved"] if key > at), NOUGHT)
        known = opened is not None and equity is not None
        instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=begin // 1000)
        return {
            f"{name}_start": instant.isoformat().replace("+00:00", "Z"),
            f"{name}_realized": None if None in booked else sum(booked, NOUGHT),
            f"{name}_pnl": equity - opened - moved if known else None,
        }

    def boundary(self, weekday: str | None) -> int:
        """The latest reset so far, looked for from far back."""
        assert self.clock is not None
        zone, now = ZoneInfo(self.clock.get("tz", "UTC")), max(self.timed)
        hour, minute = map(int, self.clock.get("reset", "00:00").split(":"))
        today, found = datetime.fromtimestamp(now / 10**9, UTC), 0
        for back in range(-2, 10):
            day = today - timedelta(days=back)
            wall = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
            instant = int(wall.timestamp()) * 10**9
            if instant <= now and weekday in (None, DAYS[wall.weekday()]):
                found = max(found, instant)
        return found


def differences(shown: Any, exact: Any, where: str = "") -> list[str]:
    """Where a document says something else than the oracle. Its numbers are rounded, once."""
    if isinstance(exact, dict) and isinstance(shown, dict):
        found = [f"{where}: keys {sorted(shown)} and {sorted(exact)}"] * (set(shown) != set(exact))
        for key in set(shown) & set(exact):
            found += differences(shown[key], exact[key], f"{where}/{key}")
        return found
    if isinstance(exact, Fraction | int) and isinstance(shown, str):
        near = abs(Fraction(shown) - exact) <= abs(exact) / 10**26 + Fraction(1, 10**29)
        return [] if near else [f"{where}: {shown}, not {float(exact)}"]
    return [] if shown == exact else [f"{where}: {shown}, not {exact}"]


@pytest.fixture
def log() -> Log:
    """Nothing has happened."""
    return Log()


@pytest.fixture(scope="session")
def new_log() -> Callable[..., Log]:
    return Log


@pytest.fixture(scope="session")
def oracle() -> Callable[[Sequence[Said]], Numbers]:
    return lambda events: Oracle(events).document()


@pytest.fixture(scope="session")
def disagree() -> Callable[[Any, Any], list[str]]:
    return differences
