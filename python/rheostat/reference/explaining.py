"""`explain` over the reference itself."""

from __future__ import annotations

import sys
from typing import Any

from numpy.typing import ArrayLike


def explain(logits: ArrayLike, /, params: Any = None, **arguments: Any) -> Any:
    """What each knob did, step by step, and why this token; see `rheostat.explain`."""
    from rheostat.explanation import explain_over, with_params  # which import the reference

    return explain_over(sys.modules["rheostat.reference"], logits, **with_params(params, arguments))
