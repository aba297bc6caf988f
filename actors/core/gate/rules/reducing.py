"""`reduce_only_correct`: what is to make a position smaller can do nothing else."""

from .....config.schema import rules as schema
from ....messages.reasons import Code
from ...book.numbers import ZERO
from ..rule import OK, Found, Judge, Outcome
from ..view import View


class ReduceOnlyCorrect(Judge[schema.ReduceOnlyCorrect]):
    """An order that says it reduces, or one where nothing else passes. By the worst case: all that
    is open on its side, and this, may not be more than the position. Always in force."""

    STAGE = 6

    def judge(self, view: View) -> Found | None:
        if not (view.mode == "reduce_only" or view.asked.order.reduce_only):
            return OK if view.explains else None
        room = view.reducible
        qty = view.to_fill
        if qty <= room:
            return Found("pass", "ok", room, qty, room) if view.explains else None
        code: Code = "reduce_only" if view.mode == "reduce_only" else "not_reducing"
        if room <= ZERO:
            return Found("block", code, ZERO, qty, ZERO)
        outcome: Outcome = "cap" if view.scales(self.config.on_excess) else "block"
        return Found(outcome, code, room, qty, room, room)
