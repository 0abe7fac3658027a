"""The cuts: which of the tokens kept so far each filter keeps.

Every cut answers with a mask over them. S is the sum of their W, l their log-probabilities, H their entropy,
T the temperature applied so far; what is no longer kept takes no part. No cut leaves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rheostat.reference import law
from rheostat.reference.table import Knobs

Ids = NDArray[np.int64]
Row = NDArray[np.float32]
Mask = NDArray[np.bool_]

# top_h looks at so many tokens.
TOP_H_TOKENS = 100


class Kept(NamedTuple):
    """What is left so far: ids (n,) ascending, their logits x (n,), and the temperature applied so far."""

    ids: Ids
    x: Row
    temperature: float

    @property
    def w(self) -> NDArray[np.uint64]:
        return law.integer_weights(self.x, self.temperature)


def keep_first(kept: Kept) -> Mask:
    """Greedy: exactly the first token in the law's order."""
    return _mask(kept, law.first(kept.x))


def keep_top_k(kept: Kept, k: int) -> Mask:
    """The first k tokens in the law's order. (Fan et al. 2018)"""
    return _mask(kept, law.order(kept.x)[:k])


def keep_top_p(kept: Kept, p: float) -> Mask:
    """The nucleus: the shortest prefix of the law's order with sum(W) >= ceil(p * S). (Holtzman et al. 2020)

    The token that crosses p is kept, so at least one always is.
    """
    order = law.order(kept.x)
    return _mask(kept, order[: _shortest_prefix(kept.w[order], p)])


def keep_min_p(kept: Kept, min_p: float) -> Mask:
    """The tokens with W >= ceil(min_p * 2**43); the largest weighs 2**43. (Nguyen et al. 2024)"""
    return kept.w >= np.uint64(law.share(min_p, law.UNIT))


def keep_typical(kept: Kept, p: float) -> Mask:
    """Locally typical: by deviation |l + H| ascending, then id, the shortest prefix with sum(W) >= ceil(p *
    S), and all that deviate as much as its last. (Meister et al. 2023)

    This can drop the first token, where it is likelier than a typical token is.
    """
    w = kept.w
    log_p = law.log_probabilities(kept.x, kept.temperature, law.total(w))
    deviation = np.abs(log_p + law.entropy(kept.ids, w, log_p))
    order = np.argsort(deviation, kind="stable")
    last = order[_shortest_prefix(w[order], p) - 1]
    mask: Mask = deviation <= deviation[last]
    return mask


def keep_epsilon(kept: Kept, epsilon: float) -> Mask:
    """The tokens with W >= ceil(epsilon * S), or the first. (Hewitt, Manning and Liang 2022)"""
    w = kept.w
    return _or_first(kept, w >= np.uint64(law.share(epsilon, law.total(w))))


def keep_eta(kept: Kept, epsilon: float) -> Mask:
    """The tokens with p >= min(epsilon, sqrt(epsilon) * exp(-H)), or the first. (Hewitt, Manning and Liang
    2022)

    In logarithms: l >= min(ln eps, 0.5 * ln eps - H).
    """
    w = kept.w
    log_p = law.log_probabilities(kept.x, kept.temperature, law.total(w))
    log_epsilon = law.ln(epsilon)
    bound = min(log_epsilon, 0.5 * log_epsilon - law.entropy(kept.ids, w, log_p))
    return _or_first(kept, log_p >= bound)


def keep_top_h(kept: Kept, top_h: float) -> Mask:
    """Among the first 100, renormalised: the prefix whose share of the entropy, the running sum of -p ln p,
    is at most top_h of the whole; the first always. (Baghaei Potraghloo et al. 2025)
    """
    order = law.order(kept.x)[:TOP_H_TOKENS]
    w = kept.w[order]
    s = law.total(w)
    log_p = law.log_probabilities(kept.x[order], kept.temperature, s)
    terms = -(w.astype(np.float64) / float(s)) * np.where(w > 0, log_p, 0.0)
    running = np.cumsum(terms)  # in the law's order, one by one
    size = np.count_nonzero(np.logical_and.accumulate(running <= top_h * running[-1]))
    return _mask(kept, order[: max(size, 1)])


def keep_top_n_sigma(kept: Kept, n: float) -> Mask:
    """The tokens with x >= m - n * sigma, sigma the population standard deviation of the logits. (Tang et al.
    2025)

    A temperature scales x, m and sigma alike, so it moves nothing.
    """
    x = kept.x.astype(np.float64)
    mean = law.lane_sum(kept.ids, x) / x.size
    deviation = x - mean
    sigma = np.sqrt(law.lane_sum(kept.ids, deviation * deviation) / x.size)
    with np.errstate(over="ignore"):  # beyond every float lies everything
        mask: Mask = x >= x.max() - n * sigma
    return mask


def keep_xtc(kept: Kept, threshold: float) -> Mask:
    """Exclude top choices: of the tokens with W >= ceil(threshold * S), if two or more, drop all but the last
    in the law's order. (p-e-w, text-generation-webui 2024) Whether it acts at all is the caller's chance.
    """
    w = kept.w
    order = law.order(kept.x)
    likely = order[w[order] >= np.uint64(law.share(threshold, law.total(w)))]
    mask = np.ones(kept.ids.size, np.bool_)
    mask[likely[:-1]] = False
    return mask


def keep_unsurprising(kept: Kept, mu: float) -> Mask:
    """Mirostat's step: the tokens whose surprise -log2 p is at most mu, or the first. (Basu et al. 2021)"""
    log_p = law.log_probabilities(kept.x, kept.temperature, law.total(kept.w))
    return _or_first(kept, -log_p / law.LN_2 <= mu)


# The step's name in a chain: the cut, with its knobs.
CUTS: dict[str, Callable[[Kept, Knobs], Mask]] = {
    "top_k": lambda kept, knobs: keep_top_k(kept, knobs.top_k),
    "top_p": lambda kept, knobs: keep_top_p(kept, knobs.top_p),
    "min_p": lambda kept, knobs: keep_min_p(kept, knobs.min_p),
    "typical_p": lambda kept, knobs: keep_typical(kept, knobs.typical_p),
    "epsilon_cutoff": lambda kept, knobs: keep_epsilon(kept, knobs.epsilon_cutoff),
    "eta_cutoff": lambda kept, knobs: keep_eta(kept, knobs.eta_cutoff),
    "top_h": lambda kept, knobs: keep_top_h(kept, knobs.top_h),
    "top_n_sigma": lambda kept, knobs: keep_top_n_sigma(kept, knobs.top_n_sigma),
    "xtc": lambda kept, knobs: keep_xtc(kept, knobs.xtc_threshold),
}


def _mask(kept: Kept, positions: Ids | int) -> Mask:
    mask = np.zeros(kept.ids.size, np.bool_)
    mask[positions] = True
    return mask


def _or_first(kept: Kept, mask: Mask) -> Mask:
    mask[law.first(kept.x)] = True
    return mask


def _shortest_prefix(w: NDArray[np.uint64], p: float) -> int:
    """The least size whose sum of W reaches ceil(p * S)."""
    target = np.uint64(law.share(p, law.total(w)))
    return int(np.searchsorted(np.cumsum(w, dtype=np.uint64), target, side="left")) + 1
