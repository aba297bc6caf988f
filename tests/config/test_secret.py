"""A secret is used and compared, and shown by nothing but `reveal()`."""

import copy
import json
import pickle
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from riskd.config.secret import MASK, Secret

TEXT = "hunter2-canary"


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        lambda secret: f"{secret}",
        lambda secret: f"{secret!r:>40}",
        lambda secret: f"{secret:>40}",
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031 - one of the ways to be shown
        lambda secret: repr([secret, {"key": secret}]),
        lambda secret: json.dumps(secret, default=str),
        lambda secret: repr(copy.deepcopy(secret)) + repr(copy.copy(secret)),
    ],
)
def test_showing_a_secret_shows_the_mask(show: Callable[[Secret], str]) -> None:
    assert MASK in show(Secret(TEXT))
    assert TEXT not in show(Secret(TEXT))


@pytest.mark.parametrize(
    "encode", [pickle.dumps, json.dumps, msgspec.json.encode, msgspec.to_builtins, vars, len, list]
)
def test_encoding_a_secret_is_refused(encode: Callable[[Secret], object]) -> None:
    with pytest.raises(TypeError) as refused:
        encode(Secret(TEXT))
    assert TEXT not in str(refused.value)


def test_reveal_gives_the_text() -> None:
    assert Secret(TEXT).reveal() == TEXT


def test_a_secret_is_immutable() -> None:
    secret = Secret(TEXT)
    with pytest.raises(AttributeError, match="immutable"):
        secret.other = "x"
    with pytest.raises(AttributeError, match="immutable"):
        del secret.reveal
    with pytest.raises(AttributeError, match="immutable"):
        setattr(secret, "_Secret__text", "x")  # noqa: B010 - mypy would refuse the plain form
    assert secret.reveal() == TEXT


@given(st.text(), st.text())
def test_secrets_are_equal_when_their_texts_are(one: str, other: str) -> None:
    assert (Secret(one) == Secret(other)) is (one == other)
    assert Secret(one) == Secret(one)
    assert hash(Secret(one)) == hash(Secret(one))
    assert len({Secret(one), Secret(other)}) == len({one, other})


def test_a_secret_is_not_its_text() -> None:
    assert Secret(TEXT) != TEXT
