"""The command line `rheostat`; needs the extra `cli`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line, by default the program's own, and gives its exit status.

    0: done; 1: it failed, or `diff` found a difference; 2: the command line is wrong; 130: Ctrl-C.
    """
    if find_spec("rich") is None:
        print("The command line needs the extra cli: pip install 'rheostat[cli]'", file=sys.stderr)
        return 2
    from rheostat.cli.commands import run

    return run(arguments)
