"""`riskctl`, the operator's command line. Start reading at `cli.py`.

`cli` holds the commands, `journal` those that read what riskd has written, `options` what all of
them take. `talk` asks riskd and turns every failure into one exit status, `show` puts documents
into words and tables, `page` prints those, on a terminal with the help of `terminal`; `files` reads
configuration files, `history`, `export` and `follow` the journal.

It loads neither trio nor, unless it writes to a terminal, rich: an operator in a hurry waits for
the daemon, not for imports.
"""

from .cli import main

__all__ = ["main"]
