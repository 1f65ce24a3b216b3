"""``python -m stepwedge``: the same as the ``stepwedge`` command."""

from __future__ import annotations

import sys


def main() -> int:
    """Run a simulated system without loading the command line, or the command line."""
    if sys.argv[1:2] == ["sim"]:
        from stepwedge.sim.command import main as play

        return play(sys.argv[2:])
    from stepwedge.cli import main as command

    return command()


if __name__ == "__main__":
    sys.exit(main())
