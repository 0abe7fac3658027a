"""From a row of logits to a token on a CPU: exact, reproducible, at memory speed."""

from rheostat._rheostat import __version__, top_k
from rheostat.errors import KnobError, LogitsError

__all__ = ["KnobError", "LogitsError", "__version__", "top_k"]
