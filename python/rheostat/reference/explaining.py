"""`explain` over the reference itself."""

from __future__ import annotations

import sys
from typing import Any

from numpy.typing import ArrayLike

from rheostat.explain_report import Explanation
from rheostat.explanation import explain_over, with_params
from rheostat.params import SamplingParams
from rheostat.reference.table import takes_knobs_of


@takes_knobs_of(explain_over)
def explain(logits: ArrayLike, /, params: SamplingParams | None = None, **arguments: Any) -> Explanation:
    """What each knob did, step by step, and why this token; see `rheostat.explain`."""
    return explain_over(sys.modules["rheostat.reference"], logits, **with_params(params, arguments))
