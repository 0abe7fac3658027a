"""What is wrong with a command line."""


class UsageError(Exception):
    """One sentence for the user; the exit status is 2."""
