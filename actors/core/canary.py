"""The canary's orders, each of which the gate must refuse, and what to make of an answer. Pure.

Theory
------
A gate that allows everything looks, from outside, like one that has nothing to object to. So riskd
asks its own, again and again, for what can't be allowed: through the socket, as any client. Each
order has one thing wrong with it, and is wrong whatever the market does: it names a symbol or an
account that there is not, its quantity is no number, or has more digits than anything has, or is
far above what its instrument or a rule in force lets pass; or its id was used for another one.

The answer must be a block, and the code that of what is wrong. Before that comes the fence: while
everything is halted, or riskd knows that it can't judge, each order is blocked for that, which is
as good. Everything else is a failure: not the order was wrong, but the gate.

Only what is too large is so by limits that may change between the question and its answer, and then
the answer proves nothing: it may be right by the new ones.

No rule counts these orders, no book reserves anything for them, whatever is answered, and the gate
remembers the last one alone. They are known by who asks: riskd's own process, by the kernel's word,
which nobody else can be.
"""

from decimal import Decimal
from typing import NamedTuple

from ...config.schema import rules as schema
from ..messages import AnyReply, Decision, OrderAsked
from ..messages.accounts import Listing
from ..messages.canary import CanaryKind
from ..messages.reasons import Code
from .book.numbers import fault, shown
from .books import Books
from .gate.asked import CANARY
from .gate.decision import Knowledge
from .gate.rules.order import on_lot
from .gate.ruleset import Ruleset

KINDS: tuple[CanaryKind, ...] = (
    "unknown_symbol",
    "unknown_account",
    "too_many_digits",
    "not_finite",
    "id_reused",
    "too_large",
)
"""In this order they are asked. One is left out when there is nothing to ask it of."""
FENCED: frozenset[Code] = frozenset(
    {
        *("kill_switch", "halted", "in_doubt", "journal_failed", "gate_unavailable"),
        *("position_keeper_unavailable", "account_closed"),
    }
)
"""Why any order is blocked, whatever is wrong with it."""
TAKES_ID: frozenset[CanaryKind] = frozenset({"not_finite"})
"""What it was answered is remembered by its id: the next one takes that again."""
TOO_LARGE = 1_000
"""Times what passes."""
NOWHERE = "X"
"""A symbol for what is refused before anybody looks at it."""


class Ground(NamedTuple):
    """What an order is too large by. Equal: nothing of it has changed since, not even there and
    back."""

    books: Books
    revision: int
    rules: Ruleset


class Question(NamedTuple):
    """An order, and the codes that fit; any, if there are none. `ground`: by what it is wrong;
    None: by nothing that is known."""

    kind: CanaryKind
    order: OrderAsked
    codes: frozenset[Code]
    ground: Ground | None = None


def question(
    turn: int, known: Knowledge | None, name: str, before: Question | None
) -> tuple[int, Question]:
    """What is asked in this turn or, where there is nothing to ask, in the first one after it, with
    its number. `name` is one that nothing has; what was asked `before` has taken its id."""
    while True:
        found = _question(KINDS[turn % len(KINDS)], turn, known, name, before)
        if found is not None:
            return turn, found
        turn += 1  # To an unknown account there is always something.


def _question(
    kind: CanaryKind, turn: int, known: Knowledge | None, name: str, before: Question | None
) -> Question | None:
    if kind == "unknown_account":
        return Question(kind, _order(name, name, NOWHERE, "1"), frozenset({"unknown_account"}))
    if kind == "id_reused":
        if before is None or before.kind not in TAKES_ID:
            return None
        order = before.order
        again = _order(order.client_order_id, order.account, order.symbol, "1")
        return Question(kind, again, frozenset({"id_reused"}))
    spot = None if known is None else _spot(turn // len(KINDS), known)
    if known is None or spot is None:
        return None
    account, listing = spot
    match kind:
        case "unknown_symbol":
            return Question(kind, _order(name, account, name, "1"), frozenset({"unknown_symbol"}))
        case "not_finite":
            order = _order(name, account, listing.symbol, "NaN")
            return Question(kind, order, frozenset({"not_finite"}))
        case "too_many_digits":
            order = _order(name, account, listing.symbol, "9" * 60)
            return Question(kind, order, frozenset({"too_many_digits"}))
    return _too_large(known, name, account, listing)


def _order(name: str, account: str, symbol: str, qty: str) -> OrderAsked:
    return OrderAsked(client_order_id=name, account=account, symbol=symbol, side="buy", qty=qty)


def _spot(turn: int, known: Knowledge) -> tuple[str, Listing] | None:
    """An account and an instrument, another one each time. None: there are none."""
    accounts = [name for name, held in known.books.accounts.items() if held.about.is_open]
    listings = [one for one in known.books.listings.values() if known.books.listed(one.symbol)]
    if not accounts or not listings:
        return None
    return accounts[turn % len(accounts)], listings[turn % len(listings)]


def _too_large(known: Knowledge, name: str, account: str, listing: Listing) -> Question | None:
    """None: nothing that is known must refuse it, however large it is."""
    if listing.max_qty is not None:
        order = _large(name, account, listing, listing.max_qty)
        return _asked(order, frozenset({"qty_above_max"}), known)
    place = known.rules.place(known.books, _order(name, account, listing.symbol, "1"), CANARY)
    for judge in () if place is None else place.judges:
        rule = judge.config
        if isinstance(rule, schema.MaxOrderQty) and judge.blocks and _refuses(rule, known, account):
            # Whichever rule comes first: this one refuses it for sure.
            return _asked(_large(name, account, listing, rule.max_qty), frozenset(), known)
    return None


def _refuses(rule: schema.MaxOrderQty, known: Knowledge, account: str) -> bool:
    """It does not let pass what is left."""
    default = known.on_excess_of.get(account, known.on_excess)
    return (rule.on_excess or default) == "block"


def _asked(order: OrderAsked | None, codes: frozenset[Code], known: Knowledge) -> Question | None:
    return None if order is None else Question("too_large", order, codes, _ground(known))


def _ground(known: Knowledge) -> Ground:
    return Ground(known.books, known.books.revision, known.rules)


def _large(name: str, account: str, listing: Listing, most: Decimal) -> OrderAsked | None:
    qty = on_lot(max(most, Decimal(1)) * TOO_LARGE, listing.lot)
    if qty <= most or fault(qty) is not None:
        return None
    return _order(name, account, listing.symbol, shown(qty) or "0")


def wrong(question: Question, reply: AnyReply) -> str | None:
    """What is wrong with an answer. None: nothing."""
    if not isinstance(reply, Decision):
        return f"a check was answered with {type(reply).__name__}"
    if reply.decision != "block":
        return f"an order that must be refused ({question.kind}) was answered {reply.decision}"
    if reply.code in FENCED or not question.codes or reply.code in question.codes:
        return None
    return f"an order was refused for {reply.code}, and what is wrong with it is {question.kind}"


def is_moot(question: Question, reply: AnyReply, known: Knowledge | None) -> bool:
    """What it was wrong by is not what is `known` after the answer: any decision may be right."""
    if question.ground is None or not isinstance(reply, Decision):
        return False
    return known is None or question.ground != _ground(known)


def is_kept(question: Question, reply: AnyReply) -> bool:
    """Its id is taken by this answer, so that another order may ask for it."""
    return isinstance(reply, Decision) and reply.code in question.codes
