"""What this implementation is: one law, one thread, no SIMD."""

from __future__ import annotations

from typing import Any

from rheostat.reference import knobs as rules
from rheostat.reference.law import LAW

THREADS = ("must be in [0, 1024]", lambda n: 0 <= n <= 1024)


def build_info() -> dict[str, Any]:
    """The keys of `rheostat.build_info`."""
    from importlib.metadata import version  # slow to import, rarely asked for

    return {
        "version": version("rheostat"),
        "law": LAW,
        "simd": "reference",
        "simd_available": ["reference"],
        "threads": 1,
    }


def set_num_threads(n: Any, /) -> None:
    """Checks n as `rheostat.set_num_threads` does and changes nothing: the reference has one thread."""
    count = rules.integer_of("n", n)
    if isinstance(count, list):
        raise TypeError("n must be an integer, got several")
    rules.check("n", THREADS, count)
