"""What is wrong with a command line, or went wrong with what it asked for."""


class UsageError(Exception):
    """One sentence for the user; the exit status is 2."""


class FailedError(Exception):
    """One sentence for the user; the exit status is 1."""
