"""`python -m riskd.tools.riskctl` is the `riskctl` command."""

from .cli import main

if __name__ == "__main__":
    main(prog_name="riskctl")
