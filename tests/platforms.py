"""What some systems lack: marks that skip a test there, each with its reason. They ask for the thing."""

import multiprocessing
import os
import signal
import sys
from importlib import import_module
from pathlib import Path

import pytest


def _is_there(module):
    try:
        import_module(module)
    except ImportError:
        return False
    return True


HAS_TERMINALS = _is_there("pty") and _is_there("fcntl")
NO_TERMINALS = "this system has no pseudo-terminal: no module pty or fcntl"

# Windows alone has no SIGKILL; nor does it send SIGINT to one process, have ps, or tell of a broken pipe.
posix = pytest.mark.skipif(
    not hasattr(signal, "SIGKILL"), reason="needs the signals, pipes and paths of a POSIX system"
)
full_device = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
fifo = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes in folders")
fork = pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods() or sys.platform == "darwin",
    reason="needs multiprocessing's fork, which Windows lacks and the libraries of macOS do not stand",
)
affinity = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="this system does not say on which CPUs a process may run"
)
thread_list = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="threads are counted in /proc, which this system lacks"
)
