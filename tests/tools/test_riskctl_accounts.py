"""`riskctl positions`, `orders` and `pnl` beside a control socket: documents, tables, a watch."""

import contextlib
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import attrs
import pytest
import structlog
import trio
from click.testing import CliRunner, Result
from riskd.actors.book_views import BookViews
from riskd.actors.control import Control
from riskd.actors.core.access import Access, Tokens
from riskd.actors.core.books import Books
from riskd.actors.messages import (
    AccountClosed,
    AccountOpened,
    AnyFact,
    Booked,
    EquityDrifted,
    EquityReported,
    InstrumentListed,
    Listing,
    Recorded,
)
from riskd.actors.messages.accounts import ROWS_MAX
from riskd.actors.messages.book import (
    AnyEvent,
    CancelRequest,
    Fill,
    Mark,
    Order,
    Side,
    Timeout,
)
from riskd.tools.riskctl import main
from riskd.tools.riskctl.page import Table, fitting, plain

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
RISKCTL = (sys.executable, "-P", "-m", "riskd.tools.riskctl")
PATIENCE_S = 30.0


@attrs.frozen
class Limits:
    max_clients: int = 10
    max_line_bytes: int = 65_536
    send_timeout_s: float = 5.0


class Context:
    def cleanup(self) -> trio.CancelScope:
        return trio.CancelScope(shield=True, deadline=trio.current_time() + 1)


class Riskd:
    """A control socket in a thread of its own, which answers from books. It can go and come."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.books = Books(ZoneInfo)
        self.doubt: str | None = None
        self.lsn = 0
        self.on_look: Callable[[], None] = lambda: None
        self._thread: threading.Thread | None = None

    def start(self) -> "Riskd":
        self.place.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.place))
        self._listener.listen()
        views = BookViews(books=self.books, lsn=self._look, doubt=lambda: self.doubt)
        self._control = Control(
            [self._listener],
            Limits(),
            Access(os.getuid()),
            views.handlers(),
            structlog.wrap_logger(structlog.ReturnLogger(), processors=[]),
            feed=cast("Any", None),  # Nobody subscribes here.
            tokens=Tokens(),
            version="9.9",
        )
        self._scope = trio.CancelScope()
        started = threading.Event()
        self._thread = threading.Thread(target=trio.run, args=[self._serve, started])
        self._thread.start()
        started.wait()
        return self

    async def _serve(self, started: threading.Event) -> None:
        self._token = trio.lowlevel.current_trio_token()
        started.set()
        with self._scope:
            await self._control.serve(Context())

    def _look(self) -> int:
        lsn = self.lsn
        self.on_look()
        return lsn

    def stop(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._token.run_sync_soon(self._scope.cancel)
            thread.join()
            self._listener.close()

    def make(self, fact: AnyFact) -> None:
        self.lsn += 1
        self.books.apply(Recorded(lsn=self.lsn, at=NOON, monotonic_s=1.0, fact=fact))

    def list(self, *symbols: str, settle: str = "USDT") -> None:
        for symbol in symbols:
            one = Listing(
                symbol=symbol, kind="linear", multiplier=Decimal(1), quote=settle, settle=settle
            )
            self.make(InstrumentListed(listing=one))

    def open(self, account: str, currency: str = "USDT") -> None:
        self.make(AccountOpened(account=account, currency=currency, balance=Decimal(1_000)))

    def book(self, account: str, *events: AnyEvent) -> None:
        for event in events:
            self.make(Booked(account=account, event=event))


def fill(fill_id: str, symbol: str, side: Side, qty: str, price: str = "10", **more: Any) -> Fill:
    return Fill(
        id=fill_id, symbol=symbol, side=side, qty=Decimal(qty), price=Decimal(price), **more
    )


def order(order_id: str, symbol: str = "BTC", side: Side = "buy", qty: str = "1") -> Order:
    return Order(id=order_id, symbol=symbol, side=side, qty=Decimal(qty))


def mark(symbol: str, price: str) -> Mark:
    return Mark(symbol=symbol, price=Decimal(price))


@pytest.fixture
def riskd() -> Iterator[Riskd]:
    with tempfile.TemporaryDirectory(prefix="r") as directory:
        riskd = Riskd(Path(directory) / "riskd.sock").start()
        try:
            yield riskd
        finally:
            riskd.stop()


@pytest.fixture
def desk(riskd: Riskd) -> Riskd:
    """Two accounts, three currencies, and something unknown."""
    riskd.list("BTC", "ETH")
    riskd.list("DAX", settle="EUR")
    riskd.open("main")
    riskd.open("alt", "EUR")
    riskd.book("main", mark("BTC", "12"), fill("1", "BTC", "buy", "3"))
    riskd.book("main", fill("2", "ETH", "sell", "2", fee=Decimal("0.5"), fee_ccy="BNB"))
    riskd.book("main", fill("3", "DAX", "sell", "3", "16.5"), mark("DAX", "20"))
    riskd.book("alt", fill("4", "DAX", "buy", "1"), mark("DAX", "9.5"))
    return riskd


def run(riskd: Riskd, *words: str) -> Result:
    return CliRunner().invoke(main, ["--socket", str(riskd.place), *words], prog_name="riskctl")


def said(riskd: Riskd, *words: str) -> list[list[str]]:
    """What it prints, in words."""
    result = run(riskd, *words)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return [line.split() for line in result.stdout.splitlines()]


def document(riskd: Riskd, *words: str) -> Any:
    result = run(riskd, *words, "--json")
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return json.loads(result.stdout)


# --- positions ------------------------------------------------------------------------------------


def test_positions_are_told_with_side_and_sign_and_what_is_unknown(desk: Riskd) -> None:
    rows = said(desk, "positions")
    assert rows[0][:6] == ["account", "symbol", "side", "position", "average", "mark"]
    assert [
        *("main", "BTC", "long", "3", "10", "12", "0", "0", "0", "6", "USDT", "-", "36", "USDT")
    ] in rows
    (eth,) = [row for row in rows if row[1:2] == ["ETH"]]
    assert eth[2:6] == ["short", "-2", "10", "unknown"]
    assert eth[-1] == "unknown"


def test_totals_never_add_one_currency_to_another(desk: Riskd) -> None:
    totals = [row for row in said(desk, "positions") if "total" in row]
    assert totals == [
        ["alt", "total", "0", "0", "0", "-0.5", "EUR", "-"],
        ["main", "total", "0", "0", "0", "0", "BNB", "0.5", "BNB"],
        ["main", "total", "0", "0", "0", "-10.5", "EUR", "-"],
        ["main", "total", "0", "0", "unknown", "unknown", "USDT", "-"],
    ]


def test_positions_of_one_account_and_one_symbol(desk: Riskd) -> None:
    chosen = document(desk, "positions", "--account", "main", "--symbol", "DAX")
    assert [(row["account"], row["symbol"]) for row in chosen["positions"]] == [("main", "DAX")]
    assert chosen["accounts"] == ["main"]
    assert (
        "nothing has happened in any instrument of alt"
        in run(desk, "positions", "--account", "alt", "--symbol", "BTC").output
    )


def test_an_endless_number_is_cut_for_people_and_whole_for_programs(desk: Riskd) -> None:
    desk.book("alt", fill("5", "DAX", "buy", "2", "20"))
    (row,) = document(desk, "positions", "--account", "alt")["positions"]
    assert row["avg_price"] == "16.66666666666666666666666667"
    (line, *_) = said(desk, "positions", "--account", "alt")[1:]
    assert line[4] == "16.6666666666..."


def test_pages_are_joined_into_one_document(riskd: Riskd) -> None:
    symbols = [f"S{number:04}" for number in range(2 * ROWS_MAX + 1)]
    riskd.list(*symbols)
    riskd.open("main")
    riskd.book("main", *[order(symbol, symbol) for symbol in symbols])
    found = document(riskd, "orders")
    assert list(found) == ["lsn", "is_of_one_moment", "accounts", "orders"]
    assert (found["lsn"], found["is_of_one_moment"]) == (riskd.lsn, True)
    assert [row["id"] for row in found["orders"]] == symbols
    assert [row["symbol"] for row in document(riskd, "positions")["positions"]] == symbols


def test_a_book_that_changes_between_pages_is_read_once_more_and_then_says_so(
    riskd: Riskd,
) -> None:
    symbols = [f"S{number:04}" for number in range(ROWS_MAX + 1)]
    riskd.list(*symbols)
    riskd.open("main")
    riskd.book("main", *[order(symbol, symbol) for symbol in symbols])
    looks = 0

    def change(most: int) -> None:
        nonlocal looks
        looks += 1
        riskd.lsn += looks <= most

    riskd.on_look = lambda: change(1)
    assert document(riskd, "orders")["is_of_one_moment"] is True
    assert looks == 4
    riskd.on_look = lambda: change(1_000)
    assert document(riskd, "orders")["is_of_one_moment"] is False
    last = run(riskd, "orders").stdout.splitlines()[-1]
    assert last == "the book changed while it was read: not all of this is of one moment"


# --- orders ---------------------------------------------------------------------------------------


def test_orders_say_what_remains_and_what_is_waited_for(desk: Riskd) -> None:
    desk.book("main", order("o-1", qty="5"), fill("9", "BTC", "buy", "2", order="o-1"))
    desk.book("main", order("o-2", "ETH", "sell"), CancelRequest(id="o-2"))
    desk.book("alt", order("o-3", "DAX"), Timeout(id="o-3"))
    assert said(desk, "orders")[1:] == [
        ["alt", "DAX", "o-3", "buy", "1", "0", "1", "no", "timed", "out"],
        ["main", "BTC", "o-1", "buy", "5", "2", "3", "no", "open"],
        ["main", "ETH", "o-2", "sell", "1", "0", "1", "no", "cancel", "pending"],
        [],
        ["alt:", "1", "order:", "1", "timed", "out"],
        ["main:", "2", "orders:", "1", "cancel", "pending,", "1", "open"],
    ]
    assert run(desk, "orders", "--symbol", "BTC", "--account", "alt").stdout == (
        "no orders that count, of alt\n"
    )


# --- accounts -------------------------------------------------------------------------------------


def test_pnl_tells_each_account_and_sums_by_currency(desk: Riskd) -> None:
    rows = said(desk, "pnl")
    assert rows[1][:7] == ["alt", "EUR", "999.5", "unknown", "unknown", "9.5", "9.5"]
    assert ["main", "EUR", "0", "0", "0", "-10.5", "0"] in rows
    assert ["total", "EUR", "0", "0", "0", "-11", "0"] in rows
    assert ["total", "USDT", "0", "0", "unknown", "unknown", "0"] in rows
    assert ["total", "BNB", "0", "0", "0", "0", "0.5"] in rows
    assert any(row[:2] == ["main", "no_mark:ETH"] for row in rows)


def test_pnl_of_one_account_is_told_in_full(desk: Riskd) -> None:
    desk.make(EquityReported(account="alt", theirs=Decimal(900), ours=Decimal("999.5")))
    desk.make(
        EquityDrifted(account="alt", theirs=Decimal(900), ours=Decimal("999.5"), allowed=Decimal(9))
    )
    desk.make(AccountClosed(account="alt"))
    rows = said(desk, "pnl", "--account", "alt")
    assert rows[0] == ["account", "alt", "(closed)", "EUR"]
    assert ["broker's", "equity", "900"] in rows
    assert ["equity", "less", "broker's,", "then", "99.5"] in rows
    (row,) = document(desk, "pnl", "--account", "alt")["accounts"]
    assert row["broker"] == {"equity": "900", "at": NOON.isoformat(), "drift": "99.5"}
    assert (row["is_open"], row["is_drifting"]) == (False, True)


def test_more_flags_than_are_shown_are_counted(riskd: Riskd) -> None:
    symbols = [f"S{number:04}" for number in range(103)]
    riskd.list(*symbols)
    riskd.open("main")
    riskd.book("main", *[fill("1", symbol, "buy", "1") for symbol in symbols])
    assert run(riskd, "pnl").stdout.splitlines()[-1] == "main: and 3 flags more"


# --- what is not there ----------------------------------------------------------------------------

ALL = ["positions", "orders", "pnl"]


@pytest.mark.parametrize("word", ALL)
def test_without_accounts_it_says_what_to_do(riskd: Riskd, word: str) -> None:
    assert "add [accounts.NAME]" in run(riskd, word).stdout
    assert document(riskd, word)["accounts"] == []


@pytest.mark.parametrize("word", ALL)
def test_an_account_without_anything_is_no_error(riskd: Riskd, word: str) -> None:
    riskd.open("main")
    assert "main" in run(riskd, word).stdout


@pytest.mark.parametrize("word", ALL)
def test_an_unknown_account_is_1_with_those_that_there_are(desk: Riskd, word: str) -> None:
    refused = run(desk, word, "--account", "mian")
    assert refused.exit_code == 1
    assert refused.stderr == "riskctl: no account is called 'mian'; there are: alt, main\n"


@pytest.mark.parametrize("word", ALL)
def test_a_book_in_doubt_is_1_and_no_numbers(desk: Riskd, word: str) -> None:
    desk.doubt = "fact 7"
    refused = run(desk, word, "--json")
    assert refused.exit_code == 1
    assert json.loads(refused.stdout)["error"]["code"] == "unavailable"


@pytest.mark.parametrize("word", ALL)
def test_without_riskd_it_is_3(riskd: Riskd, word: str) -> None:
    riskd.stop()
    assert run(riskd, word).exit_code == 3
    assert run(riskd, word, "--watch").exit_code == 3


@pytest.mark.parametrize(
    "words",
    [
        ["positions", "--account", ""],
        ["orders", "--symbol", "x" * 65],
        ["pnl", "--symbol", "BTC"],
        ["pnl", "--watch", "0"],
        ["pnl", "--watch", "soon"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_2(riskd: Riskd, words: list[str]) -> None:
    assert run(riskd, *words).exit_code == 2


def test_names_of_accounts_are_completed_by_asking_riskd(desk: Riskd) -> None:
    line = f"riskctl --socket {desk.place} positions --account "
    for begun, names in (("", ["alt", "main"]), ("m", ["main"])):
        environment = {
            "_RISKCTL_COMPLETE": "bash_complete",
            "COMP_WORDS": line + begun,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
        }
        found = CliRunner().invoke(main, [], env=environment, prog_name="riskctl").stdout
        assert [each.partition(",")[2] for each in found.splitlines()] == names


# --- a narrow window ------------------------------------------------------------------------------

NARROW = Table(
    ("name", "more", "most", "qty"),
    [("a", "12345", "1234567890", "1"), ("b", "1", "1", "-22.5")],
    numbers=frozenset({"more", "most", "qty"}),
    spare=("most", "more"),
)


def test_columns_are_left_out_in_their_order_and_only_as_many_as_need_be() -> None:
    assert fitting(NARROW, 30) == (NARROW, [])
    less, left_out = fitting(NARROW, 29)
    assert (less.heads, left_out) == (("name", "more", "qty"), ["most"])
    assert less.rows == [("a", "12345", "1"), ("b", "1", "-22.5")]
    least, left_out = fitting(NARROW, 5)
    assert (least.heads, left_out) == (("name", "qty"), ["most", "more"])


def test_numbers_stand_to_the_right() -> None:
    assert plain([NARROW]).splitlines() == [
        "name   more        most    qty",
        "a     12345  1234567890      1",
        "b         1           1  -22.5",
    ]


@pytest.mark.parametrize("columns", [200, 80, 60])
def test_no_window_is_so_narrow_that_a_number_is_broken_in_two(desk: Riskd, columns: int) -> None:
    desk.book("main", fill("7", "BTC", "buy", "1234567890.123456"))
    controller, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": str(columns)}
    command = [*RISKCTL, "--socket", str(desk.place), "positions", "--symbol", "BTC"]
    drawn = b""
    with subprocess.Popen(command, stdout=terminal, env=environment):
        os.close(terminal)
        with contextlib.suppress(OSError):  # which is how the other end says that it has ended
            while more := os.read(controller, 65_536):
                drawn += more
    os.close(controller)
    assert b"1234567893.123456" in drawn
    assert (b"no room here for" in drawn) == (columns < 200)


# --- again and again ------------------------------------------------------------------------------


@pytest.fixture
def watching(desk: Riskd) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """`riskctl`, as a process. One that never says what a test waits for ends in time."""
    begun: list[tuple[subprocess.Popen[str], threading.Timer]] = []

    def start(*words: str, **more: Any) -> "subprocess.Popen[str]":
        command = [*RISKCTL, "--socket", str(desk.place), *words, "--watch", "0.1"]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        process = subprocess.Popen(command, text=True, **pipes)
        end = threading.Timer(PATIENCE_S, process.kill)
        end.start()
        begun.append((process, end))
        return process

    yield start
    for process, end in begun:
        end.cancel()
        process.kill()
        process.communicate()


def test_a_watch_prints_a_document_a_line_through_a_restart_and_ends_with_130(
    desk: Riskd, watching: Callable[..., "subprocess.Popen[str]"]
) -> None:
    process = watching("pnl", "--account", "alt", "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    assert json.loads(process.stdout.readline())["accounts"][0]["equity"] == "999.5"
    desk.stop()
    assert "waiting for it" in process.stderr.readline()
    desk.book("alt", mark("DAX", "8"))
    desk.start()
    assert process.stderr.readline() == "riskctl: riskd is back\n"
    seen = (json.loads(line)["accounts"][0]["equity"] for line in process.stdout)
    assert next(equity for equity in seen if equity != "999.5") == "998"
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130


def test_a_watch_ends_when_nobody_reads(
    watching: Callable[..., "subprocess.Popen[str]"],
) -> None:
    process = watching("orders", "--json")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(PATIENCE_S) == 0


def test_a_watch_in_a_pipe_prints_page_after_page(
    watching: Callable[..., "subprocess.Popen[str]"],
) -> None:
    process = watching("positions", "--account", "alt")
    assert process.stdout is not None
    for _ in range(2):
        head = next(line for line in process.stdout if "Ctrl-C ends" in line)
        assert "every 0.1 s" in head
        assert process.stdout.readline().startswith("account")


def test_a_watch_on_a_terminal_draws_in_place_and_leaves_it_as_it_was(
    desk: Riskd, watching: Callable[..., "subprocess.Popen[str]"]
) -> None:
    controller, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "20"}
    process = watching("positions", stdout=terminal, env=environment)
    os.close(terminal)
    drawn = b""

    def until(text: bytes) -> None:
        nonlocal drawn
        seen = len(drawn)
        while text not in drawn[seen:]:
            drawn += os.read(controller, 65_536)

    until(b"main")
    desk.stop()
    until(b"What follows is old")
    desk.start()
    until(b"Ctrl-C ends")
    process.send_signal(signal.SIGINT)
    until(b"\x1b[?1049l")
    assert process.wait(PATIENCE_S) == 130
    assert drawn.count(b"\x1b[?1049h") == 1
    os.close(controller)
