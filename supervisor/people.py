"""The users and groups of this machine, by the names that a configuration gives them."""

import contextlib
import grp
import pwd


def user_id(name: str) -> int:
    """A user by name or number. KeyError says that this machine doesn't have it."""
    return int(name) if name.isdecimal() else pwd.getpwnam(name).pw_uid


def names_of(number: int) -> tuple[str, ...]:
    """What a user can be called, the best name first."""
    with contextlib.suppress(KeyError):
        return (pwd.getpwuid(number).pw_name, str(number))
    return (str(number),)


def group_id(name: str | None) -> int | None:
    """A group by name or number. KeyError says that this machine doesn't have it."""
    if name is None or name.isdecimal():
        return None if name is None else int(name)
    return grp.getgrnam(name).gr_gid
