"""How a study is worked through: each setting once, in spite of interruptions, failures and other workers."""

import math
import subprocess
import sys
import time
from collections import Counter
from itertools import product

import optuna
import platforms
import pytest
import rheostat
from cli_support import environment
from optuna.trial import TrialState, create_trial
from rheostat.lab import sweep
from rheostat.lab.sweep import trials as marks
from rheostat.lab.sweep.samplers import sampler_of
from rheostat.lab.sweep.storage import quiet_optuna
from sweep_subject import Bowl, plan_of

GRID = [{"x": x, "n": n} for x, n in product((0.0, 0.5, 1.0), (1, 2, 3))]


@pytest.fixture
def storage(tmp_path):
    opened = sweep.open_storage(str(tmp_path / "study.db"), grace=2)
    yield opened
    opened.remove_session()
    opened.engine.dispose()


EACH_ONCE = Counter((point["x"], point["n"]) for point in GRID)


def worked(plan, storage):
    """The rows of a plan that is worked through here."""
    return sweep.rows_of(sweep.work(plan, storage), plan)


def counted(rows):
    return Counter((row.settings["x"], row.settings["n"]) for row in rows)


def assert_each_is_done_once(rows):
    assert counted(rows) == EACH_ONCE
    assert {row.state for row in rows} == {"done"}


def test_a_grid_tries_each_point_once_in_order(storage):
    plan = plan_of(Bowl())
    study = sweep.work(plan, storage)
    assert [trial.params for trial in study.trials] == plan.points == GRID
    rows = sweep.rows_of(study, plan)
    assert [row.value for row in rows] == sorted(row.value for row in rows)
    assert sweep.best_of(rows).settings == {"x": 0.5, "n": 2}
    assert sweep.best_of(rows).metrics == {"loss": 0.0, "gain": 0.0}


def test_what_is_done_is_not_done_again(storage, tmp_path):
    subject = Bowl(tmp_path / "log")
    for _ in range(2):
        sweep.work(plan_of(subject), storage)
    assert len((tmp_path / "log").read_text().splitlines()) == len(GRID)


@pytest.mark.parametrize(("goal", "best"), [("loss", 2), ("gain", 2), ("gain=-1", 1), ("loss=1", 1)])
def test_the_goal_decides_what_is_best(storage, goal, best):
    plan = plan_of(Bowl(), ["n=1,2"], goal=goal)
    assert sweep.best_of(worked(plan, storage)).settings == {"n": best}


@pytest.mark.parametrize("search", ["random", "tpe"])
def test_a_search_repeats_itself_also_when_it_is_cut(tmp_path, search):
    found = []
    for name, parts in (("whole", [12]), ("cut", [5, 12])):
        opened = sweep.open_storage(str(tmp_path / name))
        for count in parts:
            plan = plan_of(Bowl(), ["x=0:1", "n=1:1000:log", "flag=yes,no"], search=search, trials=count)
            study = sweep.work(plan, opened)
        found.append([trial.params for trial in study.trials])
        opened.engine.dispose()
    assert len(found[0]) == 12
    assert found[0] == found[1]
    assert all(0 <= params["x"] <= 1 and 1 <= params["n"] <= 1000 for params in found[0])


def test_tpe_looks_where_it_was_good():
    means = {}
    for search in ("random", "tpe"):
        sampler = sampler_of(plan_of(Bowl(), ["x=0:1", "n=1:9"], search=search))
        study = optuna.create_study(sampler=sampler)
        with quiet_optuna():
            study.optimize(lambda trial: (trial.suggest_float("x", -10, 10) - 3) ** 2, n_trials=60)
        values = [trial.value for trial in study.trials]
        means[search] = sum(values[30:]) / 30
    assert means["tpe"] < means["random"] / 2


def test_the_worse_half_is_ended_early(storage):
    seen = []

    def epochs(settings, report):
        for epoch in range(1, 9):
            seen.append((settings["x"], epoch))
            report(epoch, settings["x"])

    plan = plan_of(Bowl(during=epochs), ["x=0:1"], search="random", trials=14)
    rows = worked(plan, storage)
    pruned = [row for row in rows if row.state == "pruned"]
    assert pruned
    for row in pruned:
        assert row.value == row.settings["x"]
        assert (row.settings["x"], 8) not in seen
    assert sweep.best_of(rows).state == "done"
    assert not any(row.state == "pruned" for row in rows[: len(rows) - len(pruned)])


def test_a_grid_ends_none_early_unless_asked():
    assert not plan_of(Bowl()).is_pruned
    assert plan_of(Bowl(), prune=True).is_pruned
    assert plan_of(Bowl(), search="tpe").is_pruned
    assert not plan_of(Bowl(), search="tpe", goal="gain").is_pruned
    with pytest.raises(rheostat.KnobError, match="prune needs a goal that is known at every epoch"):
        plan_of(Bowl(), goal="gain", prune=True)


def test_a_setting_that_cannot_be_is_told_and_not_tried_again(storage, tmp_path):
    def during(settings, report):
        if settings["n"] == 3:
            raise ValueError("the text is too short")
        if settings["x"] == 1:
            raise ArithmeticError("the loss is no number")

    plan = plan_of(Bowl(tmp_path / "log", during))
    sweep.work(plan, storage)
    rows = worked(plan, storage)
    assert Counter(row.error for row in rows) == {
        "": 4, "the text is too short": 3, "the loss is no number": 2
    }  # fmt: skip
    assert len((tmp_path / "log").read_text().splitlines()) == len(GRID)


def test_a_number_that_is_none_is_a_failed_setting(storage):
    subject = Bowl()
    subject.measure = lambda settings, report: {"loss": math.nan, "gain": math.inf}
    plan = plan_of(subject, ["x=0,1"])
    rows = worked(plan, storage)
    assert [row.error for row in rows] == ["it diverged: loss is nan, gain is inf"] * 2
    assert sweep.best_of(rows) is None


@pytest.mark.parametrize("error", [KeyboardInterrupt, TypeError])
def test_an_interrupted_sweep_goes_on_with_the_same_call(storage, error):
    left = [3]

    def during(settings, report):
        left[0] -= 1
        if left[0] == 0:
            raise error

    plan = plan_of(Bowl(during=during))
    with pytest.raises(error):
        sweep.work(plan, storage)
    rows = sweep.rows_of(sweep.open_study(plan, storage, "sweep"), plan)
    assert [row.state for row in rows] == ["done", "done", "open"]
    rows = worked(plan, storage)
    assert_each_is_done_once(rows)


def test_a_worker_that_was_taken_for_dead_loses_its_result_alone(storage):
    """Its machine slept, say, and another worker has tried the setting again since."""

    def during(settings, report):
        (running,) = (trial for trial in study.trials if trial.state == TrialState.RUNNING)
        if running.number == 2:
            storage.set_trial_state_values(running._trial_id, TrialState.FAIL)

    plan = plan_of(Bowl(during=during))
    study = sweep.open_study(plan, storage, "sweep")
    rows = worked(plan, storage)
    assert_each_is_done_once(rows)
    assert study.trials[2].state == TrialState.FAIL


def test_a_setting_that_kills_its_worker_each_time_is_given_up(storage):
    class KilledError(Exception):
        """As a kill does it, it leaves a trial without a word."""

    def during(settings, report):
        if settings == GRID[2]:
            raise KilledError

    plan = plan_of(Bowl(during=during))
    for _ in range(3):
        with pytest.raises(KilledError):
            sweep.work(plan, storage)
    rows = worked(plan, storage)
    assert counted(rows) == EACH_ONCE
    assert [row.error for row in rows if row.state != "done"] == ["its worker was lost 3 times"]


def test_a_setting_is_measured_however_often_ctrl_c_has_ended_it(storage):
    left = [5]

    def during(settings, report):
        if settings == GRID[2] and left[0]:
            left[0] -= 1
            raise KeyboardInterrupt

    plan = plan_of(Bowl(during=during))
    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            sweep.work(plan, storage)
        rows = sweep.rows_of(sweep.open_study(plan, storage, "sweep"), plan)
        assert [row.state for row in rows] == ["done", "done", "open"]
    rows = worked(plan, storage)
    assert_each_is_done_once(rows)


def test_two_retries_of_one_trial_are_one(storage):
    """Two workers may find the same lost trial at once."""
    plan = plan_of(Bowl())
    study = sweep.open_study(plan, storage, "sweep")
    study.add_trial(create_trial(state=TrialState.FAIL))
    for _ in range(2):
        study.add_trial(create_trial(state=TrialState.WAITING, user_attrs={"retry_of": 0, "tries": 2}))
    rows = worked(plan, storage)
    assert counted(rows) == EACH_ONCE
    assert sum(marks.SURPLUS in trial.user_attrs for trial in study.trials) == 1


def test_another_plan_is_refused_in_one_sentence(storage):
    sweep.work(plan_of(Bowl(), ["x=0,1"]), storage)
    said = (
        "study sweep was begun with vary x=0,1, so it cannot go on with n=1,2: give another study or storage"
    )
    with pytest.raises(rheostat.KnobError) as caught:
        sweep.work(plan_of(Bowl(), ["n=1,2"]), storage)
    assert str(caught.value) == said
    sweep.work(plan_of(Bowl(), ["n=1,2"]), storage, "other")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"search": "best"}, "search must be grid, random, tpe, got best"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"search": "tpe", "trials": 0}, "trials must be at least 1, got 0"),
        (
            {"trials": 3},
            "a grid tries each of its 9 settings: leave trials out, or search by random or tpe, got 3",
        ),
        ({"vary": ["x=-1:1"]}, "x must not be -1, got -1"),
        (
            {"vary": ["x=0:1:points=200", "n=1:100:points=100"]},
            "a grid must have at most 10,000 settings: take fewer points, or search by tpe, got 20,000",
        ),
    ],
)
def test_what_a_plan_cannot_be_is_one_sentence(options, said):
    with pytest.raises(rheostat.KnobError) as caught:
        plan_of(Bowl(), **options)
    assert str(caught.value) == said


def test_a_plan_varies_something():
    plan = plan_of(Bowl())
    with pytest.raises(rheostat.KnobError, match=r"^spaces must hold at least one knob, got none$"):
        sweep.Plan(plan.subject, (), plan.goal)


@platforms.posix
def test_a_storage_that_cannot_be_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no database at all, but long enough to be taken for one" * 20)
    for where, said in (
        ("sqlite://", "storage must be a file or a database, not a process's memory, got sqlite://"),
        (str(tmp_path / "file" / "x.db"), f"storage {tmp_path}/file/x.db cannot be created: File exists"),
        (str(tmp_path / "file"), f"storage {tmp_path}/file cannot be opened: file is not a database"),
    ):
        with pytest.raises(rheostat.KnobError) as caught:
            sweep.open_storage(where)
        assert str(caught.value) == said
    with pytest.raises(rheostat.KnobError) as caught:
        sweep.open_storage("nonsense://a:secret@host/x")
    assert "secret" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(rheostat.KnobError) as caught:
        sweep.open_storage("postgresql+psycopg://a:secret@host/x")
    assert str(caught.value) == (
        "storage postgresql+psycopg://a:***@host/x needs the Python driver psycopg, which is not installed"
    )
    with pytest.raises(rheostat.KnobError, match="grace must be at least 1 second, got 0"):
        sweep.open_storage(str(tmp_path / "new"), grace=0)


# Worker processes


def worker(tmp_path, *mode):
    command = [sys.executable, "-m", "sweep_subject", tmp_path / "study.db", tmp_path / "log", *mode]
    env = environment(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    return subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)


def test_two_processes_finish_a_grid_each_point_done_once(tmp_path):
    workers = [worker(tmp_path) for _ in range(2)]  # they also begin the study at once
    for process in workers:
        assert process.communicate(timeout=120) == (None, "")
        assert process.returncode == 0
    plan = plan_of(Bowl())
    study = sweep.open_study(plan, sweep.open_storage(str(tmp_path / "study.db")), "sweep")
    rows = sweep.rows_of(study, plan)
    assert_each_is_done_once(rows)
    assert len((tmp_path / "log").read_text().splitlines()) == len(GRID)


def test_the_setting_of_a_killed_worker_is_tried_again(tmp_path, storage):
    process = worker(tmp_path, "hang")
    log = tmp_path / "log"
    end = time.monotonic() + 60
    while not log.exists() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.3)  # so that there was a sign of life
    process.kill()
    process.communicate()
    plan = plan_of(Bowl())
    study = sweep.work(plan, storage)
    rows = sweep.rows_of(study, plan)
    assert_each_is_done_once(rows)
    again = [trial.user_attrs for trial in study.trials if marks.TRIES in trial.user_attrs]
    assert [(each["retry_of"], each["tries"]) for each in again] == [(0, 2)]


def test_a_worker_killed_before_its_first_sign_of_life_is_noticed_too(storage):
    plan = plan_of(Bowl(), ["x=0,1"])
    study = sweep.open_study(plan, storage, "sweep")
    study._storage.create_new_trial(study._study_id)  # and then nothing more is heard
    rows = worked(plan, storage)
    assert [row.state for row in rows] == ["done", "done"]
    assert {row.settings["x"] for row in rows} == {0.0, 1.0}
