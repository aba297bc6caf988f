"""`riskctl counters`: what it prints of what riskd has counted."""

import json

import pytest
from click.testing import CliRunner
from riskd.actors.messages import Command, CountersAre, ShowCounters
from riskd.actors.messages.counters import Bucket, Counter, Gauge, Histogram
from riskd.tools.riskctl import counters, main

REPLY = CountersAre(
    lsn=7,
    since="2026-01-02T03:04:05Z",
    counters=[
        Counter(
            name="risk_gate_blocks_total",
            labels={"code": "max_net", "scope": "account:main"},
            value=3,
        ),
        Counter(name="freeze_triggered_total", labels={"reason": "edge"}, value=0),
    ],
    gauges=[
        Gauge(name="risk_limit_headroom", labels={"rule": "r"}, value="90"),
        Gauge(name="risk_limit_used_pct", labels={"rule": "r"}, value=None),
    ],
    histograms=[
        Histogram(
            name="risk_gate_check_seconds",
            buckets=[
                Bucket(le=0.00001, count=0),
                Bucket(le=0.00005, count=2),
                Bucket(le=0.001, count=3),
                Bucket(le=1.0, count=3),
            ],
            count=4,
            sum=2.5,
        )
    ],
    more=True,
)


@pytest.fixture(autouse=True)
def _riskd(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(command: Command, _expected: object, **_: object) -> CountersAre:
        assert isinstance(command, ShowCounters)
        return REPLY

    monkeypatch.setattr(counters, "ask", ask)


def said(*words: str) -> str:
    result = CliRunner().invoke(main, list(words), prog_name="riskctl")
    assert result.exit_code == 0
    return result.output


def test_it_shows_what_has_happened_what_is_left_and_how_long_checks_took() -> None:
    rows = [" ".join(row.split()) for row in said("counters").splitlines()]
    assert rows == [
        "since 2026-01-02T03:04:05Z",
        "",
        "counter labels count",
        "risk_gate_blocks_total code max_net, scope account:main 3",
        "",
        "gauge labels now",
        "risk_limit_headroom rule r 90",
        "risk_limit_used_pct rule r unknown",
        "there are more rules: `riskctl limits` shows all of them",
        "",
        "risk_gate_check_seconds checks share",
        "at most 50 us 2 50.0 %",
        "at most 1 ms 3 75.0 %",
        "at most 1 s 3 75.0 %",
        "longer or not 4 100.0 %",
    ]


def test_as_a_document_it_is_all_that_riskd_said() -> None:
    document = json.loads(said("--json", "counters"))
    assert document["since"] == REPLY.since
    assert document["counters"][1] == {
        "name": "freeze_triggered_total",
        "labels": {"reason": "edge"},
        "value": 0,
    }
    assert document["gauges"][1]["value"] is None
    assert document["histograms"][0]["buckets"][2] == {"le": 0.001, "count": 3}
    assert (document["lsn"], document["more"]) == (7, True)
