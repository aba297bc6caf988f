"""The page about the book: what it shows is replayed, and every number in it is the book's."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from click.testing import CliRunner
from riskd.actors.messages.book import AnyEvent
from riskd.tools.riskctl import main

PAGE = (Path(__file__).parents[1] / "docs" / "book.md").read_text(encoding="utf-8")


def examples() -> list[tuple[str, dict[str, Any]]]:
    """Events, and the part of the document that they give: the page shows the one after the other.
    Events that have no document yet go on in the next block."""
    found, events = [], ""
    for kind, text in re.findall(r"^```(jsonl|json)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        if kind == "jsonl":
            events += text
        else:
            found.append((events, json.loads(text)))
            events = ""
    assert not events, "every example says what comes of it"
    return found


def replayed(events: str) -> Any:
    said = CliRunner().invoke(main, ["book", "replay", "-", "--json"], input=events)
    assert said.exit_code == 0, said.output
    return json.loads(said.stdout)


def part(of: Any, like: Any) -> Any:
    """As much of a document as the page shows."""
    if not isinstance(like, dict):
        return of
    return {key: part(of[key], inner) for key, inner in like.items()}


@pytest.mark.parametrize(("events", "shown"), examples())
def test_each_example_gives_what_stands_below_it(events: str, shown: dict[str, Any]) -> None:
    assert part(replayed(events), shown) == shown


def test_its_whole_document_has_every_key_in_the_order_of_the_command() -> None:
    events, shown = examples()[0]
    assert json.dumps(replayed(events)) == json.dumps(shown)


def test_every_event_has_an_example() -> None:
    told = {json.loads(line)["type"] for events, _ in examples() for line in events.splitlines()}
    assert told == {each.__struct_config__.tag for each in get_args(AnyEvent)}


def test_its_complaint_is_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (complaint,) = re.findall(r"^riskctl: .*$", PAGE, re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    Path("fills.jsonl").write_text('\n{"type": "fill", "id": "1", "symbol": "X", "side": "buy"}\n')
    said = CliRunner().invoke(main, ["book", "replay", "fills.jsonl"], prog_name="riskctl")
    assert said.stderr == complaint + "\n"
