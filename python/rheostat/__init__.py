"""From a row of logits to a token on a CPU: exact, reproducible, at memory speed."""

from rheostat._rheostat import __version__
from rheostat.errors import KnobError, LogitsError

__all__ = ["KnobError", "LogitsError", "__version__"]
