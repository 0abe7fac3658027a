"""The version of the numeric law in what is stored: checked wherever it is read."""

from __future__ import annotations

from typing import Any

from rheostat.errors import KnobError
from rheostat.reference.law import LAW


def check_law(law: Any) -> None:
    """Refuses what was stored under another version, or under none."""
    if type(law) is not int or law != LAW:
        message = f"law must be {LAW}, the version of the numeric law that this library follows, got {law!r}"
        raise KnobError(message, "law", law)
