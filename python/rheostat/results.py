"""What functions give that is more than an array; the fast code and the reference share it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Logprobs(NamedTuple):
    """`logprobs` and `ranks` have the shape of the token ids; `top_ids` and `top_logprobs` are (top,) or
    (batch, top).

    A log-probability is natural, under what the chain keeps, and -inf outside it. A rank is 1 + the token's
    place in the law's order of the row after masks, biases and penalties. Where fewer than `top` tokens are
    kept, the rest is id -1 at -inf.
    """

    logprobs: NDArray[np.float64]
    ranks: NDArray[np.int64]
    top_ids: NDArray[np.int64]
    top_logprobs: NDArray[np.float64]


class Verified(NamedTuple):
    """What stays of a draft: `ids` are the first `accepted` drafted tokens and one more."""

    accepted: int
    ids: tuple[int, ...]
