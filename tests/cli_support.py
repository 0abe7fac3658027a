"""What the tests of the command line share: its text by the library, and ways to run it."""

import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import platforms
import pytest
import rheostat
from stand_in import Bytes

HERE = Path(__file__).parent
STAND_IN = ("--model", "stand_in:load")

# Makes the terminal on its standard input the one whose Ctrl-C it gets.
LAUNCH = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.executable, [sys.executable, '-m', 'rheostat', *sys.argv[1:]])"
)

# A shell's background job ignores Ctrl-C, and so would what it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def text_of(params, prompt="the ", **options):
    """The generation that a command with these params is to give."""
    model = Bytes()
    return rheostat.generate(model, model.encode(prompt), params, table=model.table, **options).run()


def environment(**more):
    return os.environ | {"PYTHONPATH": str(HERE), "TERM": "xterm-256color", "COLUMNS": "100"} | more


def start(*arguments):
    """The command in a process of its own, with pipes."""
    command = [sys.executable, "-m", "rheostat", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())


def finished(*arguments, **options):
    """The same, when it is done."""
    command = [sys.executable, "-m", "rheostat", *arguments]
    return subprocess.run(command, capture_output=True, env=environment(), timeout=60, **options)


def in_terminal(*arguments, env=None, until=None):
    """Runs in a real terminal: what it shows, and the status. At `until` Ctrl-C is typed."""
    if not platforms.HAS_TERMINALS:
        pytest.skip(platforms.NO_TERMINALS)
    import pty

    own, theirs = pty.openpty()
    command = [sys.executable, "-c", LAUNCH, *arguments]
    running = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, env=env or environment()
    )
    os.close(theirs)
    shown = b""
    while True:
        ready, _, _ = select.select([own], [], [], 30)
        assert ready, shown
        try:
            data = os.read(own, 4096)
        except OSError:  # the other end is closed
            break
        shown += data
        if until is not None and until in shown:
            os.write(own, b"\x03")
            until = None
    os.close(own)
    return shown.decode().replace("\r\n", "\n"), running.wait(30)


def plain(text):
    """Without colours and cleared lines."""
    return re.sub(r"\x1b\[[0-9;]*[mK]", "", text)
