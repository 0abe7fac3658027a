"""One worker: takes settings of a study until all are done, by whomever."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import optuna
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage, fail_stale_trials
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from rheostat.errors import KnobError
from rheostat.lab.sweep.kinds import Scalar
from rheostat.lab.sweep.plan import Plan, Settings
from rheostat.lab.sweep.spaces import Space
from rheostat.lab.sweep.storage import open_study, quiet_optuna
from rheostat.lab.sweep.trials import (
    ERROR,
    INTERRUPTED,
    RETRY_OF,
    SURPLUS,
    TRIES,
    is_fresh,
    is_surplus,
    lost,
    origin,
)

METRICS = "metrics"
POLL_SECONDS = 0.2


class At(NamedTuple):
    """Where a worker is within its setting."""

    settings: Settings
    step: int
    value: float


Watch = Callable[[Study, At | None], None]


class SurplusTrial(Exception):
    """The trial is one too many."""


class FailedTrial(Exception):
    """The setting cannot be measured."""


def work(
    plan: Plan,
    storage: RDBStorage,
    name: str = "sweep",
    watch: Watch = lambda study, at: None,
) -> Study:
    """Takes settings until the plan's budget is done, and waits for those that other workers have.

    A worker that is interrupted, killed or whose machine is lost leaves its setting to the others, or to the
    next that is started: at once, or when `grace` seconds have passed without a sign of life.

    Args:
        plan: what to do.
        storage: from `open_storage`; any number of workers may share it.
        name: of the study in it.
        watch: called with the study before the first setting, after each, while waiting, and with where it is
            at each epoch.

    Raises:
        KnobError: the study has another plan.
        KeyboardInterrupt: Ctrl-C; the same call goes on.
        Exception: what a measurement raises that is no fault of its setting.
    """
    with quiet_optuna():
        study = open_study(plan, storage, name)
        adopted: set[int] = set()
        while True:
            watch(study, None)
            _retry_lost(study)
            trials = study.get_trials(deepcopy=False)
            running = [trial for trial in trials if trial.state == TrialState.RUNNING]
            is_waiting = any(trial.state == TrialState.WAITING for trial in trials)
            if is_waiting or sum(map(is_fresh, trials)) < plan.budget:
                _take_one(study, plan, watch)
            elif running:
                _adopt(storage, running, adopted)
                fail_stale_trials(study)
                time.sleep(POLL_SECONDS)
            else:
                return study


def _take_one(study: Study, plan: Plan, watch: Watch) -> None:
    """The next setting, through Optuna's own loop, which gives signs of life meanwhile."""
    own: list[Exception] = []

    def objective(trial: Trial) -> float:
        try:
            return _measured(study, trial, plan, watch)
        except Exception as error:
            own.append(error)
            raise

    try:
        study.optimize(objective, n_trials=1, catch=(SurplusTrial, FailedTrial))
    except (UpdateFinishedTrialError, ValueError) as error:
        # Optuna's, for a trial that is closed: this worker was silent for so long that another has the
        # setting now, and that one's result counts.
        if error in own and not isinstance(error, UpdateFinishedTrialError):
            raise


def _measured(study: Study, trial: Trial, plan: Plan, watch: Watch) -> float:
    if is_surplus(trial.number, trial.user_attrs, study.get_trials(deepcopy=False), plan.budget):
        trial.set_user_attr(SURPLUS, True)
        raise SurplusTrial
    settings = {space.name: _suggested(trial, space) for space in plan.spaces}

    def report(step: int, value: float) -> None:
        if math.isfinite(value):
            trial.report(value, step)
        watch(study, At(settings, step, value))
        if trial.should_prune():
            raise optuna.TrialPruned

    try:
        plan.subject.check(settings)
        metrics = plan.subject.measure(settings, report)
        wrong = [f"{name} is {value}" for name, value in metrics.items() if not math.isfinite(value)]
        if wrong:
            raise ArithmeticError(f"it diverged: {', '.join(wrong)}")
    except (KnobError, ValueError, ArithmeticError) as error:
        trial.set_user_attr(ERROR, str(error))
        raise FailedTrial from error
    except KeyboardInterrupt:
        with suppress(UpdateFinishedTrialError):  # if another worker has the setting now
            trial.set_user_attr(INTERRUPTED, True)
        raise
    trial.set_user_attr(METRICS, metrics)
    return plan.goal.value(metrics)


def _suggested(trial: Trial, space: Space) -> Scalar:
    distribution = space.distribution()
    if isinstance(distribution, CategoricalDistribution):
        chosen: Scalar = trial.suggest_categorical(space.name, distribution.choices)
        return chosen
    if isinstance(distribution, IntDistribution):
        low, high, step = distribution.low, distribution.high, distribution.step
        return trial.suggest_int(space.name, low, high, step=step, log=distribution.log)
    return trial.suggest_float(space.name, space.low, space.high, step=space.step, log=space.log)


def _retry_lost(study: Study) -> None:
    """Queues what killed and interrupted workers had. If two workers do so at once, the later is surplus."""
    for trial in lost(study.get_trials(deepcopy=False)):
        marks = {RETRY_OF: origin(trial.number, trial.user_attrs), TRIES: trial.user_attrs.get(TRIES, 1) + 1}
        study.add_trial(
            create_trial(
                state=TrialState.WAITING,
                params=trial.params,
                distributions=trial.distributions,
                user_attrs=marks,
            )
        )


def _adopt(storage: RDBStorage, running: list[FrozenTrial], adopted: set[int]) -> None:
    """Optuna takes only those for lost that have given a sign of life at all. A worker killed before its
    first gets one in its name, once, when it is overdue.
    """
    grace = storage.grace_period
    assert grace is not None
    for trial in running:
        assert trial.datetime_start is not None
        age = time.time() - trial.datetime_start.timestamp()
        if age > grace and trial.number not in adopted:
            adopted.add(trial.number)
            storage.record_heartbeat(trial._trial_id)
