"""By which cause a kept set is another than the law's.

First what is no kept set of the row at all: an error, nothing, a forbidden token, an id twice. Then the
whole: of the models in `sampler_models`, each a sampler with one fault, the one is taken that foretells most
of what was kept, if it foretells more than a right sampler does. Then each row that still differs, from that
model or from the law: between equal logits it is a tie, within the error of floating-point sums it is
rounding, and else unknown.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rheostat.reference import law
from rheostat.reference.table import Knobs
from rheostat.testing.sampler_answers import Answer, no_answer, wrong_probabilities
from rheostat.testing.sampler_models import IN_FLOAT64, Model, models

Row = NDArray[np.float32]
Ids = NDArray[np.int64]

CAUSES = (
    "error", "empty", "forbidden", "ids", "no-op", "order", "renormalisation", "boundary", "tie", "float sum",
    "probabilities", "unknown",
)  # fmt: skip


# Logits whose difference is a smaller part of the largest may become equal on their way through float32.
CLOSE = 2.0**-20
TOO_CLOSE = "cannot tell logits apart that are as close as these in float32"

# The error of a term in float32; and in float64, where the law's own weights are whole numbers of 2**-43.
FLOAT32, FLOAT64 = 2.0**-24, 2.0**-43
ROUNDS = {
    FLOAT32: "cuts where its float32 arithmetic says so",
    FLOAT64: "cuts where its float32 or float64 arithmetic says so",
}


class Judge(NamedTuple):
    """What is right, and what else could have been meant."""

    knobs: Knobs
    steps: tuple[str, ...]

    weighs: bool
    """Whether a token of weight 0 counts as not kept: nobody draws it."""

    law: Model
    """The sampler without a fault."""

    error: float = FLOAT32
    """What counts as rounding: `FLOAT64` where that explains all of it, see `with_error_of`."""

    def keeps(self, model: Model, x: Row, knobs: Knobs | None = None) -> Ids:
        """What a model keeps of a row, ascending."""
        ids = model.keeps(x, knobs or self.knobs)
        if not self.weighs:
            return ids
        return ids[law.integer_weights(x[ids], self.knobs.temperature or 1.0) > 0]


def cause_of(x: Row, answer: Answer, judge: Judge, base: Model) -> tuple[str, str] | None:
    """Why an answer is not the law's, as a cause and in words, or None where it is. `base`: see `base_of`."""
    none = no_answer(x, answer)
    if none is not None:
        return none
    if np.array_equal(answer.ids, judge.keeps(judge.law, x)):
        return wrong_probabilities(x, answer, judge.knobs.temperature)
    expected = judge.keeps(base, x)
    if np.array_equal(answer.ids, expected):
        return base.cause, base.what
    return _nearby(x, answer.ids, expected, judge, base)


def base_of(judge: Judge, rows: list[Row], answers: list[Answer]) -> Model:
    """The model that foretells most rows: the law, or a fault that explains half of what the law does not.

    Where several foretell as many, they are told together: these knobs cannot tell them apart.
    """
    right = [
        np.array_equal(answer.ids, judge.keeps(judge.law, x)) for x, answer in zip(rows, answers, strict=True)
    ]
    wrong = [at for at, fine in enumerate(right) if not fine and no_answer(rows[at], answers[at]) is None]
    best, most = [judge.law], sum(right)
    for model in models(judge.steps) if wrong else []:

        def foretells(at: int, model: Model = model) -> bool:
            return np.array_equal(answers[at].ids, judge.keeps(model, rows[at]))

        explained = sum(map(foretells, wrong))
        if 2 * explained < len(wrong):
            continue
        hits = explained + sum(foretells(at) for at, fine in enumerate(right) if fine)
        if hits > most:
            best, most = [model], hits
        elif hits == most and explained:
            best.append(model)
    first = best[0]
    others = [model.what for model in best[1:] if model.cause != first.cause]
    if "as a float32" in first.what and all(
        _rounds(rows[at], answers[at].ids, judge, judge.law, FLOAT64) for at in wrong
    ):
        others.append("rounds in float64")
    if first.what and others:
        return first._replace(what=f"{first.what}, or {', or '.join(others)}: the same with these knobs")
    return first


def with_error_of(judge: Judge, base: Model, rows: list[Row], answers: list[Answer]) -> Judge:
    """The judge that blames float32 alone for rounding where some row shows what float64 would not do."""
    whys = [cause_of(x, answer, judge, base) for x, answer in zip(rows, answers, strict=True)]
    rounded = [at for at, why in enumerate(whys) if why == ("float sum", ROUNDS[FLOAT32])]
    double = next((model for model in models(judge.steps) if model.what == IN_FLOAT64), None)
    if not rounded or double is None or ("float sum", TOO_CLOSE) in whys:
        return judge
    fine = all(
        _rounds(rows[at], answers[at].ids, judge, base, FLOAT64)
        and not np.array_equal(judge.keeps(double, rows[at]), judge.keeps(judge.law, rows[at]))
        for at in rounded
    )
    return judge._replace(error=FLOAT64) if fine else judge


def _nearby(x: Row, theirs: Ids, wanted: Ids, judge: Judge, base: Model) -> tuple[str, str]:
    """Whether equal logits or rounding can explain it."""
    if not judge.steps:
        return "no-op", "removes tokens though nothing is set"
    odd = np.setxor1d(theirs, wanted)
    values = np.unique(x[odd] + np.float32(0))
    tied = np.flatnonzero(x == values[0]) if values.size == 1 else odd
    if values.size == 1 and tied.size > 1 and theirs.size:
        inside = np.intersect1d(tied, theirs).size
        if theirs.size == wanted.size:
            return "tie", "keeps others of equal logits than the lowest ids"
        if inside == tied.size:
            return "tie", "keeps all tokens that are equal to the last one"
        if inside and "typical_p" in judge.steps:
            return "tie", "cuts among equal tokens, which typical_p keeps together"
    if _rounds(x, theirs, judge, base, judge.error):
        return "float sum", ROUNDS[judge.error]
    common = np.intersect1d(theirs, wanted)
    near = np.append(values, x[common].min() if common.size else x.max())
    if 0 < np.ptp(near) <= CLOSE * max(1.0, float(np.abs(x[np.isfinite(x)]).max())):
        return "float sum", TOO_CLOSE
    if theirs.size == np.count_nonzero(x > -np.inf):
        return "no-op", "keeps all tokens of some rows"
    if base is judge.law:
        for model in (model for model in models(judge.steps) if model.cause == "tie"):
            if _nearby(x, theirs, judge.keeps(model, x), judge, model)[0] != "unknown":
                return model.cause, model.what
    return "unknown", "keeps other tokens"


def _rounds(x: Row, theirs: Ids, judge: Judge, base: Model, error: float) -> bool:
    """Whether an error of so much in each term can make a kept set of the model's."""
    tight, loose = (judge.keeps(base, x, _moved(judge.knobs, x.size, by * error)) for by in (-1, 1))
    if _is_prefix(x, theirs) and _is_prefix(x, tight):
        return bool(tight.size <= theirs.size <= loose.size)
    return bool(np.isin(tight, theirs).all() and np.isin(theirs, loose).all())


def _is_prefix(x: Row, ids: Ids) -> bool:
    """Whether all that is above the least of them is among them."""
    return ids.size > 0 and np.count_nonzero(x > x[ids].min()) == np.count_nonzero(x[ids] > x[ids].min())


def _moved(knobs: Knobs, n: int, error: float) -> Knobs:
    """Every limit moved by what rounding can make of it, towards fewer tokens (error < 0) or more.

    A sum of n numbers has n times the error of one at most; what a single token is compared with, some.
    """
    summed, single = (n + 16) * error, 32 * error
    changed = {}
    for name in ("top_p", "typical_p", "top_h"):
        if knobs.sets(name):
            changed[name] = min(max(getattr(knobs, name) + summed, 2.0**-60), 1.0)
    for name in ("min_p", "epsilon_cutoff", "eta_cutoff"):
        if knobs.sets(name):
            changed[name] = min(getattr(knobs, name) * (1 - single), 1.0)
    if knobs.sets("top_n_sigma"):
        changed["top_n_sigma"] = knobs.top_n_sigma * (1 + single)
    return Knobs(**(vars(knobs) | changed))
