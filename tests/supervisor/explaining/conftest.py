"""A day of everything that can happen to a gate, by chance and always the same: orders with all
fields and hostile ones, what becomes of them, marks, halts, other limits, sessions that end, and
restarts from snapshots. Its facts are kept as the journal would have them.
"""

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
import pytest
from riskd.actors.core import limits as core
from riskd.actors.core.gate.asked import Identity
from riskd.actors.core.kill_switch import NotAllowed
from riskd.actors.core.position_keeper import NotBooked, booked
from riskd.actors.gate import Gate
from riskd.actors.messages import (
    AccountClosed,
    AccountOpened,
    Booked,
    By,
    DaemonStarted,
    EdgeReported,
    EquityAgreed,
    EquityDrifted,
    EquityReported,
    Fact,
    Given,
    Halt,
    HaltPlaced,
    HaltsLifted,
    InstrumentDelisted,
    InstrumentListed,
    KillSwitchTriggered,
    Limits,
    LimitsLoosened,
    LimitsTightened,
    Listing,
    OrderAsked,
    OrderDecided,
    OverrideApproved,
    OverrideRequested,
    OverrideRevoked,
    Recorded,
    RecoveryCompleted,
    RecoveryStarted,
    RuleRearmed,
    RuleTripped,
    SessionClockSet,
    SessionReset,
    Terms,
    UntilOperator,
    VenueStated,
)
from riskd.actors.messages.book import AnyEvent, Tick
from riskd.actors.messages.signal import (
    RiskSignal,
    RiskSignalChanged,
    RiskSnapshot,
    SignalEased,
    SignalNoted,
    SignalWorsened,
)
from riskd.config.schema.factors import Factor
from riskd.config.schema.rules import AnyRule
from riskd.supervisor import ledger
from riskd.supervisor.journal import Snapshot
from riskd.supervisor.known import Known

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
BY = By(via="socket", user_id=0, user="root", process_id=1)
ACCOUNTS = {"main": "sim", "other": "sim", "third": "far"}
SYMBOLS = {"BTC": "50000", "ETH": "2000", "INV": "50000", "EUR": "100"}
STRATEGIES = (None, "mm", "arb", "odd")
WORKERS = {
    "mm-1": Identity("mm-1", "main", "mm"),
    "mm-2": Identity("mm-2", "main", None),
    "lost": Identity("lost", ""),
}
HOSTILE = (
    *("0", "-1", "1e999", "NaN", "Infinity", "-0", "1e-60", "9" * 61, "1_000", "0x10", "", " 1"),
    *("1E+2", "00.50", "+3", "1.10", "0.0000000000000000001", "1e60", 7, "٣"),
)
RULES: tuple[dict[str, Any], ...] = (
    {"kind": "fresh_data", "max_mark_age_s": 120, "action": "warn"},
    {"kind": "order_types", "allow": ["limit", "market", "stop"]},
    {"kind": "strategy_whitelist", "scope": "account:main", "strategies": ["mm", "arb"]},
    {"kind": "symbol_restricted", "scope": "account:other", "deny": ["EUR"]},
    {"kind": "session_hours", "hours": ["00:00-23:50"], "days": ["friday", "saturday"],
     "zone": "Europe/Berlin"},
    {"kind": "max_order_qty", "max_qty": "40", "on_excess": "scale_down"},
    {"kind": "max_order_notional", "max_notional": "900000", "on_excess": "scale_down",
     "factor": "wild"},
    {"kind": "price_collar", "max_pct": "20", "max_drift_pct": "60", "drift_s": 300},
    {"kind": "duplicate_order", "within_s": 2, "max_orders": 2},
    {"kind": "self_match", "scope": "strategy:arb"},
    {"kind": "message_rate", "window_s": 10, "max_submits": 60, "max_cancels": 40},
    {"kind": "repeated_execution", "scope": "strategy:mm", "max_executions": 25, "window_s": 20},
    {"kind": "consecutive_rejects", "scope": "account:main", "max_rejects": 6, "lockout_s": 5},
    {"kind": "order_to_fill", "max_ratio": "50", "min_orders": 200, "window_s": 60},
    {"kind": "max_working_orders", "max_orders": 160, "max_per_symbol": 60},
    {"kind": "trade_frequency", "scope": "account:other", "counts": "orders", "max_per_minute": 150,
     "max_per_session": 3000, "minute_lockout_s": 5, "session_lockout_s": 60},
    {"kind": "daily_turnover", "max_notional": "800000000"},
    {"kind": "max_position", "scope": "symbol:BTC", "max_qty": "90", "on_excess": "scale_down"},
    {"kind": "max_position", "scope": "account:main", "max_long": "70", "max_short_notional":
     "3000000", "on_excess": "scale_down"},
    {"kind": "max_inventory", "scope": "strategy:mm", "max_qty": "60", "on_excess": "scale_down"},
    {"kind": "max_contracts_per_instrument", "scope": "exchange:sim", "max_contracts": "110"},
    {"kind": "max_gross", "scope": "account:main", "max_pct": "900", "on_excess": "scale_down"},
    {"kind": "max_total_notional", "max_notional": "12000000", "on_excess": "scale_down"},
    {"kind": "max_net", "scope": "exchange:sim", "max_notional": "9000000"},
    {"kind": "max_contracts", "scope": "worker:mm-1", "max_contracts": "55", "basis": "gross"},
    {"kind": "max_leverage", "scope": "account:other", "max_leverage": "8"},
    {"kind": "max_open_positions", "scope": "account:third", "max_positions": 3},
    {"kind": "concentration", "max_pct": "600", "basis": "equity"},
    {"kind": "margin", "scope": "account:third", "margin_pct": "5", "max_used_pct": "90"},
    {"kind": "liquidation_distance", "scope": "account:other", "margin_pct": "1", "min_pct": "1"},
    {"kind": "single_trade_risk", "max_risk": "700000", "on_excess": "scale_down"},
    {"kind": "var_limit", "scope": "worker:mm-2", "max_var": "3000000", "max_pct": "500",
     "on_excess": "scale_down"},
    {"kind": "es_limit", "scope": "account:third", "max_es": "2000000", "max_mark_age_s": 60},
    {"kind": "daily_loss", "scope": "account:main", "max_loss": "600000", "factor": "hours"},
    {"kind": "daily_realized_loss", "scope": "strategy:arb", "max_loss": "300000"},
    {"kind": "daily_unrealized_loss", "max_pct": "40"},
    {"kind": "weekly_loss", "max_pct": "70"},
    {"kind": "drawdown", "scope": "account:third", "max_pct": "60"},
    {"kind": "position_loss", "scope": "account:other", "max_loss": "400000"},
    {"kind": "daily_profit", "scope": "account:third", "give_back_pct": "80", "give_back_from":
     "100000"},
    {"kind": "max_unrealized_profit", "scope": "symbol:ETH", "max_profit": "500000"},
    {"kind": "consecutive_losses", "scope": "strategy:mm", "max_losses": 12},
    {"kind": "cooldown_after_loss", "scope": "account:third", "min_loss": "50000", "lockout_s": 10},
    {"kind": "edge_floor", "scope": "strategy:arb", "min_bps": "1", "max_age_s": 600},
    {"kind": "rogue_order", "scope": "account:third"},
    {"kind": "unknown_order_age", "scope": "account:main", "max_age_s": 60},
    {"kind": "auth_loss", "scope": "account:other", "action": "block"},
    {"kind": "reconciliation", "scope": "account:third", "action": "block"},
    {"kind": "trade_management", "scope": "account:main", "trail_pct": "2"},
    {"kind": "stop_required", "scope": "account:other", "grace_s": 40, "action": "block"},
    {"kind": "orphan_order", "scope": "account:third", "grace_s": 90, "action": "block"},
    {"kind": "feed_silence", "scope": "symbol:EUR", "max_age_s": 300},
)  # fmt: skip
"""Every kind, so wide that each lets much pass and stops some."""
FACTORS = {
    "wild": Factor(calm_pct=Decimal(150), symbols={"ETH": Decimal("0.7")}),
    "hours": Factor(hours={"12:10-12:20": Decimal("0.5"), "12:15-12:40": Decimal("0.3")}),
}
KEYS = (
    *(("max_order_qty@all", "max_qty", each) for each in ("12", "40", "25.5")),
    *(("max_position@symbol:BTC", "max_qty", each) for each in ("20", "90", "1e2")),
    *(("max_total_notional@all", "max_notional", each) for each in ("4000000", "12000000")),
    *(("message_rate@all", "max_submits", each) for each in ("20", "60")),
    *(("drawdown@account:third", "max_pct", each) for each in ("30", "60")),
)

FOLDED_MAX = 2_000
"""Facts that a start reads: with more the day would be nothing but starts."""

_encode = msgspec.json.Encoder().encode


def listing(symbol: str) -> InstrumentListed:
    is_inverse = symbol == "INV"
    found = Listing(
        symbol=symbol,
        kind="inverse" if is_inverse else "linear",
        multiplier=Decimal("0.5" if symbol == "ETH" else 1),
        quote="EUR" if symbol == "EUR" else "USD",
        settle="BTC" if is_inverse else "EUR" if symbol == "EUR" else "USD",
        base="BTC" if is_inverse else None,
        tick=Decimal("0.5"),
        lot=None if symbol == "EUR" else Decimal("0.001"),
        min_qty=Decimal("0.01"),
        max_qty=Decimal(1000),
    )
    return InstrumentListed(listing=found)


class Day:
    """`facts`: as they are stored, from the first."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)  # noqa: S311 - a day, no secret
        self.at, self.passed_s, self.boots = NOON, 100.0, 1
        self.facts: list[bytes] = []
        self.decisions = self.names = self.halts = 0
        self.working: deque[OrderDecided] = deque(maxlen=60)
        self.asked: deque[tuple[OrderAsked, Identity]] = deque(maxlen=40)
        self.prices = {symbol: Decimal(price) for symbol, price in SYMBOLS.items()}
        self.snapshot: Snapshot | None = None
        self.begin(Known())
        self.commit(self.started(), *self.opening())
        for account in ACCOUNTS:
            self.commit(VenueStated(account=account, can_trade=True, reason=None, at=self.at))
        self.quote(*SYMBOLS)
        self.ask()

    def run(self, decisions: int) -> None:
        acts: list[tuple[Callable[[], None], int]] = [
            (self.ask, 200), (self.pass_time, 60), (self.fill, 60), (self.mark, 80), (self.end, 60),
            (self.happen, 12), (self.again, 10), (self.amend, 20), (self.limit, 6), (self.halt, 8),
            (self.reset, 2), (self.hear_equity, 3), (self.trip, 2), (self.override, 8),
            (self.relist, 1), (self.signal, 3), (self.kill, 1), (self.remember, 1),
            (self.restart, 1),
        ]  # fmt: skip
        some, weights = [act for act, _ in acts], [weight for _, weight in acts]
        while self.decisions < decisions:
            (act,) = self.chance.choices(some, weights)
            act()

    # --- riskd

    def begin(self, known: Known) -> None:
        self.known = known
        self.gate = Gate(
            books=known.books, halts=known.halts, answers=known.answers, overrides=known.overrides,
            raised=known.signals.raised, limits=known.limits, commit=self.commit, clock=self,
            doubt=lambda: None, has_failed=lambda: False, serves=lambda: True,
            keeps_positions=lambda: True, ticket_s=lambda: 2.0, lsn=lambda: len(self.facts),
        )  # fmt: skip

    def commit(self, *facts: Fact) -> int:
        for fact in facts:
            lsn = len(self.facts) + 1
            recorded = Recorded(lsn=lsn, at=self.at, monotonic_s=self.passed_s, fact=fact)  # type: ignore[arg-type]  # every Fact is of AnyFact
            self.facts.append(_encode(recorded))
            for projection in self.known.projections():
                projection.apply(recorded)
            self.decisions += isinstance(fact, OrderDecided)
            if isinstance(fact, OrderDecided) and fact.verdict.decision != "block":
                self.working.append(fact)
        return len(self.facts)

    def now(self) -> datetime:
        return self.at

    def monotonic_s(self) -> float:
        return self.passed_s

    def boot(self) -> str:
        return f"boot-{self.boots}"

    def remember(self) -> None:
        """A snapshot, from which the next start goes on."""
        dumps = [(p.name, p.version, p.dump()) for p in self.known.projections()]
        body = b"".join(ledger._body(dumps))
        self.snapshot = Snapshot(len(self.facts), 0, (body,))

    def restart(self) -> None:
        if self.snapshot is None or len(self.facts) - self.snapshot.lsn > FOLDED_MAX:
            self.remember()
        known, after = Known(), 0 if self.snapshot is None else self.snapshot.lsn
        ledger.restore(known.projections(), self.snapshot)
        for stored in self.facts[after:]:
            recorded = msgspec.json.decode(stored, type=Recorded)
            for projection in known.projections():
                projection.apply(recorded)
        self.begin(known)
        if self.chance.random() < 0.5:
            self.boots += 1
            self.passed_s = 5.0
        self.commit(self.started())

    def started(self) -> Fact:
        return DaemonStarted(
            version="1", process_id=1, boot=self.boot(), config_source="", config_digest=""
        )

    def opening(self) -> list[Fact]:
        rules = tuple(
            Given(rule=msgspec.convert(rule, AnyRule, strict=False), source="config")
            for rule in RULES
        )
        limits = Limits(on_excess="block", factors=FACTORS, rules=rules, settings=())
        return [
            SessionClockSet(tz="UTC", reset="00:00", week_start="monday"),
            *map(listing, SYMBOLS),
            *(
                AccountOpened(account=name, currency="USD", balance=Decimal(10**6), exchange=venue)
                for name, venue in ACCOUNTS.items()
            ),
            Booked(account=None, event=Tick(ts=self.at.isoformat())),
            LimitsTightened(limits=limits, changes=(), by=BY, reason="begin"),
        ]

    # --- what happens

    def tell(self, account: str | None, type_: str, **fields: Any) -> None:
        event = msgspec.convert({"type": type_, **fields}, AnyEvent)
        try:
            facts = booked(self.known.books, account, [event], self.at)
        except NotBooked:
            return
        self.commit(*facts)

    def pass_time(self) -> None:
        seconds = self.chance.choice((0.001, 0.25, 0.5, 1, 3))
        self.passed_s += seconds
        self.at += timedelta(seconds=seconds * self.chance.choice((1, 1, 1, 1.5, -0.5)))

    def some(self) -> OrderDecided | None:
        return self.chance.choice(self.working) if self.working else None

    def ask(self) -> None:
        chance = self.chance
        worker = chance.choices((None, *WORKERS), (60, 20, 20, 1))[0]
        symbol = chance.choices((*SYMBOLS, "NONE"), (30, 30, 15, 15, 1))[0]
        self.names += 1
        side = chance.choice(("buy", "sell"))
        away = chance.randint(-1, 12) * (-1 if side == "buy" else 1)
        price = self.prices.get(symbol, Decimal(1)) * (100 + away) / 100
        fields: dict[str, Any] = {
            "client_order_id": f"o{self.names}",
            "account": chance.choices((*ACCOUNTS, "none"), (30, 15, 15, 1))[0],
            "symbol": symbol,
            "side": side,
            "qty": str(chance.choice((1, 2, "0.5", "1.250", 5, "3.3", "0.110", 15, 60, "2e1"))),
            "strategy": chance.choices(STRATEGIES, (1, 6, 6, 1))[0],
        }
        if chance.random() < 0.7:
            fields["price"] = str(price - price % Decimal("0.5"))
        if chance.random() < 0.2:
            fields["stop_loss"] = str(price - price % 1)
        if chance.random() < 0.1:
            fields |= {"order_type": chance.choice(("stop", "stop_limit", "market", "limit"))}
            fields |= {"stop_price": str(price - price % 1), "leverage": "5"}
        if chance.random() < 0.04:
            fields["exchange"] = chance.choice(("sim", "far"))
        if chance.random() < 0.15:
            fields["reduce_only"] = True
        if chance.random() < 0.06:
            field = chance.choice(("qty", "price", "stop_price", "stop_loss", "leverage"))
            fields[field] = chance.choice(HOSTILE)
        if chance.random() < 0.02:
            fields["override"] = f"ov{chance.randint(1, 3)}"
        who = Identity() if worker is None else WORKERS[worker]
        if worker is not None and chance.random() < 0.95:
            fields |= {"account": who.account or "main", "strategy": who.strategy or "mm"}
        self.check(msgspec.convert(fields, OrderAsked), who)

    def check(self, order: OrderAsked, who: Identity) -> None:
        self.asked.append((order, who))
        self.gate.check(order, who)

    def again(self) -> None:
        """An id that was used: by the same or by another, for the same or for something else."""
        order, who = self.chance.choice(self.asked)
        if self.chance.random() < 0.5:
            order = msgspec.structs.replace(order, qty=3)
        if self.chance.random() < 0.3:
            who = self.chance.choice((Identity(), *WORKERS.values()))
        self.check(order, who)

    def amend(self) -> None:
        """One that works, or worked, is to become another."""
        found = self.some()
        if found is not None:
            qty = self.chance.choice(("0.5", "4", "9.5", "60", "x"))
            order = msgspec.structs.replace(found.order, qty=qty)
            who = Identity(found.worker, found.worker_account, found.worker_strategy)
            self.gate.check(order, who, amends=True)

    def fill(self) -> None:
        found = self.some()
        if found is not None:
            order, self.names = found.order, self.names + 1
            part = self.chance.choice(("1", "0.3", "0.9995"))
            price = self.prices[order.symbol] * self.chance.randint(98, 102) / 100
            self.tell(
                order.account, "fill", id=f"f{self.names}", symbol=order.symbol, side=order.side,
                qty=str(found.verdict.qty * Decimal(part)), price=str(price), fee="0.01",
                order=self.chance.choice((order.client_order_id,) * 200 + (None,)),
            )  # fmt: skip

    def end(self) -> None:
        found = self.some()
        if found is not None:
            how = self.chance.choice(("cancel_request", "cancel", "cancel", "reject", "expire"))
            self.tell(found.order.account, how, id=found.order.client_order_id)

    def happen(self) -> None:
        found, chance = self.some(), self.chance
        account = chance.choice(tuple(ACCOUNTS))
        if found is None or chance.random() < 0.3:
            self.names += 1
            amount = str(chance.randint(-2000, 3000))
            self.tell(account, "transfer", id=f"t{self.names}", ccy="USD", amount=amount)
            self.tell(account, "funding", id=f"u{self.names}", symbol="BTC", amount=amount)
            self.commit(
                EdgeReported(strategy="arb", symbol=None, bps=Decimal(chance.choice(("5", "0.1"))))
            )
            return
        name = found.order.client_order_id
        how = chance.choice(("timeout", "amend_request", "amend", "amend_reject", "order"))
        more: dict[str, Any] = {"qty": "7.5"} if how in ("amend_request", "amend") else {}
        if how == "order":
            more = {"symbol": found.order.symbol, "side": found.order.side, "qty": "1"}
            name = "from-nowhere" if chance.random() < 0.05 else name
        self.tell(found.order.account, how, id=name, **more)

    def mark(self) -> None:
        symbol = self.chance.choice(tuple(SYMBOLS))
        moved = self.prices[symbol] * self.chance.randint(970, 1030) / 1000
        self.prices[symbol] = moved.quantize(Decimal("0.5"))
        self.quote(symbol, account=self.chance.choice((None, None, None, *ACCOUNTS)))

    def quote(self, *symbols: str, account: str | None = None) -> None:
        for symbol in symbols:
            self.tell(account, "mark", symbol=symbol, price=str(self.prices[symbol]))
        if len(symbols) > 1 or self.chance.random() < 0.1:
            self.tell(None, "fx", ccy="EUR", rate=self.chance.choice(("1.1", "1.095")))
            self.tell(None, "fx", ccy="BTC", rate=str(self.prices["BTC"]))

    # --- what is done

    def limit(self) -> None:
        """Another limit; or what has latched begins anew."""
        limits, rule = self.known.limits, self.chance.choice(KEYS)
        if self.chance.random() < 0.2:
            name = self.chance.choice(sorted(limits.memories))
            self.commit(
                RuleRearmed(rule=name, scope=name.partition("@")[2], by=BY, approved_by=None,
                            reason="seen to")
            )  # fmt: skip
            return
        try:
            new = core.put(limits.now, *rule, by=BY, at=self.at, reason="chance")
        except NotAllowed:
            return
        if self.chance.random() < 0.3:
            other = self.chance.choice(("block", "scale_down"))
            new = msgspec.structs.replace(new, on_excess=other)
        while (fact := core.next_fact(limits.now, new, by=BY, reason="chance")) is not None:
            assert isinstance(fact, LimitsTightened | LimitsLoosened)
            self.commit(fact)

    def halt(self) -> None:
        placed = self.known.halts.now.halts
        if placed:
            ids = tuple(placed)
            self.commit(
                HaltsLifted(halt_ids=ids, scope="all", by=BY, approved_by=None, reason="seen to")
            )
            return
        if self.chance.random() < 0.5:
            return
        halt = Halt(
            scope=self.chance.choice(("symbol:ETH", "account:main", "strategy:mm", "worker:mm-2")),
            mode=self.chance.choice(("halt", "reduce_only")),
            cause="manual",
            source="operator",
            reason="chance",
            until=UntilOperator(),
        )
        self.commit(HaltPlaced(halt_id=self.known.halts.now.next_id, halt=halt, by=BY))

    def kill(self) -> None:
        self.commit(KillSwitchTriggered(by=BY, cause="manual", source="operator", reason="chance"))
        for _ in range(self.chance.randint(0, 5)):
            self.ask()
        self.commit(RecoveryStarted(by=BY, approved_by="eve", cooldown_s=1.0))
        self.ask()
        self.commit(RecoveryCompleted(by=BY))

    def override(self) -> None:
        """Two persons let an order pass; it may come, be too large, or come too late."""
        name = self.known.overrides.next_id
        terms = Terms(
            account="main", symbol="BTC", side="buy", max_qty=Decimal(50), price_limit=None,
            rules=(
                "max_order_qty@all", "max_position@symbol:BTC", "max_position@account:main",
                "max_order_notional@all", "max_total_notional@all", "max_inventory@strategy:mm",
                "max_contracts_per_instrument@exchange:sim", "single_trade_risk@all",
            ), for_s=30.0,
        )  # fmt: skip
        self.commit(OverrideRequested(override=name, terms=terms, by=BY, reason="chance"))
        until = self.at + timedelta(seconds=terms.for_s)
        if self.chance.random() < 0.9:
            self.commit(
                OverrideApproved(
                    override=name, terms=terms, by=BY, requested_by=BY, at=self.at, until=until
                )
            )
        if self.chance.random() < 0.2:
            self.commit(OverrideRevoked(override=name, by=BY, reason="chance"))
        for qty in self.chance.sample(("45", "60", "41", "1"), 2):
            self.names += 1
            order = OrderAsked(
                client_order_id=f"o{self.names}", account="main", symbol="BTC", side="buy",
                qty=qty, price="49000", strategy="mm", override=name,
            )  # fmt: skip
            self.check(order, Identity())
            self.pass_time()

    def signal(self) -> None:
        level: Any = self.chance.choice(("info", "info", "warning", "critical"))
        signal = RiskSignal(level=level, score=50, action_required=self.chance.random() < 0.1)
        if self.chance.random() < 0.5:
            scope = self.chance.choice(("all", "account:main", "exchange:far"))
            figures = RiskSnapshot(currency=None)
            self.commit(RiskSignalChanged(scope=scope, signal=signal, snapshot=figures))
            return
        kind = self.chance.choice((SignalWorsened, SignalEased, SignalNoted))
        self.commit(
            kind(
                source="outside", state="said", signal=signal, reason=None, by=None, worker=None,
                said_at=None,
            )
        )  # fmt: skip

    def trip(self) -> None:
        self.commit(
            RuleTripped(
                rule="cooldown_after_loss@account:third", scope="account:third", account="third",
                symbol=None, kind="cooldown_after_loss", action="reduce_only",
                limit=Decimal(1), value=Decimal(2), missing=None,
            )
        )  # fmt: skip

    def reset(self) -> None:
        account = self.chance.choice(tuple(ACCOUNTS))
        is_week = self.chance.random() < 0.3
        self.commit(
            SessionReset(
                account=account, at=self.at, is_week=is_week, realized=None, pnl=None,
                week_realized=None, week_pnl=None,
            )
        )  # fmt: skip

    def hear_equity(self) -> None:
        """Of the broker; and of the venue, whether it may trade at all."""
        account = self.chance.choice(tuple(ACCOUNTS))
        is_well = self.chance.random() < 0.9
        self.commit(VenueStated(account=account, can_trade=is_well, reason=None, at=self.at))
        ours = self.known.books.accounts[account].book.worth.equity
        theirs = Decimal("1000000.00") if ours is None else ours
        self.commit(EquityReported(account=account, theirs=theirs, ours=ours))
        if self.chance.random() < 0.1:
            self.commit(
                EquityDrifted(account=account, theirs=theirs, ours=ours, allowed=Decimal(1))
            )
        else:
            self.commit(EquityAgreed(account=account, theirs=theirs, ours=theirs))

    def relist(self) -> None:
        """Something is taken away for a while."""
        self.commit(InstrumentDelisted(symbol="EUR"), AccountClosed(account="third"))
        for _ in range(5):
            self.ask()
        self.commit(
            listing("EUR"),
            AccountOpened(account="third", currency="USD", balance=Decimal(10**6), exchange="far"),
        )


@pytest.fixture(scope="module")
def day_of() -> type[Day]:
    return Day
