"""The walk accepts what msgspec accepts, finds all that is wrong, and shows no values."""

import math
from decimal import Decimal
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import Meta, Struct
from riskd.config import kinds
from riskd.config.secret import Secret
from riskd.config.walk import FINDINGS_MAX, Unreadable, read


class Plain(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    flag: bool = False
    count: Annotated[int, Meta(ge=0, le=9)]
    ratio: Annotated[float, Meta(gt=0)] | None = None
    word: Literal["ab", "cd"] = "ab"
    text: Annotated[str, Meta(min_length=1, max_length=2)] | int = "a"


class Left(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="left"):
    a: int = 0


class Right(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="right"):
    b: str


class Whole(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    plain: Plain | None = None
    several: Annotated[list[Plain], Meta(max_length=2)] = []
    words: Annotated[tuple[Literal["ab", "cd"], ...], Meta(min_length=1)] = ("ab",)
    named: Annotated[
        dict[Annotated[str, Meta(title="one letter", pattern=r"^\S?\Z")], Left | Right],
        Meta(max_length=2),
    ] = {}
    renamed: int = msgspec.field(default=0, name="else")


class Exact(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    price: Annotated[Decimal, Meta(description="Money.")] | None = None


class Channel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    key: Annotated[Secret, Meta(description="Who we are.")]
    spare: Secret | None = None
    name: str = ""


def _mostly(good: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """What fits, and now and then something that TOML can hold and that may not fit."""
    scalars = st.one_of(st.booleans(), st.integers(-2, 11), st.sampled_from(["", "ab", "x", "abc"]))
    wild: st.SearchStrategy[object] = st.one_of(
        scalars, st.floats(-1, 2), st.lists(scalars, max_size=3), st.just({})
    )
    return st.integers(0, 9).flatmap(lambda dice: wild if dice == 0 else good)


def _tables(**fields: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    optional = {name: _mostly(each) for name, each in fields.items()}
    return st.integers(0, 19).flatmap(
        lambda dice: st.fixed_dictionaries(
            {"unknown": st.just(1)} if dice == 0 else {}, optional=optional
        )
    )


_PLAIN = _tables(
    flag=st.booleans(),
    count=st.integers(0, 9),
    ratio=st.floats(0.1, 5) | st.integers(1, 5),
    word=st.sampled_from(["ab", "cd"]),
    text=st.sampled_from(["a", "bb"]) | st.integers(),
)
_SIDES = _tables(type=st.just("left"), a=st.integers()) | _tables(
    type=st.just("right"), b=st.just("x")
)
_WHOLE = _tables(
    plain=_PLAIN,
    several=st.lists(_mostly(_PLAIN), max_size=3),
    words=st.lists(_mostly(st.sampled_from(["ab", "cd"])), max_size=3),
    named=st.dictionaries(st.text(max_size=2), _mostly(_SIDES), max_size=3),
    **{"else": st.integers()},
)


@given(_WHOLE)
def test_the_walk_and_msgspec_accept_the_same_and_make_the_same_of_it(raw: object) -> None:
    try:
        expected = msgspec.convert(raw, Whole, strict=True)
    except msgspec.ValidationError:
        with pytest.raises(Unreadable):
            read(raw, Whole, {})
    else:
        assert read(raw, Whole, {}) == expected


GOOD: dict[str, object] = {"flag": True, "count": 3, "ratio": 1, "word": "cd", "text": "a"}
BAD: dict[str, object] = {"flag": 1, "count": 10, "ratio": 0, "word": "ef", "text": "abc"}


@given(st.sets(st.sampled_from(sorted(GOOD))), st.sets(st.sampled_from(["x", "y"])), st.booleans())
def test_every_mistake_is_found_at_once_and_nothing_else(
    broken: set[str], unknown: set[str], missing: bool
) -> None:
    table = {key: (BAD if key in broken else GOOD)[key] for key in GOOD} | dict.fromkeys(unknown, 1)
    mistakes = broken | unknown
    if missing:
        del table["count"]
        mistakes = mistakes | {"count"}
    assume(mistakes)
    with pytest.raises(Unreadable) as refused:
        read({"several": [GOOD, table], "named": {"n": {"type": "up"}}}, Whole, {})
    paths = [finding.path for finding in refused.value.findings]
    expected = {("several", 1, key) for key in mistakes} | {("named", "n", "type")}
    assert len(paths) == len(expected)
    assert set(paths) == expected


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({"plain": 3}, "plain is a whole number; write a table"),
        ({"plain": {}}, "plain.count is required; write a whole number from 0 up to 9"),
        ({"plain": {"count": 1, "wrod": 1}}, 'plain.wrod is not a key; did you mean "word"?'),
        (
            {"plain": {"count": 10}},
            "plain.count is out of bounds; write a whole number from 0 up to",
        ),
        ({"plain": {"count": 1, "q": 1}}, "plain.q is not a key; the keys here are flag, count,"),
        ({"plain": {"count": 1, "word": "abb"}}, 'plain.word is none; did you mean "ab"?'),
        ({"plain": {"count": 1, "word": "q"}}, 'plain.word is none; write one of "ab", "cd"'),
        ({"words": []}, "words has 0 entries; write a list at least 1 long"),
        ({"words": "ab"}, "words is text; write a list"),
        ({"named": {"n": {"type": "lefft"}}}, 'named.n.type is none; did you mean "left"?'),
        ({"named": {"n": {}}}, 'named.n.type is required; write "left", "right"'),
        ({"named": {"nn": {"type": "left"}}}, "named.nn is not a name; write one letter"),
        (
            {"named": dict.fromkeys("abc")},
            "named has 3 entries; write a table of at most 2 names; ",
        ),
        (
            {"named": ["a"]},
            "named is a list; write a table of at most 2 names; each name: one lett",
        ),
        ({"named": {"n": {"type": ["left"]}}}, 'named.n.type is none; write "left", "right"'),
        ({"named": {"n": {"type": "left", "b": 1}}}, "named.n.b is not a key; the keys here are a"),
    ],
)
def test_a_finding_says_what_is_wrong_and_what_to_write(raw: object, says: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read(raw, Whole, {})
    (finding,) = refused.value.findings
    place, _, remedy = says.partition("; ")
    path, _, message = place.partition(" ")
    assert ".".join(map(str, finding.path)) == path
    assert finding.message.startswith(message)
    assert finding.remedy.startswith(remedy)


def test_past_the_limit_the_walk_ends_and_says_so() -> None:
    with pytest.raises(Unreadable) as refused:
        read({f"k{number}": 1 for number in range(100_000)}, Whole, {})
    *findings, last = refused.value.findings
    assert len(findings) == FINDINGS_MAX
    assert last.path == ()
    assert f"{FINDINGS_MAX} problems and maybe more" in last.message


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_is_finite(number: float) -> None:
    with pytest.raises(Unreadable) as refused:
        read({"plain": {"count": 1, "ratio": number}}, Whole, {})
    assert refused.value.findings[0].message == "is not a finite number"


@pytest.mark.parametrize("raw", ["0.1", "-12", "+3.50", "1e-8", 7, -(10**39)])
def test_a_decimal_is_text_or_a_whole_number(raw: str | int) -> None:
    assert read({"price": raw}, Exact, {}).price == Decimal(raw)


@pytest.mark.parametrize(
    "raw",
    [0.1, 1.0, True, "NaN", "Infinity", "-inf", "1_0", " 1", "", "1e999", "٣", 10**40, "9" * 41],
)
def test_a_decimal_is_never_a_float_nor_endless_nor_something_else(raw: object) -> None:
    with pytest.raises(Unreadable) as refused:
        read({"price": raw}, Exact, {})
    assert "in quotes" in refused.value.findings[0].remedy


def test_a_secret_comes_from_the_environment_verbatim() -> None:
    channel = read({"key": "${K_1}", "spare": "literal $ {x}"}, Channel, {"K_1": "${K_1} twice"})
    assert channel.key.reveal() == "${K_1} twice"
    assert channel.spare == Secret("literal $ {x}")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ("${MISSING}", "the environment variable MISSING is not set"),
        ("${EMPTY}", "the environment variable EMPTY is empty"),
        ("Bearer ${KEY}", "can't be read"),
        ("${KEY}${KEY}", "can't be read"),
        ("${KEY", "can't be read"),
        ("${}", "can't be read"),
        ("${1KEY}", "can't be read"),
        ("${KEY}\n", "can't be read"),
        ("${" + "K" * 300 + "}", "can't be read"),
        ("", "is an empty secret"),
        (3, "is a whole number"),
        (["${KEY}"], "is a list"),
        ({"KEY": "${KEY}"}, "is a table"),
    ],
)
def test_a_secret_that_can_not_be_had_is_a_finding_that_shows_nothing(
    raw: object, says: str
) -> None:
    with pytest.raises(Unreadable) as refused:
        read({"key": raw}, Channel, {"KEY": "canary", "EMPTY": ""})
    (finding,) = refused.value.findings
    assert finding.path == ("key",)
    assert says in finding.message
    assert "canary" not in repr(finding)


@pytest.mark.parametrize("text", ["${KEY}", "a ${KEY} b", "${", "$${KEY}"])
def test_only_secrets_take_anything_from_the_environment(text: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read({"key": "${KEY}", "name": text}, Channel, {"KEY": "canary"})
    (finding,) = refused.value.findings
    assert finding.path == ("name",)
    assert "secrets only" in finding.message


@pytest.mark.parametrize(
    "annotation", [object, bytes, dict[int, int], Left | Plain, Plain | Whole, type(None), set[str]]
)
def test_a_schema_can_hold_nothing_that_the_walk_does_not_check(annotation: object) -> None:
    with pytest.raises(TypeError):
        kinds.kind(annotation)
