"""What becomes of orders that ask for too much: in all accounts, and in those that say so.

Whether a change tightens is asked account by account, of what is in force there, whoever says it.
"""

from collections.abc import Iterator

from ...config.schema import OnExcess
from ..messages import KeyChange, LimitChange, Limits

GATE = "gate"
"""What stands for the configuration's section where a rule's name would; an account's is
`accounts.NAME`."""


def of(limits: Limits, account: str) -> OnExcess:
    """In this account, where no rule says otherwise."""
    return limits.on_excess_of.get(account, limits.on_excess)


def _tighter(one: OnExcess, other: OnExcess) -> OnExcess:
    return "block" if "block" in (one, other) else "scale_down"


def tightened(old: Limits, new: Limits) -> tuple[OnExcess, dict[str, OnExcess]]:
    """As near to the new ones as one can come without loosening any account."""
    common = _tighter(old.on_excess, new.on_excess)
    found: dict[str, OnExcess] = {}
    for account in (*new.on_excess_of, *old.on_excess_of):
        wanted = _tighter(of(old, account), of(new, account))
        said = (each.on_excess_of.get(account) for each in (new, old))
        if wanted != common or (account in new.on_excess_of and wanted in said):
            found[account] = wanted
    return common, found


def changes(old: Limits, new: Limits) -> Iterator[LimitChange]:
    """The gate's, and each account's that has its own word now, or had it."""
    if old.on_excess != new.on_excess:
        yield _change(GATE, new.on_excess, old.on_excess, new.on_excess)
    for account in dict.fromkeys((*new.on_excess_of, *old.on_excess_of)):
        was, now = old.on_excess_of.get(account), new.on_excess_of.get(account)
        means = of(new, account)
        if was != now and "block" in (of(old, account), means):
            yield _change(f"accounts.{account}", means, was or "unset", now or "unset")


def _change(rule: str, means: OnExcess, was: str, now: str) -> LimitChange:
    keys = (KeyChange(key="on_excess", old=was, new=now),)
    return LimitChange(rule=rule, how="tightened" if means == "block" else "loosened", keys=keys)
