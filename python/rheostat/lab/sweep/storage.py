"""Where a study is kept: a SQLite file, or whatever else Optuna reaches by a URL."""

from __future__ import annotations

import random
import sqlite3
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage
from optuna.study import Study
from sqlalchemy.engine import make_url

from rheostat.errors import KnobError
from rheostat.lab.sweep.plan import Plan
from rheostat.lab.sweep.samplers import sampler_of

GRACE = 60  # seconds without a sign of life, after which a worker's trial is another's
BEATS = 4  # signs of life in that time
ATTEMPTS = 20  # at creating the tables, which another worker may be doing
LOCK_SECONDS = 60
PLAN = "plan"


def open_storage(where: str, grace: int = GRACE) -> RDBStorage:
    """The storage at a URL, or in a file, which is created with its folder where there is none.

    Raises:
        KnobError: it is no URL of a database that can be reached, or no file of a study.
    """
    if grace < 1:
        raise KnobError(f"grace must be at least 1 second, got {grace}", "grace", grace)
    is_url = "://" in where
    try:
        shown = str(make_url(where)) if is_url else where  # without the password
    except sqlalchemy.exc.ArgumentError as error:
        raise KnobError(
            f"storage must be a file or a database's URL, got {where}", "storage", where
        ) from error
    url = where if is_url else _url_of(Path(where))
    is_file = url.startswith("sqlite")
    if is_file and (":memory:" in url or url.count("/") == 2):
        raise KnobError(
            f"storage must be a file or a database, not a process's memory, got {where}", "storage", where
        )
    for attempt in range(ATTEMPTS):
        try:
            return _opened(url, is_file, grace)
        except ImportError as error:
            driver = getattr(error.__cause__, "name", None) or "of its database"
            rule = f"storage {shown} needs the Python driver {driver}, which is not installed"
            raise KnobError(rule, "storage", shown) from error
        except (sqlalchemy.exc.SQLAlchemyError, StorageInternalError, sqlite3.Error, RuntimeError) as error:
            if attempt == ATTEMPTS - 1 or not _is_race(error):
                cause = error.__cause__ or error
                reason = str(getattr(cause, "orig", cause)).splitlines()[0]
                raise KnobError(f"storage {shown} cannot be opened: {reason}", "storage", shown) from error
            time.sleep(random.random() / 10)
    raise AssertionError("the last attempt has returned or raised")


def _is_race(error: BaseException | None) -> bool:
    """Whether another worker was creating the same tables at the same moment."""
    if error is None:
        return False
    said = str(error)
    is_race = isinstance(error, sqlalchemy.exc.IntegrityError) or "already exists" in said or "locked" in said
    return is_race or _is_race(error.__cause__)


def _opened(url: str, is_file: bool, grace: int) -> RDBStorage:
    if is_file:
        # With a log beside the file a result is written at once, instead of after three waits for the disk.
        with closing(sqlite3.connect(make_url(url).database or "", timeout=LOCK_SECONDS)) as file:
            file.execute("PRAGMA journal_mode = WAL")
    with quiet_optuna():
        storage = RDBStorage(
            url,
            engine_kwargs={"connect_args": {"timeout": LOCK_SECONDS}} if is_file else {},
            heartbeat_interval=max(grace // BEATS, 1),
            grace_period=grace,
        )
    if is_file:
        _one_writer_at_a_time(storage.engine)
    return storage


def _url_of(path: Path) -> str:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"storage {path} cannot be created: {error.strerror}"
        raise KnobError(message, "storage", str(path)) from error
    return f"sqlite:///{path.absolute()}"


def _one_writer_at_a_time(engine: sqlalchemy.Engine) -> None:
    """SQLite knows no locked rows: without this, two workers that read that a trial waits would both take it.
    So each transaction takes the file's lock at its beginning.
    """

    @sqlalchemy.event.listens_for(engine, "connect")
    def connect(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # the driver begins no transaction of its own
        connection.execute("PRAGMA synchronous = NORMAL")

    @sqlalchemy.event.listens_for(engine, "begin")
    def begin(connection: sqlalchemy.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()  # what was connected before


def open_study(plan: Plan, storage: RDBStorage, name: str) -> Study:
    """The study of that name, begun where there is none.

    Raises:
        KnobError: the storage has a study of that name with another plan.
    """
    with quiet_optuna():
        study = optuna.create_study(
            study_name=name,
            storage=storage,
            sampler=sampler_of(plan),
            pruner=optuna.pruners.MedianPruner() if plan.is_pruned else optuna.pruners.NopPruner(),
            direction="maximize" if plan.goal.is_higher else "minimize",
            load_if_exists=True,
        )
    identity = plan.identity()
    found = study.user_attrs.get(PLAN)
    if found is None:
        study.set_user_attr(PLAN, identity)
    elif found != identity:
        key, was, wanted = _difference(found, identity)
        rule = f"study {name} was begun with {key} {_brief(was)}, so it cannot go on with {_brief(wanted)}"
        raise KnobError(f"{rule}: give another study or storage", "study", name)
    return study


def _difference(found: dict[str, Any], wanted: dict[str, Any]) -> tuple[str, Any, Any]:
    """The first key of which two plans differ, within what is fixed too, and both values."""
    key = next(key for key in sorted(found | wanted) if found.get(key) != wanted.get(key))
    was, is_now = found.get(key), wanted.get(key)
    if isinstance(was, dict) and isinstance(is_now, dict):
        return _difference(was, is_now)
    return key, was, is_now


def _brief(value: Any) -> str:
    text = " ".join(value) if isinstance(value, list) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Optuna logs each trial and warns of its experimental parts: the table says what there is to say."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
