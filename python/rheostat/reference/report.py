"""What is told of a token that was drawn; see `rheostat.Token`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rheostat.reference import law
from rheostat.reference.cuts import Kept
from rheostat.results import Token

Row = NDArray[np.float32]


def reads_given(params: Any) -> bool:
    """Whether the row as it came is told of, which then must be one."""
    return "raw_logprob" in params.report or "rank" in params.report


def token_of(params: Any, kept: Kept, x: Row, given: Row, at: int) -> Token:
    """The token at place `at` of what was kept of the shaped row x (vocab,), which came as `given`
    (vocab_size,).
    """
    token = int(kept.ids[at])
    w = kept.w
    log_p = law.log_probabilities(kept.x, kept.temperature, law.total(w))
    known: dict[str, Any] = {}
    if "kept_count" in params.report:
        known["kept_count"] = kept.ids.size
    if "entropy" in params.report:
        known["entropy"] = law.entropy(kept.ids, w, log_p) + 0.0  # which makes 0.0 of -0.0
    if "kept_mass" in params.report:
        known["kept_mass"] = 1.0 if params.temperature == 0 else kept_mass(kept, x)
    if "raw_logprob" in params.report:
        s = law.total(law.integer_weights(given, 1.0))
        known["raw_logprob"] = float(law.log_probabilities(given, 1.0, s)[token])
    if "rank" in params.report:
        before = np.count_nonzero(given > given[token]) + np.count_nonzero(given[:token] == given[token])
        known["rank"] = 1 + int(before)
    if params.logprobs is not None:
        known["logprob"] = float(log_p[at])
    if params.logprobs:
        first = law.order(kept.x)[: params.logprobs]
        known["top_logprobs"] = tuple((int(kept.ids[i]), float(log_p[i])) for i in first)
    return Token(token, **known)


def kept_mass(kept: Kept, x: Row) -> float:
    """S / Z, both in weights of the whole row: a cut may have dropped its maximum."""
    w = law.integer_weights(x, kept.temperature)
    return float(law.total(w[kept.ids])) / float(law.total(w))


def surprise(kept: Kept, at: int) -> float:
    """-log2 p of the token at place `at` of what was kept."""
    log_p = law.log_probabilities(kept.x, kept.temperature, law.total(kept.w))
    return float(-log_p[at] / law.LN_2)
