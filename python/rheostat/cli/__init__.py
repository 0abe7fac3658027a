"""The command line `rheostat`; needs the extra `cli`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from rheostat.extras import needed


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line, by default the program's own, and gives its exit status.

    0: done; 1: it failed, or `diff` found a difference; 2: the command line is wrong; 130: Ctrl-C; 141: the
    reader of its pipe has gone.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # a shell closed it
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))
    if find_spec("rich") is None:
        print(needed("The command line", "cli"), file=sys.stderr)
        return 2
    try:
        from rheostat.cli.commands import run

        return run(arguments)
    except KeyboardInterrupt:  # while modules are loaded
        return 130
