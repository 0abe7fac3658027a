"""Several workers on this machine: a process each, on one study.

A terminal sends Ctrl-C to all of them. Only the process that started them listens, and ends each by SIGTERM,
once: a second signal would come while the first is being answered, and one that comes while Python starts up
is told by a traceback.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from rheostat.cli.errors import INTERRUPTED, FailedError

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
    with _environment(ONE_THREAD), _without_ctrl_c():
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
            worker.terminate()
        for worker in workers:
            worker.join()
    view(study, None)
    if any(worker.exitcode == 1 for worker in workers):
        raise FailedError("a worker failed, see above; the same command goes on")
    if not any(worker.exitcode == 0 for worker in workers):
        raise FailedError("every worker was killed; the same command goes on")


def _work(arguments: argparse.Namespace) -> None:
    """A worker process: exit status 0 when the study is done, 1 after an error, 130 after SIGTERM."""
    from rheostat.cli.commands import sentence
    from rheostat.cli.sweep import places, plan_of
    from rheostat.lab.sweep import open_storage, work

    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # until the end, in all threads
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _as_ctrl_c)
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


def _as_ctrl_c(number: int, frame: FrameType | None) -> None:
    """What Ctrl-C would do now: within a training run, end it after its update."""
    handler = signal.getsignal(signal.SIGINT)
    assert callable(handler)
    handler(signal.SIGINT, frame)


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """What is started in here ignores it from its first moment on."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


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
