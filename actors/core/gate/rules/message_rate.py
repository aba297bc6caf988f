"""`message_rate`: what is sent to the venue in a while."""

from .....config.schema import rules as schema
from ....messages.reasons import Code
from ..flow import FlowJudge, worst
from ..memory import Asked, Judged, Rearmed, Seen
from ..rule import Found
from ..view import View
from ..window import Window


class Rates:
    """New orders, changes and cancellations, each in a window. Whatever comes is counted; what the
    gate has blocked was never sent."""

    def __init__(self, config: schema.MessageRate) -> None:
        self._id = config.id
        self.submits = Window(config.window_s)
        self.amends = Window(config.window_s)
        self.cancels = Window(config.window_s)

    def saw(self, seen: Seen) -> None:
        if isinstance(seen, Judged):
            if seen.verdict.decision != "block":
                self.submits.add(seen.at)
        elif isinstance(seen, Asked):
            (self.amends if seen.what == "amend_request" else self.cancels).add(seen.at)
        elif isinstance(seen, Rearmed) and seen.rule == self._id:
            for window in (self.submits, self.amends, self.cancels):
                window.clear()

    def dump(self) -> object:
        return [self.submits.dump(), self.amends.dump(), self.cancels.dump()]

    def load(self, state: object) -> None:
        if not isinstance(state, list):
            raise TypeError("three windows are a list")
        for window, one in zip((self.submits, self.amends, self.cancels), state, strict=True):
            window.load(one)


class MessageRate(FlowJudge[schema.MessageRate]):
    """An order, or a change of one, waits until its own kind has room and, after it, so many
    messages are left for cancelling as are reserved. Cancelling is never asked; that there were too
    many, of it or of what was reported as done, stops what can be stopped."""

    STAGE = 10

    def __init__(self, config: schema.MessageRate) -> None:
        super().__init__(config)
        self._all = None
        if config.max_messages is not None:
            self._all = config.max_messages - config.cancel_reserve
        self._calm_submits = self.calm(config.max_submits)
        self._calm_amends = self.calm(config.max_amends)
        self._calm_cancels = self.calm(config.max_cancels)
        self._calm_all = self.calm(self._all)

    def memory(self) -> Rates:
        return Rates(self.config)

    def judge(self, view: View) -> Found | None:
        rates: Rates = view.memories[self.id]
        submits, amends, cancels = rates.submits.most, rates.amends.most, rates.cancels.most
        if (
            submits < self._calm_submits
            and amends < self._calm_amends + (not view.amends)
            and cancels <= self._calm_cancels
            and submits + amends + cancels < self._calm_all
            and not view.explains
        ):
            return None
        found = self._count(rates, view)
        return found if found is None or found.outcome != "pass" or view.explains else None

    def _count(self, rates: Rates, view: View) -> Found | None:
        config, since = self.config, view.moment.at - rates.submits.span
        submits, amends = rates.submits.count(since), rates.amends.count(since)
        cancels = rates.cancels.count(since)
        counted: tuple[tuple[Code, int | None, int, int], ...] = (
            ("submit_rate", config.max_submits, submits, int(not view.amends)),
            ("amend_rate", config.max_amends, amends, int(view.amends)),
            ("cancel_rate", config.max_cancels, cancels, 0),
            ("message_rate", self._all, submits + amends + cancels, 1),
        )
        return worst(
            *(
                self.counted(code, limit, before, more)
                for code, limit, before, more in counted
                if limit is not None
            )
        )
