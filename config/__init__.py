"""The configuration: what may be written, how it is read, and how it is shown.

Start at `schema/`, where every key is defined with its meaning, bounds and default; `loader.py`
is the way from a file to it. Nothing here imports another part of riskd, or more than msgspec,
attrs and the standard library. The environment comes in as an argument; only `load` opens a file.
"""

from .loader import Loaded, embedded, load, parse
from .paths import PathRefused, checked_socket, default_socket, default_state_dir
from .problems import ConfigInvalid, Problem
from .render import NEEDS_RESTART, differences, json_schema, masked
from .schema import Config
from .secret import Secret

__all__ = [
    "NEEDS_RESTART",
    "Config",
    "ConfigInvalid",
    "Loaded",
    "PathRefused",
    "Problem",
    "Secret",
    "checked_socket",
    "default_socket",
    "default_state_dir",
    "differences",
    "embedded",
    "json_schema",
    "load",
    "masked",
    "parse",
]
