"""The logits after the whole chain, for other samplers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rheostat.errors import KnobError
from rheostat.reference.arrays import as_out, finish
from rheostat.reference.cuts import Kept
from rheostat.reference.rows import Rows
from rheostat.reference.table import takes_knobs

Row = NDArray[np.float32]


@takes_knobs
def process(
    logits: ArrayLike,
    /,
    *,
    seed: Any = None,
    stream: Any = 0,
    position: Any = 0,
    prompt_ids: Any = (),
    output_ids: Any = (),
    chain: Any = "vllm",
    out: Row | None = None,
    **knobs: Any,
) -> Row:
    """The kept logits after penalties, divided by the temperature; the others -inf; see `rheostat.process`.

    float32(x / T) rounds once more than the law does: a draw from it can differ from `sample` with the
    temperature.
    """
    rows = Rows(logits, prompt_ids, output_ids, chain, knobs)
    target = as_out(out, logits, rows.x, rows.is_row)
    chances = rows.chance_per_row(seed, stream, position)
    results = [
        tempered(rows.kept(rows.shaped(row), row, chances[row]), rows.width, row) for row in range(len(rows))
    ]
    result: Row = finish(results, target)
    return result


def tempered(kept: Kept, width: int, row: int) -> Row:
    """(width,) float32(x / T) of what is kept, which must stay finite."""
    result = np.full(width, -np.inf, np.float32)
    with np.errstate(over="ignore"):
        result[kept.ids] = kept.x.astype(np.float64) / kept.temperature
    infinite = np.isinf(result[kept.ids])
    if infinite.any():
        t, token = kept.temperature, int(kept.ids[np.argmax(infinite)])
        rule = "temperature must leave kept logits finite in float32"
        message = f"{rule}, got {t!r} which does not at row {row}, token {token}"
        raise KnobError(message, "temperature", t)
    return result
