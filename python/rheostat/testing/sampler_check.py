"""`check_sampler`: what a sampler keeps of rows that tell samplers apart, beside the exact kept sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rheostat.errors import KnobError
from rheostat.params import SamplingParams
from rheostat.reference.arrays import as_logits, check_row
from rheostat.reference.table import OFF, STEPS, Knobs
from rheostat.testing.sampler_answers import RETURNS, Answer, answers_of
from rheostat.testing.sampler_causes import Judge, base_of, cause_of, with_error_of
from rheostat.testing.sampler_draws import DrawTest, draw_test, drawn_sets
from rheostat.testing.sampler_models import Model, kept_of
from rheostat.testing.sampler_rows import rows_for_draws, rows_for_sets
from rheostat.testing.shrink import fewest, simplest

Row = NDArray[np.float32]
Ids = NDArray[np.int64]

KNOBS = ("chain", *(step for step in STEPS if step != "xtc"))


@dataclass(frozen=True)
class Difference:
    """One cause, with the smallest row found that shows it."""

    cause: str
    """One of `sampler_causes.CAUSES`."""
    what: str
    """In words, after "it ..."."""
    rows: int
    """How many of the rows show it."""
    row: tuple[float, ...]
    """The smallest, as float32 logits."""
    theirs: tuple[int, ...]
    """The ids that were kept of it."""
    right: tuple[int, ...]
    """The ids that the law keeps."""

    def __str__(self) -> str:
        lines = [f"{self.cause}: it {self.what} (in {self.rows} row{'s' if self.rows > 1 else ''})."]
        row = ", ".join(f"{value + 0.0:.9g}" for value in self.row[:12])
        lines.append(f"  Row of {len(self.row)}: [{row}{', ...' if len(self.row) > 12 else ''}]")
        lines.append(f"  kept {_shown(self.theirs)}; right: {_shown(self.right)}")
        return "\n".join(lines)


@dataclass(frozen=True)
class SamplerReport:
    """What `check_sampler` found; `str()` of it is the report."""

    knobs: Mapping[str, Any]
    rows: int
    """How many rows were tried."""
    differences: tuple[Difference, ...]
    """By cause, the most frequent first; empty where every kept set is right."""
    draws: DrawTest | None
    """The tests of the draws, where something draws."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.differences and (self.draws is None or self.draws.ok)

    def __str__(self) -> str:
        knobs = ", ".join(f"{name}={value!r}" for name, value in self.knobs.items()) or "no knobs"
        total = sum(difference.rows for difference in self.differences)
        head = (
            f"{knobs}: {total} of {self.rows} rows differ."
            if total
            else f"{knobs}: all {self.rows} rows agree."
        )
        return "\n".join(
            [head, *map(str, self.differences), *([] if self.draws is None else [str(self.draws)])]
        )


def check_sampler(
    fn: Callable[[Row], Any],
    knobs: Mapping[str, Any] | None = None,
    /,
    *,
    returns: str = "ids",
    draw: Callable[[Row], Any] | None = None,
    rows: Iterable[Any] | None = None,
    draws: int = 4000,
    false_alarm: float = 1e-6,
) -> SamplerReport:
    """Runs a sampler over rows that tell samplers apart, and says by which cause it keeps other tokens.

    The right kept set is the one that the law gives for these knobs, in exact integers. Some 120 rows are
    generated and six were recorded from a real model: ties, boundaries, peaks, masks, long flat tails.

    Draws are tested three times: by the chi-square of the worst row, by the sum of all rows' chi-squares, and
    by the temperature at which they are likeliest. `false_alarm` is split evenly among the three. What that
    tells with the own rows and the defaults: a draw by weights ** 1.1, as at a temperature a tenth off, in 50
    of 50 runs with no filter, top_k=5 or top_p=0.9; one by weights ** 1.05 in 79, 48 and 36 of 100, and with
    draws=10000 in 49 of 50. Where hardly any token is left, draws show little: at top_p=0.5 weights ** 1.2
    are told in 34 of 50 runs, and weights ** 1.1 in none.

    Args:
        fn: called with a row, (vocab,) float32, which it may change.
        knobs: what the sampler is set to: `temperature`, the filters and `chain`, as in `rheostat.sample`.
        returns: what fn gives: ``"ids"``, the kept ids in any order; ``"mask"``, (vocab,) bool;
            ``"probabilities"``, (vocab,), 0 where not kept, which are compared too; ``"logits"``, (vocab,),
            -inf where not kept; ``"token"``, one that was drawn, which is called often over small rows, where
            every token that is kept shows up.
        draw: a function that draws a token from a row, for the tests that compare the draws with the exact
            weights of what the sampler itself keeps; with ``"token"`` it is fn.
        rows: other rows than the own ones: (vocab,) each.
        draws: how many tokens are drawn from each row.
        false_alarm: how often a right sampler fails the three tests together, about: where a row keeps a
            token that few draws hit, some 20, the chi-square's far tail is heavier, and 1e-6 is 4e-6.

    Returns:
        A report: `ok`, `differences` by cause, each with the smallest row that shows it, and `draws`.

    Raises:
        KnobError: a knob that is no filter, or breaks its rule; returns, draws or false_alarm is out of
            range.
        TypeError: fn or draw is no function, or gives something else than `returns` says. What they raise
            themselves is a finding.

    >>> import numpy as np
    >>> from rheostat.testing import check_sampler
    >>> def nucleus(row):  # a common mistake: the token that crosses p is dropped
    ...     order = np.argsort(-row, kind="stable")
    ...     p = np.exp(row[order] - row[order[0]], dtype=np.float64)
    ...     return order[: max(np.searchsorted(np.cumsum(p / p.sum()), 0.9), 1)]
    >>> report = check_sampler(nucleus, {"top_p": 0.9})
    >>> report.differences[0].cause, report.differences[0].what
    ('boundary', 'drops the token that crosses the limit of top_p')
    """
    judge, given = _judge(knobs or {}, returns)
    if returns not in RETURNS:
        raise KnobError(
            f"returns must be one of {', '.join(map(repr, RETURNS))}, got {returns!r}", "returns", returns
        )
    for name, called in (("fn", fn), ("draw", draw)):
        if not callable(called) and not (name == "draw" and called is None):
            raise TypeError(f"{name} must be callable, got {type(called).__name__}")
    if not 0 < false_alarm < 1:
        raise KnobError(f"false_alarm must be in (0, 1), got {false_alarm}", "false_alarm", false_alarm)
    if not 100 <= draws <= 10_000_000:
        raise KnobError(f"draws must be in [100, 10000000], got {draws}", "draws", draws)
    own = rows_for_draws() if returns == "token" else rows_for_sets()
    tried = own if rows is None else [_row(row) for row in rows]
    if not tried:
        raise KnobError("rows must hold at least one row, got none", "rows", 0)
    if returns == "token":
        asks: Callable[[Row], Answer] = lambda x: drawn_sets(fn, x, draws)  # noqa: E731
        draw = fn
    else:
        asks = lambda x: answers_of(fn, x, returns, judge.knobs.temperature)  # noqa: E731
    differences = _differences(asks, judge, tried, returns)
    tests = None
    if draw is not None:
        drawn_from = rows_for_draws() if rows is None else tried
        sets = [(x, asks(x).ids) for x in drawn_from]
        kept = [(x, ids) for x, ids in sets if (x[ids] > -np.inf).any()]  # an error kept nothing
        tests = draw_test(draw, kept, judge.knobs.temperature, draws, false_alarm) if kept else None
    return SamplerReport(given, len(tried), tuple(differences), tests)


def _row(row: Any) -> Row:
    """A caller's row, checked as everywhere."""
    x, is_row = as_logits(row)
    if not is_row:
        raise KnobError(f"rows must hold rows, (vocab,), got shape {x.shape} in it", "rows", x.shape)
    return check_row(x, 0)


def _judge(knobs: Mapping[str, Any], returns: str) -> tuple[Judge, dict[str, Any]]:
    for name in knobs:
        if name not in KNOBS:
            raise KnobError(f"knobs must be among {', '.join(KNOBS)}, got {name!r}", "knobs", name)
    params = SamplingParams(**knobs)
    checked = Knobs(
        **{name: value for name, value in params.knobs().items() if name in OFF and value is not None}
    )
    steps = params.chain_steps()
    for step in steps:
        if not isinstance(step, str):
            raise KnobError(f"chain must hold names alone to be checked, got {step!r}", "chain", step)
    active = tuple(step for step in steps if isinstance(step, str) and checked.sets(step))
    exact = Model("", "", lambda x, values: kept_of(x, values, active))
    return Judge(checked, active, returns in ("probabilities", "token"), exact), dict(knobs)


def _differences(
    asks: Callable[[Row], Answer], judge: Judge, rows: list[Row], returns: str
) -> list[Difference]:
    answers = [asks(x) for x in rows]
    base = base_of(judge, rows, answers)
    judge = with_error_of(judge, base, rows, answers)

    def why_of(x: Row, answer: Answer) -> tuple[str, str] | None:
        return cause_of(x, answer, judge, base)

    found: dict[tuple[str, str], list[int]] = {}
    for at, (x, answer) in enumerate(zip(rows, answers, strict=True)):
        why = why_of(x, answer)
        if why is not None:
            found.setdefault(why, []).append(at)
    differences = []
    for why, shown in found.items():
        smallest = min(shown, key=lambda at: rows[at].size)
        x, answer = rows[smallest], answers[smallest]
        if returns != "token":  # what is drawn would have to be drawn again for every try
            x = _shrunk(x, lambda x, why=why: why_of(x, asks(x)) == why)  # type: ignore[misc]
            answer = asks(x)
        theirs, right = answer.twice or tuple(answer.ids.tolist()), judge.keeps(judge.law, x)
        differences.append(Difference(*why, len(shown), tuple(x.tolist()), theirs, tuple(right.tolist())))
    return sorted(differences, key=lambda difference: -difference.rows)


def _shrunk(x: Row, shows: Callable[[Row], bool]) -> Row:
    """Fewer tokens, then rounder ones."""

    def of(values: list[float]) -> bool:
        return max(values) > float("-inf") and shows(np.array(values, np.float32))

    fewer = fewest(x.tolist(), of)
    if len(fewer) > 64:
        return np.array(fewer, np.float32)
    return np.array(simplest(fewer, _rounder, of), np.float32)


def _rounder(value: float) -> tuple[float, ...]:
    if not np.isfinite(value):
        return ()
    return tuple(
        float(np.float32(round(value, digits))) + 0.0 for digits in (0, 1, 2) if round(value, digits) != value
    )


def _shown(ids: tuple[int, ...]) -> str:
    if len(ids) <= 12:
        return f"{len(ids)}: {list(ids)}"
    return f"{len(ids)}: [{', '.join(map(str, ids[:12]))}, ...]"
