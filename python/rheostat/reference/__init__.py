"""The whole library in NumPy: short, slow, and what the fast code must equal bit by bit."""

from rheostat.reference.functions import top_k

__all__ = ["top_k"]
