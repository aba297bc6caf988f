"""The vocabulary's bytes: one golden file a tag, which old journals and other programs rely on.

A change of a file is a change of the protocol. After a new message, or a wanted change:

    RISKD_WRITE_GOLDEN=1 python -m pytest tests/test_messages.py

writes the files from SAMPLES; then look at the difference before you commit it.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from riskd.actors import messages as m
from riskd.actors.messages.book import Fill, Mark
from riskd.actors.messages.counters import Bucket, Counter, Gauge, Histogram
from riskd.config.schema import Factor
from riskd.config.schema.rules import MaxPosition

GOLDEN = Path(__file__).parent / "golden" / "messages"
WRITE = "RISKD_WRITE_GOLDEN"

Kind = type[m.Command] | type[m.Reply] | type[m.Push] | type[m.Report] | type[m.Fact]
KINDS: dict[Kind, Any] = {
    m.Command: m.ClientCommand,
    m.Reply: m.AnyReply,
    m.Push: m.AnyPush,
    m.Report: m.Pulse,
    m.Fact: m.AnyFact,
}
"""Each kind, and what its bytes are decoded as."""

CHILD = {"supervisor": "riskd/watchdogs", "child": "heartbeat"}
BY = m.By(via="socket", user_id=1000, user="bob", process_id=4711)
RELOADED = m.ConfigReloaded(
    source="riskd.toml",
    digest="5ee7",
    changed=("riskd.log_level",),
    needs_restart=("control.max_clients",),
    by=BY,
)
HALT = m.Halt(
    scope="account:main",
    mode="reduce_only",
    cause="manual",
    source="operator",
    reason="news",
    until=m.UntilElapsed(seconds=900.0),
)
FILL = Fill(
    id="f1", symbol="BTCUSDT", side="buy", qty=Decimal("0.25"), price=Decimal("64000.10"),
    fee=Decimal("3.2"), fee_ccy="USDT", order="o1", ts="2026-01-02T03:04:05Z",
)  # fmt: skip
LISTING = m.Listing(
    symbol="BTCUSDT", kind="linear", multiplier=Decimal(1), quote="USD", settle="USD", base="BTC",
    tick=Decimal("0.1"), lot=Decimal("0.001"), min_qty=Decimal("0.001"), max_qty=Decimal(1000),
    min_notional=Decimal(5), zone="America/Chicago",
)  # fmt: skip

AT = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
ASKED = m.OrderAsked(
    client_order_id="a1",
    account="main",
    symbol="BTCUSDT",
    side="buy",
    qty="0.5",
    price="50000",
    order_type="limit",
    exchange="sim",
    strategy="mm",
    leverage="2",
    override="ov7",
)
CUT = m.Verdict(
    decision="scale_down",
    qty=Decimal("0.2"),
    code="max_position",
    rule="max_position",
    scope="account:main",
    limit=Decimal(2),
    value=Decimal("2.3"),
    headroom=Decimal("0.2"),
    max_qty=Decimal("0.2"),
    risk_level="warning",
    override="ov7",
)
TOLD = {"account": "main", "client_order_id": "a1", "ts": "2026-01-02T03:04:05Z"}

CHANGE = m.LimitChange(
    rule="max_position@all",
    how="tightened",
    keys=(m.KeyChange(key="max_qty", old="2", new="1.5"),),
)
LIMITS = m.Limits(
    on_excess="block",
    on_excess_of={"main": "scale_down"},
    factors={"night": Factor(hours={"22:00-06:00": Decimal("0.5")}, calm_pct=Decimal(2))},
    rules=(
        m.Given(
            rule=MaxPosition(max_qty=Decimal("1.5")),
            source="config",
            configured=MaxPosition(max_qty=Decimal(2)),
        ),
    ),
    settings=(
        m.Setting(
            rule="max_position@all",
            key="max_qty",
            value="1.5",
            instead_of="2",
            by=BY,
            at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            reason="news",
            approved_by="alice",
        ),
    ),
)
BROKEN: dict[str, Any] = {
    "rule": "position_loss@all",
    "scope": "account:main",
    "account": "main",
    "symbol": "BTCUSDT",
}
LOST = {"limit": Decimal(500), "value": Decimal("512.5")}

TERMS = m.Terms(
    account="main",
    symbol="BTCUSDT",
    side="sell",
    max_qty=Decimal("2.5"),
    price_limit=Decimal(49_000),
    rules=("max_order_qty@all",),
    for_s=600.0,
)

BAD: dict[str, Any] = {
    "level": "critical",
    "score": 100,
    "critical_issues": ("drawdown_pct has reached 20",),
    "warnings": ("gross_leverage has reached 10",),
    "tier": "emergency",
    "action_required": True,
}
SNAPSHOT = m.RiskSnapshot(
    currency="USD",
    equity=Decimal(80_000),
    drawdown_pct=Decimal(20),
    gross_leverage=Decimal("10.5"),
    net_leverage=Decimal("2.25"),
    daily_pnl=Decimal(-2_000),
    daily_loss_pct=Decimal("2.439025"),
    weekly_pnl=Decimal(-5_000),
    weekly_loss_pct=Decimal("5.882353"),
    concentration_pct=Decimal(420),
    value_at_risk=Decimal("2326.35"),
    expected_shortfall=Decimal("2665.21"),
)
HEARD: dict[str, Any] = {
    "source": "outside",
    "state": "stale",
    "signal": m.RiskSignal(**BAD),
    "reason": "it is 61 s old, and is believed for 60 s",
    "by": BY,
    "worker": "mm-1",
    "said_at": AT,
}

SAMPLES: tuple[m.Command | m.Reply | m.Push | m.Report | m.Fact, ...] = (
    m.Hello(id=1, token="t0k3n", role="observer", protocol=1),  # noqa: S106 - no secret of anybody
    m.Version(id="a-1"),
    m.Status(id=2),
    m.Actors(id=3),
    m.KillActor(id=4, name="heartbeat"),
    m.ShowConfig(id=5),
    m.Reload(id=6),
    m.Subscribe(id=7, from_lsn=12, facts=("child_failed", "halted"), actor="gate", account="main"),
    m.Trigger(id=8, reason="the feed is wrong", scope="exchange:binance"),
    m.Recover(id=9, approved_by="alice"),
    m.CompleteRecovery(id=10),
    m.Freeze(
        id=11, scope="account:main", reason="news", reduce_only=True, for_s=900.0, session=True
    ),
    m.Unfreeze(id=12, scope="account:main", reason="news is out", approved_by="alice"),
    m.ShowHalts(id=13),
    m.Metric(id=14, name="latency_ms", value="12.50"),
    m.ReportEvents(
        id=15, account="main", events=[FILL, Mark(symbol="BTCUSDT", price=Decimal("64010.5"))]
    ),
    m.ReportEquity(id=16, account="main", equity="100250.75"),
    m.ShowPositions(id=17, account="main", symbol="BTCUSDT", after=("main", "ADAUSDT"), limit=50),
    m.ShowOrders(id=18, account="main", symbol="BTCUSDT", after=("main", "o-1"), limit=50),
    m.ShowPnl(id=19, account="main"),
    m.ShowCounters(id=67),
    m.ShowLimits(id=15, account="main", scope="account:main", after="max_position@all", limit=7),
    m.SetLimit(
        id=16,
        rule="max_position@all",
        key="max_qty",
        value="1.5",
        reason="news",
        approved_by="alice",
    ),
    m.RearmRule(id=66, rule="repeated_execution@all", reason="mended", approved_by="alice"),
    m.ResetLimit(
        id=17, rule="max_position@all", key="max_qty", reason="news is out", approved_by="alice"
    ),
    m.PreviewReload(id=18),
    m.Explain(id=70, decision_id="1207"),
    m.WhatIf(
        id=71,
        orders=[ASKED],
        marks={"BTCUSDT": "-5%"},
        limits=(m.LimitPut(rule="max_position@all", key="max_qty", value="3"),),
        together=True,
    ),
    m.Edge(id=15, strategy="mm", symbol="BTCUSDT", bps="2.5"),
    m.VenueSays(id=15, account="main", can_trade=False, reason="key expired", ts=1_760_000_000),
    m.Welcome(
        id=1,
        role="worker",
        user_id=1000,
        process_id=4711,
        worker="mm-1",
        version="0.1.0",
        protocol=1,
    ),
    m.VersionIs(id="a-1", version="0.1.0", protocol=1, python="3.11.7"),
    m.StatusIs(id=2, status={"state": "serving", "halts": []}),
    m.ActorsAre(id=3, actors=[{"name": "heartbeat", "restarts": 1}]),
    m.ActorKilled(id=4, name="heartbeat", incarnation=7),
    m.ConfigIs(id=5, source="riskd.toml", config={"riskd": {"log_level": "info"}}),
    m.Reloaded(
        id=6,
        source="riskd.toml",
        changed=["riskd.log_level"],
        needs_restart=["control.x"],
        limits=[CHANGE],
        waiting=[CHANGE],
    ),
    m.Subscribed(id=7, from_lsn=12, lsn=4711),
    m.SwitchIs(id=8, changed=True, kill_switch={"state": "KILLED"}, halts=[{"halt_id": 3}]),
    m.HaltsAre(id=11, changed=[3], kill_switch={"state": "ACTIVE"}, halts=[{"halt_id": 3}]),
    m.Taken(id=14),
    m.Reported(id=15, lsn=4711, booked=2),
    m.PositionsAre(id=17, lsn=42, accounts=["main"], positions=[{"symbol": "BTCUSDT"}], more=True),
    m.OrdersAre(id=18, lsn=42, accounts=["main"], orders=[{"id": "o-2"}], more=True),
    m.PnlIs(id=19, lsn=42, accounts=[{"account": "main", "equity": "1000"}]),
    m.LimitsAre(id=15, lsn=12, on_excess="block", limits=[{"rule": "max_position@all"}], more=True),
    m.CountersAre(
        id=67,
        lsn=12,
        since="2026-01-02T03:04:05Z",
        counters=[Counter(name="risk_gate_blocks_total", labels={"code": "halted"}, value=3)],
        gauges=[Gauge(name="risk_limit_headroom", labels={"rule": "max_net@all"}, value=None)],
        histograms=[Histogram(name="s", buckets=[Bucket(le=0.001, count=2)], count=3, sum=0.0125)],
        more=False,
    ),
    m.Explained(id=70, explanation={"decision_id": "1207", "is_equal": True}),
    m.Supposed(id=71, lsn=1206, decisions=[{"verdict": {"decision": "allow"}}]),
    m.Rearmed(id=66, lsn=12, rule="repeated_execution@all"),
    m.LimitsChanged(id=16, lsn=12, changes=[CHANGE]),
    m.ReloadPreviewed(
        id=18,
        source="riskd.toml",
        changed=["riskd.log_level"],
        needs_restart=["control.x"],
        limits=[CHANGE],
    ),
    m.Refused(id=7, code="invalid_config", message="not valid", problems=["a.toml:1: key: why"]),
    m.Error(id=None, code="invalid_field", message="expected int", field="id"),
    m.Told(
        id=7,
        lsn=12,
        at="2026-01-02T03:04:05.000006Z",
        monotonic_s=492.338,
        fact=msgspec.Raw(b'{"type":"daemon_stopped","reason":"SIGTERM"}'),
    ),
    m.Position(id=7, lsn=4711),
    m.Pulse(beating=("settings", "service"), silent=("control",)),
    m.DaemonStarted(
        version="0.1.0",
        process_id=4711,
        boot="0b0070f1-0f0e-4d0c-8b0a-090807060504",
        config_source="riskd.toml",
        config_digest="5ee7",
    ),
    m.DaemonStopped(reason="SIGTERM"),
    m.ActorKillAsked(by=BY, actor="heartbeat", incarnation=7),
    m.ChildFailed(**CHILD, incarnation=1, phase="running", cause="ValueError: no mark"),
    m.ChildRestarted(**CHILD, incarnation=2, because_of="service", cause="ValueError: no mark"),
    m.ChildEnded(**CHILD, incarnation=2, cause="ValueError: no mark"),
    m.ChildHeld(**CHILD),
    m.ChildReleased(**CHILD),
    m.ChildStuck(**CHILD, incarnation=2),
    m.SupervisorEscalated(**CHILD, cause="ValueError: no mark", failures=6),
    m.MessageQuarantined(actor="settings", message="Reload", attempts=3),
    m.ActorSilent(actor="settings", deadline_s=2.0),
    RELOADED,
    m.ConfigRefused(source="riskd.toml", problems=("riskd.toml:1: key: why",), by=BY),
    m.JournalRepaired(
        file="00000000000000000001.log",
        lost_lsn=17,
        offset=1216,
        lost_bytes=96,
        how="torn",
        evidence=("00000000000000000001.log.1.broken",),
    ),
    m.SnapshotSkipped(snapshot_lsn=16, reason="it fails its checksum"),
    m.ProjectionRebuilt(projection="supervision", cause="fact 17: KeyError('gate')"),
    m.KillSwitchTriggered(by=BY, cause="manual", source="operator", reason="the feed is wrong"),
    m.RecoveryStarted(by=BY, approved_by="alice", cooldown_s=300.0),
    m.RecoveryCompleted(by=BY),
    m.HaltPlaced(halt_id=3, halt=HALT, by=BY),
    m.HaltsLifted(
        halt_ids=(3,), scope="account:main", by=BY, approved_by="alice", reason="news is out"
    ),
    m.HaltsEnded(halt_ids=(3, 4), reason="900 s have gone by"),
    m.RuleRearmed(
        rule="repeated_execution@strategy:mm",
        scope="strategy:mm",
        by=BY,
        approved_by="alice",
        reason="the signal is mended",
    ),
    m.TimeNoted(waiting=1),
    m.LeaseLapsed(reason="kill_switch did not answer within 0.5 s"),
    m.LeaseRenewed(after_s=1.25),
    m.LimitsTightened(limits=LIMITS, changes=(CHANGE,), by=BY, reason="news"),
    m.LimitsLoosened(
        limits=LIMITS, changes=(CHANGE,), by=BY, reason="news is out", approved_by="alice"
    ),
    m.EdgeReported(strategy="mm", symbol="BTCUSDT", bps=Decimal("2.5")),
    m.RuleTripped(**BROKEN, kind="position_loss", action="close_position", **LOST, missing="mark"),
    m.RuleCalm(**BROKEN, level_pct=Decimal(80), **LOST),
    m.LimitWarned(**BROKEN, level_pct=Decimal(80), **LOST),
    m.LimitUnknown(**BROKEN, missing="mark or rate of BTCUSDT", unknown_s=10.0),
    m.CloseAsked(**BROKEN, reason="it is at 512.5, and the limit is 500"),
    m.StopMoveAsked(
        rule="trade_management@all",
        scope="all",
        account="main",
        symbol="BTCUSDT",
        stop_price=Decimal("60000.5"),
        reason="entered at 59500, and the best mark was 61000",
    ),
    m.VenueStated(
        account="main",
        can_trade=False,
        reason="key expired",
        at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        worker="mm-1",
    ),
    m.OrderCancelAsked(
        rule="orphan_order@all",
        scope="all",
        account="main",
        symbol="BTCUSDT",
        client_order_id="mm-1",
        reason="for 30.5 s there has been no position that it could reduce",
    ),
    m.LooseningProposed(proposed=RELOADED),
    m.LooseningWithdrawn(proposed_lsn=18, because_lsn=19),
    m.InstrumentListed(listing=LISTING),
    m.InstrumentDelisted(symbol="BTCUSDT"),
    m.AccountOpened(account="main", currency="USD", balance=Decimal(100_000), exchange="sim"),
    m.AccountClosed(account="main"),
    m.SessionClockSet(tz="America/New_York", reset="17:00", week_start="sunday"),
    m.Booked(account="main", event=FILL),
    m.SessionReset(
        account="main",
        at=datetime(2026, 1, 2, 22, tzinfo=UTC),
        is_week=False,
        realized=Decimal("-12.5"),
        pnl=Decimal("7.25"),
        week_realized=Decimal("3.5"),
        week_pnl=None,
    ),
    m.EquityReported(account="main", theirs=Decimal("100250.75"), ours=Decimal("100250.7")),
    m.EquityDrifted(account="main", theirs=Decimal(90_000), ours=None, allowed=Decimal(1)),
    m.EquityAgreed(account="main", theirs=Decimal("100250.75"), ours=Decimal("100250.7")),
    m.BookFlagged(account="main", flags=("fill_conflict:f1", "overfill:o1")),
    m.Check(id=40, order=ASKED),
    m.Sent(id=41, **TOLD, decision_id="1207"),
    m.Acked(id=42, **TOLD),
    m.AmendAsked(id=60, order=ASKED),
    m.Amended(id=61, **TOLD, qty="0.3"),
    m.AmendRejected(id=62, **TOLD, qty="0.3"),
    m.CancelAsked(id=43, **TOLD),
    m.Canceled(id=44, **TOLD),
    m.Rejected(id=45, **TOLD),
    m.Expired(id=46, **TOLD),
    m.Dropped(id=47, **TOLD),
    m.Filled(
        id=48,
        **TOLD,
        fill_id="f1",
        symbol="BTCUSDT",
        side="buy",
        qty="0.1",
        price="50000",
        fee="2.5",
        fee_ccy="USD",
    ),
    m.Marked(id=49, symbol="BTCUSDT", price="50010.5", account="main", ts=1767323045),
    m.Decision(
        id=40,
        decision="scale_down",
        qty="0.2",
        scale_factor="0.4",
        rule="max_position",
        scope="account:main",
        code="max_position",
        reason="max_position of account:main",
        limit="2",
        value="2.3",
        headroom="0.2",
        max_qty="0.2",
        risk_level="warning",
        ess_active=False,
        override="ov7",
        decision_id="1207",
        lsn=1206,
        timestamp="2026-01-02T03:04:05.000006Z",
        ticket=m.Ticket(digest="5ee7", max_qty="0.2", expires_s=494.5, epoch=42),
    ),
    m.OrderDecided(
        order=ASKED,
        worker="mm-1",
        worker_account="main",
        worker_strategy="mm",
        at=AT,
        monotonic_s=492.5,
        verdict=CUT,
        epoch=42,
        expires_s=494.5,
        amends=True,
    ),
    m.OrderSent(account="main", client_order_id="a1", worker="mm-1"),
    m.OrderAcked(account="main", client_order_id="a1", worker="mm-1"),
    m.OrderDropped(account="main", client_order_id="a1", worker="mm-1"),
    m.TicketMisused(account="main", client_order_id="a1", code="ticket_used", worker="mm-1"),
    m.RequestOverride(
        id=70,
        account="main",
        symbol="BTCUSDT",
        side="sell",
        max_qty="2.5",
        rules=["max_order_qty@all"],
        for_s=600.0,
        reason="it has to go",
        price_limit="49000",
    ),
    m.ApproveOverride(id=71, override="ov7", reason="agreed"),
    m.RevokeOverride(id=72, override="ov7", reason="it is gone"),
    m.ShowOverrides(id=73, account="main", after="ov7", limit=7),
    m.OverrideIs(id=71, lsn=12, changed=True, override={"override": "ov7", "state": "approved"}),
    m.OverridesAre(id=73, lsn=12, overrides=[{"override": "ov7", "state": "used"}], more=True),
    m.OverrideRequested(override="ov7", terms=TERMS, by=BY, reason="it has to go"),
    m.OverrideApproved(
        override="ov7",
        terms=TERMS,
        by=m.By(via="socket", user_id=1001, user="ana", process_id=4712),
        requested_by=BY,
        at=AT,
        until=datetime(2026, 1, 2, 3, 14, 5, 6, tzinfo=UTC),
        reason="agreed",
    ),
    m.OverrideRevoked(override="ov7", by=BY, reason="it is gone"),
    m.Signal(id=50, source="outside", **BAD, ts=1767323045),
    m.ShowRisk(id=51, account="main"),
    m.RiskIs(
        id=51, lsn=6, level="critical", scopes=[{"scope": "all"}], sources=[{"source": "desk"}]
    ),
    m.RiskSignalChanged(scope="account:main", signal=m.RiskSignal(**BAD), snapshot=SNAPSHOT),
    m.SignalWorsened(**HEARD),
    m.SignalEased(**HEARD),
    m.SignalNoted(**HEARD),
    m.CanaryFailed(kind="not_finite", order=ASKED, answer="{}", reason="it was answered allow"),
    m.CanarySilent(misses=3, reason="no answer in time"),
)


def kind_of(sample: object) -> Kind:
    (kind,) = [kind for kind in KINDS if isinstance(sample, kind)]
    return kind


def tag_of(kind: type[msgspec.Struct]) -> str:
    return str(kind.__struct_config__.tag)


def file_of(sample: msgspec.Struct) -> Path:
    return GOLDEN / kind_of(sample).__name__.lower() / f"{tag_of(type(sample))}.json"


def name_of(sample: msgspec.Struct) -> str:
    return str(file_of(sample).relative_to(GOLDEN))


def tagged() -> Iterator[type[msgspec.Struct]]:
    """Every message of the vocabulary."""
    for each in vars(m).values():
        is_struct = isinstance(each, type) and issubclass(each, msgspec.Struct)
        if is_struct and each not in (msgspec.Struct, *KINDS):
            yield each


every_sample = pytest.mark.parametrize("sample", SAMPLES, ids=name_of)


@every_sample
def test_a_message_is_these_bytes_and_these_bytes_are_the_message(sample: msgspec.Struct) -> None:
    file = file_of(sample)
    if os.environ.get(WRITE):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(msgspec.json.encode(sample) + b"\n")
    golden = file.read_bytes()
    assert msgspec.json.encode(sample) + b"\n" == golden
    assert msgspec.json.decode(golden, type=KINDS[kind_of(sample)]) == sample


def test_every_message_has_its_sample_and_every_file_its_message() -> None:
    inside = {m.Beat, m.Recorded}  # which cross no border
    inside |= {
        m.By,
        m.Given,
        m.Halt,
        m.KeyChange,
        m.LimitChange,
        m.LimitPut,
        m.Limits,
        m.Listing,
        m.OrderAsked,
        m.RiskSignal,
        m.RiskSnapshot,
        m.Setting,
        m.Terms,
        m.Ticket,
        m.Verdict,
        *get_args(m.Until),
    }  # which are parts of others
    assert {type(sample) for sample in SAMPLES} == set(tagged()) - inside
    assert len(SAMPLES) == len({file_of(sample) for sample in SAMPLES})
    files = {file for file in GOLDEN.rglob("*") if file.is_file()}
    assert files == {file_of(sample) for sample in SAMPLES}


def test_every_message_can_be_read_as_one_of_its_kind() -> None:
    for kind, union in KINDS.items():
        members = set(get_args(union)) or {union}
        assert members == {each for each in tagged() if issubclass(each, kind)}


@every_sample
def test_a_sample_leaves_no_field_at_its_default(sample: msgspec.Struct) -> None:
    """Or its file would not show how the field is written. The protocol's number is what it is."""
    for field in msgspec.structs.fields(type(sample)):
        if field.default is not msgspec.NODEFAULT and field.name not in ("protocol", "id"):
            assert getattr(sample, field.name) != field.default


@every_sample
def test_what_a_command_says_when_it_is_silent_may_be_said(sample: msgspec.Struct) -> None:
    if kind_of(sample) is m.Command:
        fields = msgspec.structs.fields(type(sample))
        needed = {each.name: getattr(sample, each.name) for each in fields if each.required}
        silent = type(sample)(**needed)
        assert msgspec.json.decode(msgspec.json.encode(silent), type=m.ClientCommand) == silent


@every_sample
def test_an_unknown_field_is_refused_in_a_command_and_ignored_elsewhere(
    sample: msgspec.Struct,
) -> None:
    kind = kind_of(sample)
    more = {**msgspec.json.decode(file_of(sample).read_bytes()), "unheard_of": 1}
    data = msgspec.json.encode(more)
    if kind is m.Command:
        with pytest.raises(msgspec.ValidationError, match="unknown field `unheard_of`"):
            msgspec.json.decode(data, type=m.ClientCommand)
    else:
        assert msgspec.json.decode(data, type=KINDS[kind]) == sample


@every_sample
def test_an_unknown_tag_is_refused(sample: msgspec.Struct) -> None:
    more = {**msgspec.json.decode(file_of(sample).read_bytes()), "type": "unheard_of"}
    with pytest.raises(msgspec.ValidationError, match=r"\$\.type"):
        msgspec.json.decode(msgspec.json.encode(more), type=KINDS[kind_of(sample)])


@every_sample
def test_a_message_can_not_be_changed(sample: msgspec.Struct) -> None:
    with pytest.raises(AttributeError, match="immutable type"):
        setattr(sample, sample.__struct_fields__[-1], None)
