"""What the log says of a fact: how loud it is, and in whose words."""

from decimal import Decimal
from typing import Any, cast

import pytest
from riskd.actors.messages import (
    CloseAsked,
    Fact,
    LimitUnknown,
    LimitWarned,
    OrderCancelAsked,
    RuleCalm,
    RuleTripped,
)
from riskd.supervisor.chronicle import Chronicle
from structlog.testing import capture_logs

PLACE: dict[str, Any] = {"rule": "daily_loss@all", "scope": "all", "account": "main", "symbol": "X"}
BROKEN = RuleTripped(
    **PLACE, kind="daily_loss", action="block", limit=Decimal(2), value=Decimal(3), missing=None
)


def level_of(fact: Fact) -> str:
    with capture_logs() as said:
        Chronicle(cast("Any", None)).tell(fact)
    (line,) = said
    return str(line["log_level"])


@pytest.mark.parametrize(
    "fact",
    [
        BROKEN,
        LimitWarned(**PLACE, level_pct=Decimal(80), limit=Decimal(2), value=Decimal("1.7")),
        LimitUnknown(**PLACE, missing="the mark of X", unknown_s=10.0),
        CloseAsked(**PLACE, reason="it is broken"),
        OrderCancelAsked(**PLACE, client_order_id="o", reason="it is of no use"),
    ],
    ids=lambda fact: type(fact).__name__,
)
def test_a_limit_that_breaks_and_what_follows_is_a_warning(fact: Fact) -> None:
    """Whoever reads warnings alone must see it, also where it only blocks and no halt is placed."""
    assert level_of(fact) == "warning"


def test_that_it_is_over_is_none() -> None:
    calm = {name: getattr(BROKEN, name, None) for name in RuleCalm.__struct_fields__}
    assert level_of(RuleCalm(**calm)) == "info"
