"""What is wrong with a command line, or with what it asked for; and the exit status after Ctrl-C."""

INTERRUPTED = 130  # 128 + SIGINT, as a shell tells it


class UsageError(Exception):
    """One sentence for the user; the exit status is 2."""


class FailedError(Exception):
    """One sentence for the user; the exit status is 1."""
