"""Where an error came from, or a thread stands: short whatever the error is, and without values."""

import sys
from types import FrameType

from riskd.supervisor.stacks import CHARS_MAX, FRAMES_MAX, LINES_MAX, STANDING_MAX, stack, standing

HELD = "token-4711"


def raised(error: Exception, depth: int = 0) -> Exception:
    """The error as it is caught, that many calls from where it was raised."""
    held = HELD
    try:
        fall(error, depth)
    except Exception as caught:  # noqa: BLE001 - whatever it was given
        assert held
        return caught


def fall(error: Exception, depth: int) -> None:
    if depth > 0:
        fall(error, depth - 1)
    raise error


def test_an_error_is_told_with_its_frames_and_the_innermost_come_last() -> None:
    first, *frames = stack(raised(ValueError("no"), depth=2))
    assert first == "ValueError: no"
    assert [frame.split()[-1] for frame in frames] == ["raised", "fall", "fall", "fall"]


def test_of_many_frames_the_innermost_are_kept() -> None:
    lines = stack(raised(ValueError("no"), depth=FRAMES_MAX + 5))
    assert len(lines) == 1 + FRAMES_MAX
    assert not [line for line in lines if line.endswith(" raised")]


def test_what_variables_hold_is_not_told() -> None:
    assert HELD not in "\n".join(stack(raised(ValueError("no"))))


def test_the_errors_of_a_group_and_what_they_came_from_are_told() -> None:
    part = raised(ValueError("outer"))
    part.__cause__ = raised(KeyError("inner"))
    lines = stack(raised(ExceptionGroup("tasks", [part, OSError("other")])))
    told = [line for line in lines if not line.startswith("  ")]
    assert told == [
        "2 errors: ValueError: outer; OSError: other",
        "ValueError: outer",
        "caused by",
        "KeyError: 'inner'",
        "OSError: other",
    ]


def test_what_was_suppressed_is_not_told() -> None:
    error = ValueError("outer")
    error.__context__, error.__suppress_context__ = KeyError("inner"), True
    assert stack(error) == ["ValueError: outer"]


def test_causes_in_a_circle_come_to_an_end() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert stack(one) == ["ValueError: one", "caused by", "ValueError: other"]


def test_it_is_bounded_whatever_the_error_is() -> None:
    error = ValueError("x" * 10_000)
    for _ in range(5_000):
        outer = ValueError("x" * 10_000)
        outer.__cause__, error = error, outer
    lines = stack(error)
    assert len(lines) == LINES_MAX
    assert max(map(len, lines)) == CHARS_MAX


def deeper(depth: int) -> FrameType:
    return deeper(depth - 1) if depth else sys._getframe()


def test_where_a_thread_stands_is_told_with_the_innermost_place_last() -> None:
    lines = standing(deeper(0))
    assert [line.split()[-1] for line in lines[-2:]] == [
        "test_where_a_thread_stands_is_told_with_the_innermost_place_last",
        "deeper",
    ]
    assert lines[-1].startswith(f"{__file__}:")


def test_of_many_places_in_which_a_thread_stands_the_innermost_are_kept() -> None:
    lines = standing(deeper(STANDING_MAX + 5))
    assert len(lines) == STANDING_MAX
    assert all(line.endswith(" deeper") for line in lines)
