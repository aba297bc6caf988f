"""Whatever a client writes into an order or says of a ticket, over the socket of a real riskd: a
refusal with a code of its own, nothing reserved, and the next one is served."""

import json
import time
from collections.abc import Callable
from typing import Any

Begin = Callable[..., Any]  # the classes of these fixtures live in conftest.py
NewClient = Callable[..., Any]

CONFIG = """
[accounts.main]
balance = "1000000"
[accounts.other]
balance = "1000000"
[[instruments]]
symbol = "X"
quote = "USD"
lot = "1"
[[rules]]
kind = "fresh_data"
max_mark_age_s = 3600
[lease]
length_s = 10
[gate]
ticket_s = {ticket_s}
"""
LONG = "x" * 10_000

# What is written in place of what a good order has, the type of the answer, and its code.
NUMBERS: list[tuple[str, str, str]] = [
    ('"NaN"', "decision", "not_finite"),
    ('"-nan"', "decision", "not_finite"),
    ('"sNaN1"', "decision", "not_finite"),
    ('"Infinity"', "decision", "not_finite"),
    ('"-inf"', "decision", "not_finite"),
    ('"1e400"', "decision", "too_many_digits"),
    ('"1e-400"', "decision", "too_many_digits"),
    ('"1e9999"', "decision", "not_a_number"),
    (f'"{"9" * 60}"', "decision", "too_many_digits"),
    (f'"{"9" * 61}"', "decision", "not_a_number"),
    (f'"0.{"0" * 60}1"', "decision", "not_a_number"),
    ("9" * 60, "decision", "too_many_digits"),
    ('""', "decision", "not_a_number"),
    ('" 1"', "decision", "not_a_number"),
    ('"1_0"', "decision", "not_a_number"),
    ('"0x1"', "decision", "not_a_number"),
    ('"1,5"', "decision", "not_a_number"),
    ('"\\uff11"', "decision", "not_a_number"),
    ('"1\\u0000"', "decision", "not_a_number"),
    (f'"{LONG}"', "error", "invalid_value"),
    ("true", "error", "invalid_value"),
    ("1.5", "error", "invalid_value"),
    ("NaN", "error", "invalid_json"),
    ("Infinity", "error", "invalid_json"),
    ("[1]", "error", "invalid_value"),
    ('{"a":1}', "error", "invalid_value"),
]
OTHERS: list[tuple[str, str, str, str]] = [
    ("qty", "null", "error", "invalid_value"),
    ("qty", '"-0"', "decision", "qty_not_positive"),
    ("qty", "0", "decision", "qty_not_positive"),
    ("qty", '"-1"', "decision", "qty_not_positive"),
    ("qty", '"0.5"', "decision", "qty_off_lot"),
    ("symbol", '""', "error", "invalid_value"),
    ("symbol", f'"{LONG}"', "error", "invalid_value"),
    ("symbol", '"x"', "decision", "unknown_symbol"),
    ("symbol", '"X\\u0000"', "decision", "unknown_symbol"),
    ("symbol", '"X "', "decision", "unknown_symbol"),
    ("symbol", '"\\ud800"', "error", "invalid_json"),
    ("symbol", "true", "error", "invalid_value"),
    ("symbol", "null", "error", "invalid_value"),
    ("account", '""', "error", "invalid_value"),
    ("account", f'"{LONG}"', "error", "invalid_value"),
    ("account", '"nobody"', "decision", "unknown_account"),
    ("account", '"Main"', "decision", "unknown_account"),
    ("account", '"main\\n"', "decision", "unknown_account"),
    ("exchange", '"elsewhere"', "decision", "wrong_exchange"),
    ("side", '"hold"', "error", "invalid_value"),
    ("side", '"BUY"', "error", "invalid_value"),
    ("order_type", '"iceberg"', "error", "invalid_value"),
    ("order_type", '"stop"', "decision", "stop_price_missing"),
    ("price", "null", "decision", "price_missing"),
    ("reduce_only", '"no"', "error", "invalid_value"),
    ("reduce_only", "0", "error", "invalid_value"),
    ("client_order_id", '""', "error", "invalid_value"),
    ("client_order_id", f'"{LONG}"', "error", "invalid_value"),
    ("client_order_id", "7", "error", "invalid_value"),
    ("margin_for_error", "1", "error", "unknown_field"),
]
FIELDS = ("qty", "price", "stop_price", "stop_loss", "leverage")
CASES = [(field, *case) for field in FIELDS for case in NUMBERS] + OTHERS


def line(number: int, field: str, value: str) -> bytes:
    order = {"client_order_id": f"o{number}", "account": "main", "symbol": "X", "side": "buy",
             "qty": "1", "price": "1", "order_type": "limit"}  # fmt: skip
    order.pop(field, None)
    good = json.dumps({"type": "check", "id": number, "order": order})
    return f'{good[:-2]},"{field}":{value}}}}}'.encode()


def test_each_is_told_what_is_wrong_and_nothing_is_reserved(
    begin: Begin, client: NewClient
) -> None:
    riskd = begin(CONFIG.format(ticket_s=60))
    one = client(riskd.socket)
    wrong = {}
    for number, (field, value, kind, code) in enumerate(CASES):
        said = one.ask(line(number, field, value))
        found = (said["type"], said["code"], said.get("decision", "block"), said.get("ticket"))
        if found != (kind, code, "block", None):
            wrong[field, value[:20]] = found
    assert wrong == {}
    assert one.ask({"type": "orders"})["orders"] == []
    assert one.check(client_order_id="good")["decision"] == "allow"


def test_a_ticket_whose_time_is_over_is_none_and_what_it_was_for_still_counts(
    begin: Begin, client: NewClient
) -> None:
    riskd = begin(CONFIG.format(ticket_s=0.01))
    one = client(riskd.socket)
    late = one.check(client_order_id="late")
    riskd.until(lambda: time.monotonic() > late["ticket"]["expires_s"])
    said = one.tell("sent", "late", decision_id=late["decision_id"])
    assert (said["type"], said["code"]) == ("refused", "ticket_expired")
    assert [row["id"] for row in one.ask({"type": "orders"})["orders"]] == ["late"]


def test_a_ticket_is_good_once_and_for_its_own_order(begin: Begin, client: NewClient) -> None:
    one = client(begin(CONFIG.format(ticket_s=600)).socket)
    a, b = (one.check(client_order_id=name)["decision_id"] for name in "ab")
    one.check(client_order_id="c")
    one.check(client_order_id="d", qty="-1")
    codes = [
        one.tell("sent", "never-asked").get("code"),
        one.tell("sent", "d").get("code"),
        one.tell("sent", "b", decision_id=a).get("code"),
        one.tell("sent", "a", decision_id=a).get("code"),
        one.tell("sent", "a", decision_id=a).get("code"),
        one.tell("sent", "b", decision_id=b).get("code"),
        one.tell("dropped", "a").get("code"),
    ]
    assert codes == [
        "no_ticket", "no_ticket", "wrong_decision", None, "ticket_used", None, "ticket_used",
    ]  # fmt: skip
    one.ask({"type": "freeze", "scope": "account:other", "reason": "anything tightens"})
    assert one.tell("sent", "c")["code"] == "ticket_stale"
    counting = {row["id"] for row in one.ask({"type": "orders"})["orders"]}
    assert counting == {"a", "b", "c"}, "what was permitted counts, however it was misused"


def test_a_worker_speaks_of_its_own_orders_in_its_own_account(
    begin: Begin, client: NewClient
) -> None:
    riskd = begin(CONFIG.format(ticket_s=60))
    mine, theirs, elsewhere = (client(riskd.socket, name) for name in ("w1", "w2", "w8"))
    asked = mine.check(client_order_id="a")
    assert asked["decision"] == "allow"
    assert mine.check(client_order_id="x", account="other")["code"] == "not_your_account"
    assert mine.check(client_order_id="x", account="nobody")["code"] == "not_your_account"
    again = theirs.check(client_order_id="a")
    assert (again["decision"], again["code"]) == ("block", "id_reused")
    for what in ("sent", "ack", "cancel", "canceled", "rejected", "expired", "dropped"):
        assert theirs.tell(what, "a")["code"] == "not_your_order", what
        assert elsewhere.tell(what, "a")["code"] == "not_your_account", what
    fill = {"fill_id": "f", "symbol": "X", "side": "buy", "qty": "1", "price": "1"}
    assert theirs.tell("fill", "a", **fill)["code"] == "not_your_order"
    assert elsewhere.tell("fill", "a", **fill)["code"] == "not_your_account"
    mark = {"type": "mark", "account": "main", "symbol": "X", "price": "9"}
    assert elsewhere.ask(mark)["code"] == "not_your_account"
    for command in ({"type": "orders"}, {"type": "kill_actor", "name": "gate"}, {"type": "reload"}):
        assert mine.ask(command)["code"] == "not_permitted"
    assert mine.tell("sent", "a", decision_id=asked["decision_id"])["type"] == "reported"
