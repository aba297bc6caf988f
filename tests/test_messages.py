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
from riskd.actors import messages
from riskd.actors.messages import (
    AccountClosed,
    AccountOpened,
    ActorKillAsked,
    ActorKilled,
    Actors,
    ActorsAre,
    ActorSilent,
    AnyFact,
    AnyPush,
    AnyReply,
    Beat,
    Booked,
    BookFlagged,
    By,
    ChildEnded,
    ChildFailed,
    ChildHeld,
    ChildReleased,
    ChildRestarted,
    ChildStuck,
    ClientCommand,
    Command,
    CompleteRecovery,
    ConfigIs,
    ConfigRefused,
    ConfigReloaded,
    DaemonStarted,
    DaemonStopped,
    EquityAgreed,
    EquityDrifted,
    EquityReported,
    Error,
    Fact,
    Freeze,
    Halt,
    HaltPlaced,
    HaltsAre,
    HaltsEnded,
    HaltsLifted,
    Hello,
    InstrumentDelisted,
    InstrumentListed,
    JournalRepaired,
    KillActor,
    KillSwitchTriggered,
    LeaseLapsed,
    LeaseRenewed,
    Listing,
    LooseningProposed,
    LooseningWithdrawn,
    MessageQuarantined,
    Metric,
    OrdersAre,
    PnlIs,
    Position,
    PositionsAre,
    ProjectionRebuilt,
    Pulse,
    Push,
    Recorded,
    Recover,
    RecoveryCompleted,
    RecoveryStarted,
    Refused,
    Reload,
    Reloaded,
    Reply,
    Report,
    Reported,
    ReportEquity,
    ReportEvents,
    SessionClockSet,
    SessionReset,
    ShowConfig,
    ShowHalts,
    ShowOrders,
    ShowPnl,
    ShowPositions,
    SnapshotSkipped,
    Status,
    StatusIs,
    Subscribe,
    Subscribed,
    SupervisorEscalated,
    SwitchIs,
    Taken,
    TimeNoted,
    Told,
    Trigger,
    Unfreeze,
    Until,
    UntilElapsed,
    Version,
    VersionIs,
    Welcome,
)
from riskd.actors.messages.book import Fill, Mark

GOLDEN = Path(__file__).parent / "golden" / "messages"
WRITE = "RISKD_WRITE_GOLDEN"

Kind = type[Command] | type[Reply] | type[Push] | type[Report] | type[Fact]
KINDS: dict[Kind, Any] = {
    Command: ClientCommand,
    Reply: AnyReply,
    Push: AnyPush,
    Report: Pulse,
    Fact: AnyFact,
}
"""Each kind, and what its bytes are decoded as."""

CHILD = {"supervisor": "riskd/watchdogs", "child": "heartbeat"}
BY = By(via="socket", user_id=1000, user="bob", process_id=4711)
RELOADED = ConfigReloaded(
    source="riskd.toml",
    digest="5ee7",
    changed=("riskd.log_level",),
    needs_restart=("control.max_clients",),
    by=BY,
)
HALT = Halt(
    scope="account:main",
    mode="reduce_only",
    cause="manual",
    source="operator",
    reason="news",
    until=UntilElapsed(seconds=900.0),
)
FILL = Fill(
    id="f1", symbol="BTCUSDT", side="buy", qty=Decimal("0.25"), price=Decimal("64000.10"),
    fee=Decimal("3.2"), fee_ccy="USDT", order="o1", ts="2026-01-02T03:04:05Z",
)  # fmt: skip
LISTING = Listing(
    symbol="BTCUSDT", kind="linear", multiplier=Decimal(1), quote="USD", settle="USD", base="BTC",
    tick=Decimal("0.1"), lot=Decimal("0.001"), min_qty=Decimal("0.001"), max_qty=Decimal(1000),
    min_notional=Decimal(5), zone="America/Chicago",
)  # fmt: skip

SAMPLES: tuple[Command | Reply | Push | Report | Fact, ...] = (
    Hello(id=1, token="t0k3n", role="observer", protocol=1),  # noqa: S106 - no secret of anybody
    Version(id="a-1"),
    Status(id=2),
    Actors(id=3),
    KillActor(id=4, name="heartbeat"),
    ShowConfig(id=5),
    Reload(id=6),
    Subscribe(id=7, from_lsn=12, facts=("child_failed", "halted"), actor="gate", account="main"),
    Trigger(id=8, reason="the feed is wrong", scope="exchange:binance"),
    Recover(id=9, approved_by="alice"),
    CompleteRecovery(id=10),
    Freeze(id=11, scope="account:main", reason="news", reduce_only=True, for_s=900.0, session=True),
    Unfreeze(id=12, scope="account:main", reason="news is out", approved_by="alice"),
    ShowHalts(id=13),
    Metric(id=14, name="latency_ms", value="12.50"),
    ReportEvents(
        id=15, account="main", events=[FILL, Mark(symbol="BTCUSDT", price=Decimal("64010.5"))]
    ),
    ReportEquity(id=16, account="main", equity="100250.75"),
    ShowPositions(id=17, account="main", symbol="BTCUSDT", after=("main", "ADAUSDT"), limit=50),
    ShowOrders(id=18, account="main", symbol="BTCUSDT", after=("main", "o-1"), limit=50),
    ShowPnl(id=19, account="main"),
    Welcome(
        id=1,
        role="worker",
        user_id=1000,
        process_id=4711,
        worker="mm-1",
        version="0.1.0",
        protocol=1,
    ),
    VersionIs(id="a-1", version="0.1.0", protocol=1, python="3.11.7"),
    StatusIs(id=2, status={"state": "serving", "halts": []}),
    ActorsAre(id=3, actors=[{"name": "heartbeat", "restarts": 1}]),
    ActorKilled(id=4, name="heartbeat", incarnation=7),
    ConfigIs(id=5, source="riskd.toml", config={"riskd": {"log_level": "info"}}),
    Reloaded(id=6, source="riskd.toml", changed=["riskd.log_level"], needs_restart=["control.x"]),
    Subscribed(id=7, from_lsn=12, lsn=4711),
    SwitchIs(id=8, changed=True, kill_switch={"state": "KILLED"}, halts=[{"halt_id": 3}]),
    HaltsAre(id=11, changed=[3], kill_switch={"state": "ACTIVE"}, halts=[{"halt_id": 3}]),
    Taken(id=14),
    Reported(id=15, lsn=4711, booked=2),
    PositionsAre(id=17, lsn=42, accounts=["main"], positions=[{"symbol": "BTCUSDT"}], more=True),
    OrdersAre(id=18, lsn=42, accounts=["main"], orders=[{"id": "o-2"}], more=True),
    PnlIs(id=19, lsn=42, accounts=[{"account": "main", "equity": "1000"}]),
    Refused(id=7, code="invalid_config", message="not valid", problems=["riskd.toml:1: key: why"]),
    Error(id=None, code="invalid_field", message="expected int", field="id"),
    Told(
        id=7,
        lsn=12,
        at="2026-01-02T03:04:05.000006Z",
        monotonic_s=492.338,
        fact=msgspec.Raw(b'{"type":"daemon_stopped","reason":"SIGTERM"}'),
    ),
    Position(id=7, lsn=4711),
    Pulse(beating=("settings", "service"), silent=("control",)),
    DaemonStarted(
        version="0.1.0",
        process_id=4711,
        boot="0b0070f1-0f0e-4d0c-8b0a-090807060504",
        config_source="riskd.toml",
        config_digest="5ee7",
    ),
    DaemonStopped(reason="SIGTERM"),
    ActorKillAsked(by=BY, actor="heartbeat", incarnation=7),
    ChildFailed(**CHILD, incarnation=1, phase="running", cause="ValueError: no mark"),
    ChildRestarted(**CHILD, incarnation=2, because_of="service", cause="ValueError: no mark"),
    ChildEnded(**CHILD, incarnation=2, cause="ValueError: no mark"),
    ChildHeld(**CHILD),
    ChildReleased(**CHILD),
    ChildStuck(**CHILD, incarnation=2),
    SupervisorEscalated(**CHILD, cause="ValueError: no mark", failures=6),
    MessageQuarantined(actor="settings", message="Reload", attempts=3),
    ActorSilent(actor="settings", deadline_s=2.0),
    RELOADED,
    ConfigRefused(source="riskd.toml", problems=("riskd.toml:1: key: why",), by=BY),
    JournalRepaired(
        file="00000000000000000001.log",
        lost_lsn=17,
        offset=1216,
        lost_bytes=96,
        how="torn",
        evidence=("00000000000000000001.log.1.broken",),
    ),
    SnapshotSkipped(snapshot_lsn=16, reason="it fails its checksum"),
    ProjectionRebuilt(projection="supervision", cause="fact 17: KeyError('gate')"),
    KillSwitchTriggered(by=BY, cause="manual", source="operator", reason="the feed is wrong"),
    RecoveryStarted(by=BY, approved_by="alice", cooldown_s=300.0),
    RecoveryCompleted(by=BY),
    HaltPlaced(halt_id=3, halt=HALT, by=BY),
    HaltsLifted(
        halt_ids=(3,), scope="account:main", by=BY, approved_by="alice", reason="news is out"
    ),
    HaltsEnded(halt_ids=(3, 4), reason="900 s have gone by"),
    TimeNoted(waiting=1),
    LeaseLapsed(reason="kill_switch did not answer within 0.5 s"),
    LeaseRenewed(after_s=1.25),
    LooseningProposed(proposed=RELOADED),
    LooseningWithdrawn(proposed_lsn=18, because_lsn=19),
    InstrumentListed(listing=LISTING),
    InstrumentDelisted(symbol="BTCUSDT"),
    AccountOpened(account="main", currency="USD", balance=Decimal(100_000), exchange="sim"),
    AccountClosed(account="main"),
    SessionClockSet(tz="America/New_York", reset="17:00", week_start="sunday"),
    Booked(account="main", event=FILL),
    SessionReset(
        account="main",
        at=datetime(2026, 1, 2, 22, tzinfo=UTC),
        is_week=False,
        realized=Decimal("-12.5"),
        pnl=Decimal("7.25"),
        week_realized=Decimal("3.5"),
        week_pnl=None,
    ),
    EquityReported(account="main", theirs=Decimal("100250.75"), ours=Decimal("100250.7")),
    EquityDrifted(account="main", theirs=Decimal(90_000), ours=None, allowed=Decimal(1)),
    EquityAgreed(account="main", theirs=Decimal("100250.75"), ours=Decimal("100250.7")),
    BookFlagged(account="main", flags=("fill_conflict:f1", "overfill:o1")),
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
    for each in vars(messages).values():
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
    inside = {Beat, Recorded}  # which cross no border
    inside |= {By, Halt, Listing, *get_args(Until)}  # which are parts of others
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
def test_an_unknown_field_is_refused_in_a_command_and_ignored_elsewhere(
    sample: msgspec.Struct,
) -> None:
    kind = kind_of(sample)
    more = {**msgspec.json.decode(file_of(sample).read_bytes()), "unheard_of": 1}
    data = msgspec.json.encode(more)
    if kind is Command:
        with pytest.raises(msgspec.ValidationError, match="unknown field `unheard_of`"):
            msgspec.json.decode(data, type=ClientCommand)
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


TAGS_TOO_MANY = ",".join(['"x"'] * 257)


@pytest.mark.parametrize(
    "line",
    [
        '{"type":"status","id":-1}',
        '{"type":"status","id":""}',
        '{"type":"status","id":1.5}',
        '{"type":"status","id":null}',
        '{"type":"kill_actor","name":""}',
        '{"type":"kill_actor"}',
        f'{{"type":"status","id":"{"x" * 65}"}}',
        f'{{"type":"kill_actor","name":"{"x" * 129}"}}',
        f'{{"type":"hello","token":"{"x" * 257}"}}',
        '{"type":"subscribe","from_lsn":0}',
        '{"type":"subscribe","from_lsn":9223372036854775808}',
        '{"type":"subscribe","facts":[""]}',
        f'{{"type":"subscribe","facts":["{"x" * 129}"]}}',
        f'{{"type":"subscribe","facts":[{TAGS_TOO_MANY}]}}',
        f'{{"type":"subscribe","actor":"{"x" * 129}"}}',
        f'{{"type":"subscribe","account":"{"x" * 129}"}}',
        f'{{"type":"metric","name":"{"x" * 129}","value":"1"}}',
        '{"type":"metric","name":"a b","value":"1"}',
        '{"type":"metric","name":"","value":"1"}',
        '{"type":"metric","name":"a","value":1.5}',
        '{"type":"metric","name":"a","value":1}',
        '{"type":"metric","name":"a","value":"NaN"}',
        '{"type":"metric","name":"a","value":"-Infinity"}',
        '{"type":"metric","name":"a","value":"1e999"}',
        '{"type":"metric","name":"a","value":"1\\n"}',
        '{"type":"metric","name":"a","value":""}',
    ],
)
def test_what_comes_from_outside_is_bounded(line: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(line, type=ClientCommand)
