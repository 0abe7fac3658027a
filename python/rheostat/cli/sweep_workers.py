"""Several workers on this machine: a process each, on one study."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rheostat.cli.errors import FailedError

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

    from rheostat.cli.sweep_view import Progress
    from rheostat.lab.sweep import Plan

POLL_SECONDS = 0.2
# Small products on several threads wait for one another, and several workers' threads more so.
POOLS = ("OPENBLAS", "OMP", "MKL", "RAYON")
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in POOLS}


def work_together(
    arguments: argparse.Namespace, plan: Plan, storage: RDBStorage, name: str, view: Progress
) -> None:
    """Starts the workers, shows how far they are, and waits for the last.

    A worker that is killed leaves its setting to the others; if all are killed, that is an error.

    Raises:
        KeyboardInterrupt: Ctrl-C, after the workers have put down their work.
        FailedError: a worker failed, or none is left.
    """
    from rheostat.lab.sweep import open_study

    study = open_study(plan, storage, name)  # before the workers, who would all create it
    storage.engine.dispose()
    context = multiprocessing.get_context("spawn")
    with _environment(ONE_THREAD):
        workers = [context.Process(target=_work, args=(arguments,)) for _ in range(arguments.workers)]
        for worker in workers:
            worker.start()
    try:
        while any(worker.is_alive() for worker in workers):
            view(study, None)
            if any(worker.exitcode == 1 for worker in workers):
                break
            time.sleep(POLL_SECONDS)
    finally:
        for worker in workers:
            if worker.is_alive() and worker.pid is not None:
                os.kill(worker.pid, signal.SIGINT)
            worker.join()
    view(study, None)
    if any(worker.exitcode == 1 for worker in workers):
        raise FailedError("a worker failed, see above; the same command goes on")
    if not any(worker.exitcode == 0 for worker in workers):
        raise FailedError("every worker was killed; the same command goes on")


def _work(arguments: argparse.Namespace) -> None:
    """A worker process: exit status 0 when the study is done, 1 after an error, 130 after Ctrl-C."""
    from rheostat.cli.commands import sentence
    from rheostat.cli.sweep import INTERRUPTED, places, plan_of
    from rheostat.lab.sweep import open_storage, work

    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        plan = plan_of(arguments)
        _, storage, name = places(arguments, plan)
        work(plan, open_storage(storage, arguments.grace), name)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        if os.environ.get("RHEOSTAT_TRACEBACK"):
            raise
        print(f"rheostat sweep: {sentence(error)}", file=sys.stderr)
        sys.exit(1)


@contextmanager
def _environment(more: dict[str, str]) -> Iterator[None]:
    """Variables that what is started in here inherits."""
    before = {name: os.environ.get(name) for name in more}
    os.environ.update(more)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
