"""Which setting comes next, so that many workers can share a study without a word between them.

A trial's number is the one thing that a storage gives out exactly once. So the number alone decides: in a
grid it is the place of the point, elsewhere it goes into the seed. No point is handed out twice, as Optuna's
own GridSampler may do for two workers at once, and workers with one seed do not draw the same settings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from rheostat.lab.sweep.plan import Plan, Settings
from rheostat.lab.sweep.trials import place


def sampler_of(plan: Plan) -> BaseSampler:
    """The sampler that a plan asks for."""
    if plan.search == "grid":
        return Grid(plan.points)
    made: dict[str, Callable[[int], BaseSampler]] = {
        "random": lambda seed: RandomSampler(seed=seed),
        "tpe": lambda seed: TPESampler(seed=seed, constant_liar=True),
    }
    return SeededByNumber(made[plan.search], plan.seed)


class Grid(BaseSampler):
    """Each point once: that at the trial's place among all that are no retry."""

    def __init__(self, points: Sequence[Settings]) -> None:
        self.points = points

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        trials = study.get_trials(deepcopy=False)
        return self.points[place(trial.number, trial.user_attrs, trials)][param_name]


class SeededByNumber(BaseSampler):
    """A sampler made anew for each trial, from the seed and the trial's number.

    One worker so repeats its sweep, also after an interruption; and a random search draws the same settings
    whatever the number of workers.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self.make = make
        self.seed = seed
        self.inner = make(seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        word = np.random.SeedSequence([self.seed, trial.number]).generate_state(1).item()
        self.inner = self.make(word)
        self.inner.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self.inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self.inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self.inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        self.inner.after_trial(study, trial, state, values)
