"""Configuration files, read without riskd. Loaded only by the commands that need it."""

import os
from pathlib import Path

from ...config.loader import Loaded, load
from ...config.problems import ConfigInvalid
from ...config.render import json_schema, masked
from .talk import REFUSED, Failure

__all__ = ["json_schema", "read", "shown"]


def read(file: Path) -> Loaded:
    """The file, valid, or a Failure that lists all its problems."""
    try:
        return load(file, os.environ)
    except ConfigInvalid as invalid:
        problems = [str(problem) for problem in invalid.problems]
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        message = f"{file} is not valid: {count}"
        raise Failure(REFUSED, "invalid_config", message, problems) from invalid


def shown(file: Path) -> tuple[str, dict[str, object]]:
    """Its name and its content with all defaults, secrets masked."""
    loaded = read(file)
    return loaded.source, masked(loaded.config)
