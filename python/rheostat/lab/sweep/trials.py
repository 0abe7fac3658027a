"""What a study's trials say: which place each has, which were lost with their worker, which are too many.

A trial is fresh, or the retry of one whose worker was killed or interrupted; a retry carries the number of
the fresh one, its origin, from the moment it is created. Marks are user attributes:

    retry_of     the origin of a retry
    tries        which try of it this is, from 2
    interrupted  by Ctrl-C, which says nothing about the setting
    error        why a setting cannot be measured: it is not tried again
    surplus      it came when all places were taken, or beside another retry of the same: it does not count

A trial that failed without an `error` was lost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState

RETRY_OF, TRIES, INTERRUPTED, ERROR, SURPLUS = "retry_of", "tries", "interrupted", "error", "surplus"
MOST_KILLS = 3  # a setting that kills its worker each time is given up

Marks = Mapping[str, Any]


def origin(number: int, marks: Marks) -> int:
    """The number of the fresh trial."""
    found: int = marks.get(RETRY_OF, number)
    return found


def place(number: int, marks: Marks, trials: Sequence[FrozenTrial]) -> int:
    """How many places were taken before this trial's origin came. Those with lower numbers have been created
    before, so every worker counts the same.
    """
    first = origin(number, marks)
    return sum(trial.number < first and is_fresh(trial) for trial in trials)


def is_fresh(trial: FrozenTrial) -> bool:
    """Whether it takes a place."""
    return RETRY_OF not in trial.user_attrs and SURPLUS not in trial.user_attrs


def is_surplus(number: int, marks: Marks, trials: Sequence[FrozenTrial], budget: int) -> bool:
    """Whether every place was taken when it came, or a lower number is the same try of the same origin."""
    if place(number, marks, trials) >= budget:
        return True
    same = (marks.get(RETRY_OF), marks.get(TRIES))
    return RETRY_OF in marks and any(
        trial.number < number and (trial.user_attrs.get(RETRY_OF), trial.user_attrs.get(TRIES)) == same
        for trial in trials
    )


def by_origin(trials: Sequence[FrozenTrial]) -> dict[int, list[FrozenTrial]]:
    """All tries of each fresh trial; what is surplus is in none."""
    found: dict[int, list[FrozenTrial]] = defaultdict(list)
    for trial in trials:
        if SURPLUS not in trial.user_attrs:
            found[origin(trial.number, trial.user_attrs)].append(trial)
    return dict(found)


def is_lost(trial: FrozenTrial) -> bool:
    """Whether its worker was killed or interrupted."""
    return trial.state == TrialState.FAIL and ERROR not in trial.user_attrs


def is_given_up(tries: Sequence[FrozenTrial]) -> bool:
    """Whether an origin's tries have killed their workers too often. Those that Ctrl-C ended do not count."""
    return sum(is_lost(trial) and INTERRUPTED not in trial.user_attrs for trial in tries) >= MOST_KILLS


def lost(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The last try of each origin whose tries were all lost and may be made once more."""
    groups = by_origin(trials).values()
    return [tries[-1] for tries in groups if all(map(is_lost, tries)) and not is_given_up(tries)]
