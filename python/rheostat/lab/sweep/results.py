"""What a study has found: a row for each setting, the best first, as a table, CSV or JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from rheostat.lab.sweep.kinds import exact
from rheostat.lab.sweep.plan import Plan, Settings
from rheostat.lab.sweep.trials import ERROR, MOST_KILLS, by_origin, is_given_up, is_lost
from rheostat.lab.sweep.work import METRICS

DONE, PRUNED, FAILED, OPEN = "done", "pruned", "failed", "open"


class Row(NamedTuple):
    """A setting and what came of it."""

    number: int
    """Of its trial, in the order of time."""
    settings: Settings
    state: str
    """"done"; "pruned", worse than the median; "failed", with its `error`; or "open": it runs, or will."""
    metrics: dict[str, float]
    """Empty unless it is done."""
    value: float | None
    """What the goal compares; of a pruned one, the last that was reported."""
    error: str


def rows_of(study: Study, plan: Plan) -> list[Row]:
    """A row for each setting that was begun, the best first, those without a result last."""
    groups = by_origin(study.get_trials(deepcopy=False)).values()
    rows = [_row(min(tries, key=_rank), is_given_up(tries)) for tries in groups]
    sign = -1 if plan.goal.is_higher else 1
    order = (DONE, PRUNED, FAILED, OPEN)
    return sorted(rows, key=lambda row: (order.index(row.state), sign * (row.value or 0.0), row.number))


def best_of(rows: Sequence[Row]) -> Row | None:
    """The first that is done."""
    return rows[0] if rows and rows[0].state == DONE else None


def as_csv(rows: Sequence[Row], plan: Plan) -> str:
    """A line for each row below the names: trial, state, knobs, goal, metrics, error."""
    out = io.StringIO()
    knobs = [space.name for space in plan.spaces]
    names = [metric.name for metric in plan.subject.metrics]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["trial", "state", *knobs, "goal", *names, "error"])
    for row in rows:
        settings = [exact(row.settings[knob]) if knob in row.settings else "" for knob in knobs]
        metrics = [row.metrics.get(name, "") for name in names]
        writer.writerow([row.number, row.state, *settings, _known(row.value), *metrics, row.error])
    return out.getvalue()


def as_json(rows: Sequence[Row], plan: Plan) -> dict[str, Any]:
    """The same, with the goal, the best and the command that uses it."""
    best = best_of(rows)
    return {
        "goal": str(plan.goal),
        "search": plan.search,
        "best": None if best is None else best.settings,
        "best_value": None if best is None else best.value,
        "command": None if best is None else plan.subject.command(best.settings),
        "trials": [row._asdict() for row in rows],
    }


def _known(value: float | None) -> float | str:
    return "" if value is None else value


def _rank(trial: FrozenTrial) -> tuple[int, int]:
    """Which try stands for all: one with a result, else one that goes on, else the last."""
    has_result = trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
    return (0 if has_result else 2 if is_lost(trial) else 1, -trial.number)


def _row(trial: FrozenTrial, given_up: bool) -> Row:
    marks = trial.user_attrs
    value = trial.value
    error = marks.get(ERROR, "")
    if trial.state == TrialState.COMPLETE:
        state = DONE
    elif trial.state == TrialState.PRUNED:
        state = PRUNED
        value = trial.intermediate_values[max(trial.intermediate_values)]
    elif error:
        state = FAILED
    elif is_lost(trial) and given_up:
        state, error = FAILED, f"its worker was lost {MOST_KILLS} times"
    else:
        state = OPEN
    return Row(trial.number, trial.params, state, marks.get(METRICS, {}), value, error)
