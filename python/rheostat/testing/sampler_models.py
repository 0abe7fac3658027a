"""How samplers go wrong: each fault as a sampler of its own, to be compared with what a program kept.

A model is the reference's chain with one thing changed. The causes that have models here:

    no-op            a filter that is set removes nothing
    order            the steps in another order
    renormalisation  a filter does not see that those before it have removed something
    boundary         what lies on the limit, or crosses it, falls on the other side
    float sum        a rounded float64 sum, p as float32 (the rest of that cause is rounding, which
                     `sampler_causes` bounds)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rheostat.reference import law
from rheostat.reference.chain import take
from rheostat.reference.cuts import CUTS, Kept, Mask, keep_first
from rheostat.reference.table import Knobs

Row = NDArray[np.float32]
Ids = NDArray[np.int64]
Cut = Callable[[Kept, Knobs], Mask]

# All orders of so many steps are tried; of more, those that move one step.
MOST_PERMUTED = 4


class Model(NamedTuple):
    """A sampler with one fault."""

    cause: str
    what: str
    """The fault in words, after "it ..."."""
    keeps: Callable[[Row, Knobs], Ids]
    """What it keeps of a row, ascending ids, with these values of the knobs that it was made for."""


def kept_of(x: Row, knobs: Knobs, steps: tuple[str, ...], instead: dict[str, Cut] | None = None) -> Ids:
    """What a chain keeps, with some of its cuts replaced. Ids ascending."""
    ids = np.flatnonzero(x > -np.inf)
    kept = Kept(ids, x[ids], 1.0)
    for step in steps:
        if instead and step in instead and knobs.sets(step):
            mask = instead[step](kept, knobs)
            if not mask.any():
                mask = keep_first(kept)
            kept = kept._replace(ids=kept.ids[mask], x=kept.x[mask])
        else:
            kept = take(kept, step, knobs, False)
    return kept.ids


def models(steps: tuple[str, ...]) -> list[Model]:
    """Every fault that a chain can have; `steps` are those that do something, in their order."""
    found: list[Model] = []

    def add(cause: str, what: str, order: tuple[str, ...], instead: dict[str, Cut] | None = None) -> None:
        found.append(Model(cause, what, lambda x, values: kept_of(x, values, order, instead)))

    filters = [step for step in steps if step != "temperature"]
    for step in filters:
        add("no-op", f"keeps what it would without {step}", tuple(other for other in steps if other != step))
    for order in _orders(steps):
        add("order", f"runs {', '.join(order)} in this order", order)
    if len(filters) > 1:
        found.append(
            Model(
                "renormalisation",
                "gives each filter the probabilities before the filters ahead of it",
                lambda x, values: _without_renormalisation(x, values, steps),
            )
        )
    for step in filters:
        for cause, what, cut in VARIANTS.get(step, ()):
            add(cause, what, steps, {step: cut})
    return found


def _orders(steps: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if len(steps) <= MOST_PERMUTED:
        yield from (order for order in permutations(steps) if order != steps)
        return
    for at, step in enumerate(steps):
        others = steps[:at] + steps[at + 1 :]
        for place in range(len(steps)):
            order = (*others[:place], step, *others[place:])
            if order != steps:
                yield order


def _without_renormalisation(x: Row, knobs: Knobs, steps: tuple[str, ...]) -> Ids:
    ids = np.flatnonzero(x > -np.inf)
    whole = Kept(ids, x[ids], 1.0)
    mask = np.ones(ids.size, np.bool_)
    for step in steps:
        if step == "temperature" and knobs.temperature != 0:
            whole = whole._replace(temperature=knobs.temperature)
        else:
            mask &= keep_first(whole) if step == "temperature" else CUTS[step](whole, knobs)
    return ids[mask] if mask.any() else ids[keep_first(whole)]


def _prefix(kept: Kept, p: float, order: Ids, reaches: Callable[[Any, Any, int], Any]) -> Mask:
    """The tokens of an order for which `reaches(sum before, sum with it, target)` holds, and the first."""
    w = kept.w[order].astype(object)  # exact, however large the sums
    after = np.cumsum(w)
    inside = reaches(after - w, after, law.share(p, int(after[-1]))).astype(np.bool_)
    inside[0] = True
    mask = np.zeros(order.size, np.bool_)
    mask[order[inside]] = True
    return mask


def _by_logit(name: str, reaches: Callable[[Any, Any, int], Any]) -> Cut:
    return lambda kept, knobs: _prefix(kept, getattr(knobs, name), law.order(kept.x), reaches)


def _by_deviation(reaches: Callable[[Any, Any, int], Any]) -> Cut:
    def cut(kept: Kept, knobs: Knobs) -> Mask:
        w = kept.w
        log_p = law.log_probabilities(kept.x, kept.temperature, law.total(w))
        order = np.argsort(np.abs(log_p + law.entropy(kept.ids, w, log_p)), kind="stable")
        return _prefix(kept, knobs.typical_p, order, reaches)

    return cut


def _drops_crossing(before: Any, after: Any, target: int) -> Any:
    return after <= target


def _goes_on_at_equality(before: Any, after: Any, target: int) -> Any:
    """Goes on where the sum before is p * S, rounded up to a whole number."""
    return before <= target


def _first_k(change: int) -> Cut:
    def cut(kept: Kept, knobs: Knobs) -> Mask:
        mask = np.zeros(kept.ids.size, np.bool_)
        mask[law.order(kept.x)[: max(knobs.top_k + change, 1)]] = True
        return mask

    return cut


def _first_k_and_ties(kept: Kept, knobs: Knobs) -> Mask:
    mask: Mask = kept.x >= np.sort(kept.x)[-min(knobs.top_k, kept.x.size)]
    return mask


def _strict(name: str) -> Cut:
    """The cut without the tokens that lie on its limit: those that a stricter knob would drop."""

    def cut(kept: Kept, knobs: Knobs) -> Mask:
        value = getattr(knobs, name)
        up = value * (1 - 2**-30) if name == "top_n_sigma" else min(value * (1 + 2**-30), 1.0)
        return CUTS[name](kept, Knobs(**(vars(knobs) | {name: up})))

    return cut


def _float64_top_p(kept: Kept, knobs: Knobs) -> Mask:
    """The nucleus as it is mostly written, in float64: softmax, running sum, search."""
    x = kept.x.astype(np.float64) / kept.temperature
    order = law.order(kept.x)
    w = np.exp(x[order] - x.max())
    mask = np.zeros(order.size, np.bool_)
    mask[order[: np.searchsorted(np.cumsum(w / w.sum()), knobs.top_p) + 1]] = True
    return mask


def _float32(name: str) -> Cut:
    return lambda kept, knobs: CUTS[name](
        kept, Knobs(**(vars(knobs) | {name: min(float(np.float32(getattr(knobs, name))), 1.0)}))
    )


IN_FLOAT64 = "ends top_p where a rounded float64 sum reaches it"
CROSSING = "drops the token that crosses the limit of"
VARIANTS: dict[str, tuple[tuple[str, str, Cut], ...]] = {
    "top_p": (
        ("boundary", f"{CROSSING} top_p", _by_logit("top_p", _drops_crossing)),
        (
            "boundary",
            "takes one more token where the sum is exactly top_p",
            _by_logit("top_p", _goes_on_at_equality),
        ),
        ("float sum", IN_FLOAT64, _float64_top_p),
        ("float sum", "takes top_p as a float32", _float32("top_p")),
    ),
    "typical_p": (
        ("boundary", f"{CROSSING} typical_p", _by_deviation(_drops_crossing)),
        (
            "tie",
            "cuts among the tokens that deviate as much as the last of typical_p",
            _by_deviation(lambda before, after, target: before < target),
        ),
        ("float sum", "takes typical_p as a float32", _float32("typical_p")),
    ),
    "top_k": (
        ("boundary", "keeps one token fewer than top_k", _first_k(-1)),
        ("boundary", "keeps one token more than top_k", _first_k(1)),
        ("tie", "keeps all tokens that are equal to the last one of top_k", _first_k_and_ties),
    ),
    **{
        name: (
            ("boundary", f"drops what lies exactly on the limit of {name}", _strict(name)),
            ("float sum", f"takes {name} as a float32", _float32(name)),
        )
        for name in ("min_p", "epsilon_cutoff", "eta_cutoff", "top_n_sigma")
    },
}
