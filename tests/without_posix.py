"""A plugin for pytest, `-p without_posix`: takes away what Windows lacks and a process can do without."""

import os
import signal
import sys

for _module in ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"):
    sys.modules[_module] = None  # whose import is then an ImportError
for _home, _names in (
    (os, ("mkfifo", "sched_getaffinity", "sched_setaffinity", "setsid")),
    (signal, ("SIGKILL", "SIGHUP", "SIGALRM", "SIGUSR1", "SIGPIPE")),
):
    for _name in _names:
        if hasattr(_home, _name):  # some are missing already where this is no simulation
            delattr(_home, _name)
