"""What may be said of accounts, instruments and their book, and that thousands are read at once."""

import tomllib
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.actors.core.book.numbers import DIGITS_MAX, fault
from riskd.config import Config, ConfigInvalid, differences, lines, loader, parse
from riskd.config.schema import ACCOUNTS_MAX, INSTRUMENTS_MAX, Account, Instrument
from riskd.config.schema.trading import SIZES, TOLERANCES, unfit

GOOD = """
[accounts.main]
balance = "-12.5"
exchange = "sim"

[accounts."desk/2.a"]
currency = "EUR"

[[instruments]]
symbol = "BTC/USDT:USDT"
quote = "USDT"
settle = "USDT"
multiplier = "0.001"
min_qty = "1"
max_qty = "1"
lot = "1"

[[instruments]]
symbol = "XBTUSD"
kind = "inverse"
multiplier = 100
base = "XBT"

[[instruments]]
symbol = "ETH-EUR"
kind = "spot"
quote = "EUR"
base = "ETH"
zone = "America/Chicago"

[book]
equity_drift_pct = "0"
equity_drift_min = "0.01"

[session]
week_start = "sunday"
"""


def told(text: str) -> list[str]:
    with pytest.raises(ConfigInvalid) as refused:
        parse(text, "FILE", {})
    return [str(problem) for problem in refused.value.problems]


def account(more: str) -> str:
    return f"[accounts.a]\n{more}\n"


def instrument(more: str) -> str:
    symbol = "" if "symbol" in more else 'symbol = "S"\n'
    return f"[[instruments]]\n{symbol}{more}\n"


def test_accounts_and_instruments_are_what_the_file_says() -> None:
    found = parse(GOOD, "FILE", {}).config
    assert found.accounts == {
        "main": Account(balance=Decimal("-12.5"), exchange="sim"),
        "desk/2.a": Account(currency="EUR"),
    }
    assert [each.symbol for each in found.instruments] == ["BTC/USDT:USDT", "XBTUSD", "ETH-EUR"]
    assert [each.settled_in for each in found.instruments] == ["USDT", "XBT", "EUR"]
    assert found.instruments[0].multiplier == Decimal("0.001")
    assert found.instruments[2].zone == "America/Chicago"
    assert found.book.equity_drift_min == Decimal("0.01")
    assert found.session.week_start == "sunday"


def test_a_change_is_told_by_the_account_it_is_in_and_for_instruments_as_one() -> None:
    old = parse(GOOD, "FILE", {}).config
    new = parse(GOOD.replace("-12.5", "7").replace("EUR", "CHF"), "FILE", {}).config
    changed = ["accounts.main.balance", 'accounts."desk/2.a".currency', "instruments"]
    assert differences(old, new) == changed
    assert differences(old, Config())[:3] == [
        "session.week_start",
        "accounts.main",
        'accounts."desk/2.a"',
    ]


@pytest.mark.parametrize("name", ["", "a b", "a:b", "-a", "ä", "a\\n", "a" * 65])
def test_a_name_that_no_order_could_use_is_refused_with_its_line_and_what_it_holds(
    name: str,
) -> None:
    first, second = told(f'\n[accounts."{name}"]\nbalance = 1.5\n')
    assert first.startswith("FILE:2: accounts.")
    assert first.endswith(
        ": is not a name that may stand here; write a name of letters, digits and any of _ . / -"
    )
    assert second.startswith("FILE:3: accounts.")
    assert "balance: is a floating-point number" in second


def test_more_accounts_or_instruments_than_riskd_keeps_are_refused() -> None:
    most = "".join(f"[accounts.a{number}]\n" for number in range(ACCOUNTS_MAX))
    assert len(parse(most, "FILE", {}).config.accounts) == ACCOUNTS_MAX
    (problem,) = told(f"\n{most}[accounts.one_more]\n")
    assert problem.startswith(f"FILE:2: accounts: has {ACCOUNTS_MAX + 1} entries; write a table of")
    entries = ",".join(["{}"] * (INSTRUMENTS_MAX + 1))
    (problem,) = told(f"instruments = [{entries}]")
    assert problem.startswith(f"FILE:1: instruments: has {INSTRUMENTS_MAX + 1} entries; write")


@pytest.mark.parametrize(
    ("text", "path", "what"),
    [
        ("accounts = 3", "accounts", "is a whole number; write a table of at most 256 names"),
        (account("currency = ''"), "accounts.a.currency", "is out of bounds"),
        (account(f"currency = '{'C' * 33}'"), "accounts.a.currency", "is out of bounds"),
        (account("currency = 'U S'"), "accounts.a.currency", "is out of bounds"),
        (account("balance = 0.5"), "accounts.a.balance", "is a floating-point number"),
        (account("balance = '1e30'"), "accounts.a.balance", "has more than 30 digits"),
        (account("exchange = 'a b'"), "accounts.a.exchange", "is out of bounds; write a name of"),
        (account("profile = 'norml'"), "accounts.a.profile", "is no profile"),
        ("[[instruments]]\n", "instruments[0].symbol", "is required; write a symbol"),
        (instrument("symbol = ''"), "instruments[0].symbol", "is out of bounds"),
        (instrument("symbol = 'a b'"), "instruments[0].symbol", "is out of bounds"),
        (instrument('symbol = "a\\n"'), "instruments[0].symbol", "is out of bounds"),
        (instrument(f"symbol = '{'s' * 65}'"), "instruments[0].symbol", "is out of bounds"),
        (instrument("kind = 'option'"), "instruments[0].kind", "is none of the known words"),
        (instrument("quote = '-'"), "instruments[0].quote", "is out of bounds"),
        (instrument("settle = '€'"), "instruments[0].settle", "is out of bounds"),
        (instrument("base = 'B C'"), "instruments[0].base", "is out of bounds"),
        (instrument("zone = 'a b'"), "instruments[0].zone", "is out of bounds; write a time zone"),
        (instrument("zone = 'Mars/Base'"), "instruments[0].zone", "is no time zone that this mach"),
        (instrument("kind = 'inverse'"), "instruments[0].base", "is required: an inverse contract"),
        (
            instrument("kind = 'inverse'\nbase = 'BTC'\nsettle = 'USD'"),
            "instruments[0].settle",
            "is not the base, in which",
        ),
        (instrument("settle = 'EUR'"), "instruments[0].settle", "is not the quote: riskd can't"),
        (
            instrument("kind = 'spot'\nbase = 'B'\nsettle = 'B'"),
            "instruments[0].settle",
            "is not the quote: riskd can't",
        ),
        (instrument("base = 'USD'"), "instruments[0].base", "is the quote, so that one would be"),
        (
            instrument("kind = 'inverse'\nbase = 'USD'"),
            "instruments[0].base",
            "is the quote, so that one would be",
        ),
        (
            instrument("min_qty = '2'\nmax_qty = '1'"),
            "instruments[0].max_qty",
            "is below min_qty, so that no quantity",
        ),
        (
            instrument("lot = '2'\nmax_qty = '1.9'"),
            "instruments[0].max_qty",
            "is below lot, so that no quantity",
        ),
        ("book.equity_drift_pct = '100.1'", "book.equity_drift_pct", "is above 100"),
        ("session.week_start = 'sun'", "session.week_start", "is none of the known words"),
    ],
)
def test_what_would_mean_nothing_is_refused_by_its_key(text: str, path: str, what: str) -> None:
    (problem,) = told(text)
    assert f": {path}: {what}" in problem


@pytest.mark.parametrize("key", SIZES)
@pytest.mark.parametrize(
    ("number", "what"),
    [
        ("0", "is not above 0; write a number above 0"),
        ("-1", "is not above 0; write a number above 0"),
        ("1e-31", "has more than 30 digits before the point or after it; write it with fewer"),
        ("1e30", "has more than 30 digits before the point or after it; write it with fewer"),
        ("x", "is not an exact number of at most 40 digits"),
    ],
)
def test_a_size_is_above_0_and_one_that_the_book_takes(key: str, number: str, what: str) -> None:
    (problem,) = told(instrument(f'{key} = "{number}"'))
    assert problem.startswith(f"FILE:3: instruments[0].{key}: {what}")


@pytest.mark.parametrize("key", TOLERANCES)
def test_a_tolerance_is_from_0_on_and_one_that_the_book_takes(key: str) -> None:
    (problem,) = told(f"book.{key} = '-0.01'")
    assert problem == f"FILE:1: book.{key}: is below 0; write 0 or more"
    (problem,) = told(f"book.{key} = '1e-31'")
    assert problem.startswith(f"FILE:1: book.{key}: has more than 30 digits")
    assert parse(f"book.{key} = 100", "FILE", {})


@given(st.integers(-(10**41), 10**41), st.integers(-41, 41))
def test_what_a_file_may_say_is_what_the_book_takes_in(digits: int, exponent: int) -> None:
    number = Decimal(digits).scaleb(exponent)
    assert bool(list(unfit("k", number))) == (fault(number) is not None)
    assert f"more than {DIGITS_MAX} digits" in "".join(
        each.message for each in unfit("k", Decimal("1e-31"))
    )


def test_an_instrument_that_is_listed_twice_is_told_with_the_line_of_the_second() -> None:
    first, second = told('[[instruments]]\nsymbol = "S"\n' * 3)
    assert (
        first == "FILE:4: instruments[1].symbol: is that of instruments[0] too; give each its own"
    )
    assert second.startswith("FILE:6: instruments[2].symbol: is that of instruments[0] too")


def test_each_zone_is_looked_for_once_and_told_wherever_it_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def look(name: str) -> ZoneInfo:
        asked.append(name)
        return ZoneInfo(name)

    monkeypatch.setattr(loader, "ZoneInfo", look)
    zones = ["UTC", "Asia/Tokyo", "Mars/Base", "Asia/Tokyo", "Mars/Base", "America"]
    rows = [f'[[instruments]]\nsymbol = "S{n}"\nzone = "{zone}"' for n, zone in enumerate(zones)]
    text = "\n".join(['session.zone = "Mars/Base"', *rows])
    wrong = [
        problem.split(": is no time zone that this machine knows; ")[0] for problem in told(text)
    ]
    assert wrong == [
        "FILE:1: session.zone",
        "FILE:10: instruments[2].zone",
        "FILE:16: instruments[4].zone",
        "FILE:19: instruments[5].zone",
    ]
    assert sorted(asked) == ["America", "Asia/Tokyo", "Mars/Base"]


def test_no_more_wrong_zones_are_told_than_anybody_reads() -> None:
    rows = [f'[[instruments]]\nsymbol = "S{n}"\nzone = "Mars/{n}"' for n in range(300)]
    assert len(told("\n".join(rows))) == 200


def test_ten_thousand_instruments_are_read_with_every_line_parsed_twice_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [
        f'[[instruments]]\nsymbol = "SYMBOL-{n}"\nbase = "BASE{n}"\ntick = "0.01"\nlot = "0.001"\n'
        f'min_qty = "0.001"\nmax_qty = "100000"\nmin_notional = "5"\nzone = "America/New_York"\n'
        for n in range(10_000)
    ]
    text = "\n".join(rows)
    found = parse(text, "FILE", {}).config.instruments
    assert found[-1] == Instrument(
        symbol="SYMBOL-9999",
        base="BASE9999",
        tick=Decimal("0.01"),
        lot=Decimal("0.001"),
        min_qty=Decimal("0.001"),
        max_qty=Decimal(100_000),
        min_notional=Decimal(5),
        zone="America/New_York",
    )
    parsed = 0
    loads = tomllib.loads

    def counted(piece: str) -> dict[str, object]:
        nonlocal parsed
        parsed += len(piece)
        return loads(piece)

    monkeypatch.setattr(lines.tomllib, "loads", counted)
    (problem,) = told(f"{text}\n[[instruments]]\n")
    assert problem.startswith("FILE:100001: instruments[10000].symbol: is required")
    assert parsed < 2 * len(text) + 100
