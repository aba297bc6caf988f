"""riskd: the parent process of live trading.

The repository's root is this package. It is kept inert: importing it loads nothing, so that a
worker which wants one name does not pay for the daemon. Start reading at `actors/messages/`.
"""

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - the root must stay free to import

        return version("riskd")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
