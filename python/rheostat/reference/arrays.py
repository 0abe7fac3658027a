from __future__ import annotations
import numpy as np
from rheostat.errors import KnobError, LogitsError
def as_logits(logits):
    x = np.asarray(logits)
    if x.dtype not in (np.float32, np.float64): x = x.astype(np.float32)
    return (x[None], True) if x.ndim == 1 else (x, False)
def as_out(out, logits, x, is_row):
    return np.empty(np.shape(logits), np.float32) if out is None else out
def finish(results, target):
    t = target[None] if target.ndim == 1 else target
    for i, r in enumerate(results): t[i] = r
    return target
def check_row(x, row):
    """Row `row` as float32; the error names the lowest token that breaks the rule."""
    values = x[row]
    with np.errstate(over="ignore"):
        as_float32 = values.astype(np.float32)
    bad = np.isnan(values) | (values == np.inf) | (np.isinf(as_float32) & np.isfinite(values))
    if bad.any():
        token = int(np.argmax(bad))
        raise LogitsError(f"logits must be finite or -inf, got {float(values[token])!r} at row {row}, token {token}", row, token)
    if not (as_float32 > -np.inf).any():
        raise LogitsError(f"logits must have a finite value in every row, got none in row {row}", row, None)
    return as_float32
