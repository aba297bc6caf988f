"""The drawings of the tree show the actors that there are."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from riskd.actors.messages import Actors, ActorsAre
from riskd.supervisor import compose

Start = Callable[..., Any]  # the classes of these fixtures live in conftest.py
README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def drawn(text: str) -> list[str]:
    return re.findall(r"[├└]─ (\w+)", text)


def test_every_actor_is_drawn_once_where_people_look(start: Start) -> None:
    reply = start().wait_ready().ask(Actors())
    assert isinstance(reply, ActorsAre)
    names = [str(each["name"]) for each in reply.actors]
    listed = re.findall(r"^ *(\w+) +(?:serving|running) ", README, re.MULTILINE)
    assert listed == names
    assert sorted(drawn(compose.__doc__ or "")) == sorted(names[1:])
    assert sorted(drawn(README.partition("┬")[0])) == sorted(names[1:])
