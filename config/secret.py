"""`Secret`: a value that is used and compared, but never shown by accident."""

import hmac
from typing import NoReturn

MASK = "********"
"""What stands for a secret wherever a configuration is shown; the same for all lengths."""


class Secret:
    """Text that only `reveal()` gives away.

    Showing, formatting, encoding or pickling it gives the mask or a `TypeError`. Comparison takes
    the same time wherever two secrets of one length differ.
    """

    __slots__ = ("__text",)
    __text: str

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "_Secret__text", text)

    def reveal(self) -> str:
        """The secret itself. Every call of this is a place to look at in a review."""
        return self.__text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__bytes(), other.__bytes())

    def __hash__(self) -> int:
        return hash((Secret, self.__text))

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, format_spec: str) -> str:
        return format(MASK, format_spec)

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, memo: object) -> "Secret":
        return self

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Secret is immutable: {name!r} can't be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Secret is immutable: {name!r} can't be deleted")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret is not pickled; pass the name of its variable instead")

    def __bytes(self) -> bytes:
        return self.__text.encode("utf-8", "surrogatepass")
