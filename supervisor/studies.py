"""Questions about decisions, answered: at once where what is known now is enough, and else by a
study, a process of its own, so that nobody who asks the gate waits for history.

Answers can be megabytes. They go on as the bytes that they came in, or that each order was written
in by itself: all of it read or written at once would keep those waiting who ask the gate.
"""

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import attrs
import msgspec
import trio

from ..actors.control import CommandRefused, CommandUnavailable, Handler
from ..actors.core.access import Caller, Role
from ..actors.core.gate.asked import Identity
from ..actors.core.gate.decision import Knowledge
from ..actors.core.gate.explained import considered, explain
from ..actors.core.gate.view import Moment
from ..actors.core.triggers import Ran
from ..actors.gate import Gate, NotJudged
from ..actors.messages import Command, Explain, Explained, Reply, Supposed, WhatIf
from ..actors.ports import Clock
from .chronicle import Chronicle
from .looks import Outside
from .study import START, ExplainRequest, Request, SupposeRequest

STUDY_S = 30.0
"""What takes longer is for `riskctl explain` to work out from the files."""
LINE_S = 10.0
"""For those before: there is one study at a time."""
ROWS_MAX = 20_000
"""Of rules, over all orders of a question: a megabyte or five, and some tenths of a second."""
ANYBODY = Identity()
PATIENT = (Explain, WhatIf)
"""Nobody works on for somebody who has gone."""


Written = dict[str, Any]
"""A document that is written already. Nobody looks into it."""


class _Heard(msgspec.Struct, frozen=True):
    """A study's `Answer`."""

    found: list[msgspec.Raw] = []
    refused: tuple[str, str] | None = None


@attrs.define(eq=False, kw_only=True)
class Studies:
    """The handlers of these commands."""

    gate: Gate
    chronicle: Chronicle
    clock: Clock
    outside: Outside
    _line: trio.Lock = attrs.field(factory=trio.Lock, init=False)
    _others: trio.Lock = attrs.field(factory=trio.Lock, init=False)
    """Where all but operators wait, so that one of them at most stands in the line."""

    def handlers(self) -> Mapping[type[Command], Handler]:
        return {Explain: self._explain, WhatIf: self._what_if}

    @property
    def _directory(self) -> Path:
        return self.chronicle.ledger.journal.directory

    async def _explain(self, caller: Caller, command: Explain) -> Reply:
        lsn, newest = int(command.decision_id), self.chronicle.ledger.lsn
        if not 1 <= lsn <= newest:
            said = f"there is no decision {lsn}: the newest fact is {newest}"
            raise CommandRefused("no_decision", f"{said}; see `riskctl journal tail`")
        request = ExplainRequest(str(self._directory), lsn, caller.worker)
        (found,) = await self._study(request, caller.role)
        return Explained(explanation=found)

    async def _what_if(self, caller: Caller, command: WhatIf) -> Reply:
        if not (command.marks or command.limits or command.together):
            return await self._judged(command)
        self._known(command)
        lsn = self.chronicle.ledger.lsn
        request = SupposeRequest(
            str(self._directory), lsn, self.clock.now(), self.clock.monotonic_s(), command
        )
        return Supposed(lsn=lsn, decisions=await self._study(request, caller.role))

    def _known(self, command: WhatIf) -> Knowledge:
        """What there is to judge by, if so much can be told at once."""
        try:
            known = self.gate.trusted()
        except NotJudged as why:
            raise CommandUnavailable(str(why)) from why
        orders, rules = len(command.orders), len(known.rules.judges)
        if orders * rules > ROWS_MAX:
            said = f"{orders} orders and {rules} rules are too much at once"
            raise CommandRefused("too_much_at_once", f"{said}; ask about fewer orders")
        return known

    async def _judged(self, command: WhatIf) -> Reply:
        """Each by what is known when it is its turn, for others come in between."""
        found, lsn = list[Written](), 0
        for order in command.orders:
            known, lsn = self._known(command), self.chronicle.ledger.lsn
            moment = Moment(self.clock.now(), self.clock.monotonic_s())
            document = considered(lsn, explain(order, ANYBODY, known, moment))
            found.append(_written(msgspec.Raw(msgspec.json.encode(document))))
            await trio.lowlevel.checkpoint()
        return Supposed(lsn=lsn, decisions=found)

    # --- a process

    async def _study(self, request: Request, role: Role) -> list[Written]:
        lines = (self._line,) if role == Role.OPERATOR else (self._others, self._line)
        with ExitStack() as places:
            with trio.move_on_after(LINE_S) as patience:
                for line in lines:
                    await line.acquire()
                    places.callback(line.release)
            if patience.cancelled_caught:
                raise CommandUnavailable("others are being answered; ask again")
            try:
                said = msgspec.json.encode(request)
                ran = await self.outside.ask([sys.executable, *START], said, STUDY_S)
            except OSError as error:
                raise CommandUnavailable(f"no process could be started for it: {error}") from error
        return _found(ran)


def _found(ran: Ran) -> list[Written]:
    if ran.status is None:
        raise CommandRefused(
            "too_long",
            f"it takes longer than {STUDY_S:g} s; `riskctl explain --state-dir` takes the time it "
            f"needs",
        )
    try:
        answer = msgspec.json.decode(ran.said, type=_Heard)
    except msgspec.DecodeError:
        raise CommandUnavailable(
            f"it could not be worked out: the process ended with {ran.status}: {ran.said[-500:]}"
        ) from None
    if answer.refused is not None:
        raise CommandRefused(*answer.refused)
    return [_written(one) for one in answer.found]


def _written(document: msgspec.Raw) -> Written:
    return cast("Written", document)
