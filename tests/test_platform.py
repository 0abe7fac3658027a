"""What the machine and the process decide, and what they must not: levels, threads, forks."""

import multiprocessing
import os
import subprocess
import sys
import threading

import numpy as np
import platforms
import pytest
import rheostat
from support import LEVELS


def run(code, **environment):
    """The finished process of some Python code."""
    env = {
        key: value for key, value in os.environ.items() if key not in ("RHEOSTAT_SIMD", "RAYON_NUM_THREADS")
    }
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=env | environment, capture_output=True, text=True, check=False)


INFO = "import rheostat; info = rheostat.build_info(); print(info['simd'], info['threads'])"


@pytest.mark.parametrize("cap", LEVELS)
def test_the_environment_caps_the_level(cap):
    assert run(INFO, RHEOSTAT_SIMD=cap).stdout.split()[0] == cap


def test_no_cap_is_the_best_level():
    assert run(INFO).stdout.split()[0] == run(INFO, RHEOSTAT_SIMD="").stdout.split()[0] == LEVELS[-1]


def test_an_unknown_level_is_an_error_at_import():
    done = run(INFO, RHEOSTAT_SIMD="AVX2")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last == "ValueError: RHEOSTAT_SIMD must be scalar, avx2, avx512 or neon, got 'AVX2'"


def test_a_level_of_another_architecture_is_no_error():
    other = {"scalar": "avx512", "avx2": "neon", "avx512": "neon", "neon": "avx512"}[LEVELS[-1]]
    wanted = "scalar" if other == "avx512" else LEVELS[-1]
    assert run(INFO, RHEOSTAT_SIMD=other).stdout.split()[0] == wanted


def test_a_number_of_threads_that_is_none_counts_for_nothing():
    assert run(INFO, RAYON_NUM_THREADS="abc").stdout == run(INFO).stdout != ""


def test_the_number_of_threads_follows_the_call_then_the_environment():
    assert run(INFO, RAYON_NUM_THREADS="3").stdout.split()[1] == "3"
    chosen = "import rheostat; rheostat.set_num_threads(2); print(rheostat.build_info()['threads'])"
    assert run(chosen, RAYON_NUM_THREADS="3").stdout.strip() == "2"


@platforms.affinity
def test_the_number_of_threads_follows_the_affinity_of_the_process():
    assert run(INFO, RAYON_NUM_THREADS="0").stdout.split()[1] == str(len(os.sched_getaffinity(0)))
    pinned = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); " + INFO
    assert run(pinned).stdout.split()[1] == "1"


@platforms.thread_list
def test_there_is_no_pool_before_a_batch_that_pays_for_one():
    code = """
import os, numpy as np, rheostat
count = lambda: len(os.listdir("/proc/self/task"))
before = count()
rheostat.set_num_threads(2)
rheostat.sample(np.zeros(128256, np.float32), seed=1)
rheostat.softmax(np.zeros((4, 100), np.float32))
between = count()
rheostat.softmax(np.zeros((4, 100000), np.float32))
print(between - before, count() - between)
"""
    assert run(code).stdout.split() == ["0", "2"]


def child(pipe):
    batch = np.zeros((4, 100_000), np.float32)
    pipe.send(rheostat.sample(batch, seed=1, stream=[0, 1, 2, 3]).tolist())


@platforms.fork
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_fork_after_use_makes_threads_of_its_own():
    batch = np.zeros((4, 100_000), np.float32)
    rheostat.set_num_threads(2)
    try:
        wanted = rheostat.sample(batch, seed=1, stream=[0, 1, 2, 3]).tolist()
        context = multiprocessing.get_context("fork")
        for _ in range(3):
            ours, theirs = context.Pipe()
            process = context.Process(target=child, args=(theirs,))
            process.start()
            assert ours.poll(60)
            assert ours.recv() == wanted
            process.join(60)
            assert process.exitcode == 0
    finally:
        rheostat.set_num_threads(0)


def test_a_long_choose_lets_other_threads_run():
    ticks = []
    stop = threading.Event()

    def tick():
        while not stop.wait(0.001):
            ticks.append(None)

    other = threading.Thread(target=tick)
    other.start()
    ids = rheostat.choose(np.zeros(60_000, np.float32), 60_000, seed=1)
    stop.set()
    other.join()
    assert len(set(ids.tolist())) == 60_000
    assert len(ticks) > 2


def test_columns_of_packed_records_are_read_as_they_lie(api):
    batch = np.random.default_rng(0).normal(size=(4, 100)).astype(np.float32)
    records = np.zeros(4, dtype=[("seed", "u8"), ("t", "f8"), ("k", "i8"), ("flag", "i1")])
    records["seed"], records["t"], records["k"] = [5, 6, 7, 2**63], [0.5, 1, 1.5, 2], [1, 2, 3, 4]
    given = {"seed": records["seed"], "temperature": records["t"], "top_k": records["k"]}
    copied = {name: column.copy() for name, column in given.items()}
    np.testing.assert_array_equal(api.sample(batch, **given), api.sample(batch, **copied))
    words = np.zeros(4, dtype=[("word", "i4"), ("flag", "i1")])
    words["word"] = [1, 2, -8, 3]
    allowed = [0, 33, *range(67, 96), 96, 97]
    np.testing.assert_array_equal(api.kept(batch[0], bitmask=words["word"]), allowed)
    ids = np.zeros(3, dtype=[("id", "i8"), ("flag", "i1")])
    ids["id"] = [3, 5, 99]
    np.testing.assert_array_equal(api.kept(batch[0], allowed_token_ids=ids["id"]), [3, 5, 99])
    kept = api.kept(batch, top_k=records["k"])
    assert [len(ids) for ids in kept] == [1, 2, 3, 4]


def test_a_list_that_holds_itself_is_an_error(api):
    endless = []
    endless.append(endless)
    for argument in ("seed", "top_k"):
        with pytest.raises(TypeError, match="got a nested list"):
            api.sample(np.zeros(3, np.float32), **{argument: endless})
