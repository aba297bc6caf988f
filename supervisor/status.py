"""The tree and its surroundings as documents: what `riskctl actors` and `status` show."""

from collections.abc import Iterator, Mapping

from .ledger import Ledger
from .tree import ChildInfo, Supervisor

Row = dict[str, object]

NOT_BUILT = (
    "workers",
    "broker links, which would close what is to be closed",
    "alerts",
    "the web dashboard",
)
"""What this version can't do. It is said in `status`, so that nobody takes silence for safety."""


def tree_rows(root: Supervisor, mailboxes: Mapping[str, Row]) -> list[Row]:
    """The whole tree, parents before children, in start order."""
    state = root.state.mode.value
    first = _supervisor_row(root, None, root.name, state)
    return [first, *_rows_below(root, mailboxes)]


def _rows_below(supervisor: Supervisor, mailboxes: Mapping[str, Row]) -> Iterator[Row]:
    for child in supervisor.which_children():
        row = _child_row(child, supervisor.name, mailboxes)
        yield row
        if child.supervisor is not None:
            yield from _rows_below(child.supervisor, mailboxes)


def _child_row(child: ChildInfo, parent: str, mailboxes: Mapping[str, Row]) -> Row:
    if child.supervisor is not None:
        row = _supervisor_row(child.supervisor, parent, child.id, child.state)
    else:
        row = _row(child.id, "actor", parent, child.state)
        row["mailbox"] = mailboxes.get(child.id)
    row.update(
        incarnation=child.incarnation,
        restarts=child.restarts,
        last_failure=child.cause,
        held=child.held,
        stuck=child.stuck,
    )
    return row


def _supervisor_row(supervisor: Supervisor, parent: str | None, name: str, state: str) -> Row:
    row = _row(name, "supervisor", parent, state)
    budget = supervisor.state.budget
    row["budget"] = {
        "used": supervisor.failures_in_window(),
        "intensity": budget.intensity,
        "period_s": budget.period,
    }
    return row


def _row(name: str, kind: str, parent: str | None, state: str) -> Row:
    """Every row has every key, so that a reader needs no special cases."""
    return {
        "name": name,
        "kind": kind,
        "supervisor": parent,
        "state": state,
        "incarnation": 1,
        "restarts": 0,
        "budget": None,
        "mailbox": None,
        "last_failure": None,
        "held": False,
        "stuck": False,
    }


def journal_shown(ledger: Ledger) -> Row:
    """How far it is, how safe, and what is wrong with it."""
    seen = ledger.statistics()
    return {
        "lsn": seen.lsn,
        "unsafe": seen.unsafe,
        "durability": ledger.durability,
        "failure": None if ledger.failure is None else str(ledger.failure),
        "segment": ledger.journal.path.name,
        "snapshot_lsn": seen.snapshot_lsn,
        "syncs": seen.syncs,
        "slow_syncs": seen.slow_syncs,
        "last_sync_ms": round(seen.last_sync_s * 1e3, 3),
        "worst_sync_ms": round(seen.worst_sync_s * 1e3, 3),
        "suspected": list(seen.suspected),
    }


def find(root: Supervisor, name: str) -> tuple[Supervisor, ChildInfo] | None:
    """Which supervisor has the child of that name, anywhere in the tree. Names are unique in it."""
    for child in root.which_children():
        if child.id == name:
            return root, child
        if child.supervisor is not None:
            found = find(child.supervisor, name)
            if found is not None:
                return found
    return None


def only_stuck_left(root: Supervisor) -> bool:
    """Everything that can be stopped has been. A stuck supervisor was killed with all below it."""
    for child in root.which_children():
        if child.stuck:
            continue
        if child.supervisor is not None:
            if not only_stuck_left(child.supervisor):
                return False
        elif child.state != "idle":
            return False
    return True
