"""The command `riskd`. Only what a command needs is loaded, so that help and `check` are quick."""

import os
import signal
import sys
from pathlib import Path

import click

_PATH = click.Path(path_type=Path, readable=False)
"""Not checked here: whoever uses it says what is wrong with it, with a remedy and a status."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="riskd", prog_name="riskd")
def main() -> None:
    """The parent process of live trading."""
    if not __debug__:
        raise click.UsageError("riskd relies on its assertions: run it without python -O")


@main.command()
@click.option(
    "--config", type=_PATH, help="The configuration. Without it: the embedded paper setup."
)
@click.option("--state-dir", type=_PATH, help="Where riskd keeps what it must remember.")
@click.option("--socket", type=_PATH, help="The control socket.")
def run(config: Path | None, state_dir: Path | None, socket: Path | None) -> None:
    """Run riskd in the foreground until it is stopped."""
    _keep_standard_descriptors()
    # Until somebody listens to signals they wait: an early one must not end riskd out of order.
    early = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
    signal.pthread_sigmask(signal.SIG_BLOCK, early)
    from . import daemon  # noqa: PLC0415 - loads Trio

    try:
        status = daemon.run(
            daemon.Options(config=config, state_dir=state_dir, socket=socket), os.environ
        )
    except daemon.CannotStart as error:
        for line in str(error).splitlines():
            click.echo(f"riskd: {line}", err=True)
        status = error.status
    sys.exit(status)


def _keep_standard_descriptors() -> None:
    """Open 0, 1 and 2 again where riskd was started without them: nothing is read or kept there.

    A database or a socket that got one of these numbers would be written to by the first library
    that prints a warning.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # The lowest free number, which is this one.
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


@main.command()
@click.argument("file", type=_PATH)
def check(file: Path) -> None:
    """Say whether a configuration file is valid, and everything that is wrong with it."""
    from ..config.loader import load  # noqa: PLC0415 - as above
    from ..config.problems import ConfigInvalid  # noqa: PLC0415 - as above

    try:
        load(file, os.environ)
    except ConfigInvalid as invalid:
        for problem in invalid.problems:
            click.echo(str(problem), err=True)
        sys.exit(1)
    click.echo(f"{file}: valid")


if __name__ == "__main__":
    main()
