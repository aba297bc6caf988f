"""`python -m riskd` is the `riskd` command."""

from .supervisor.cli import main

if __name__ == "__main__":
    main()
