"""The console script `rheostat`, a package of its own: whatever is in `rheostat` imports NumPy first."""

from __future__ import annotations

import os
import signal

INTERRUPTED = 130


def main() -> int:
    """Runs the command line and gives its exit status; see `rheostat.cli.main`.

    Ctrl-C while it is loaded ends the process at once. An exception would not do: in the middle of an import
    NumPy makes an ImportError of it, with a page of advice.
    """
    usual = signal.getsignal(signal.SIGINT)
    if usual is signal.default_int_handler:  # and not ignored, as in a shell's background job
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    from rheostat.cli import main as run

    signal.signal(signal.SIGINT, usual)
    return run()
