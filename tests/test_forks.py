"""Forks, told of or not: a child uses threads of its own, whatever its parent's were doing."""

import os
import subprocess
import sys

import pytest

FORKED = """
import os, threading, numpy as np, rheostat
batch = np.random.default_rng(0).normal(size=(6, 90_000)).astype(np.float32)
rheostat.set_num_threads(3)
stops = rheostat.StopSet(["END"])
matcher = stops.matcher()
matcher.feed("E")
sampler = rheostat.Sampler(rheostat.SamplingParams(seed=3), 90_000)
sampler.sample(batch[0])
def results():
    return (rheostat.sample(batch, seed=1, stream=list(range(6)), typical_p=0.9).tolist(),
            sampler.sample(batch[1]).id, matcher.clone().feed("ND"), rheostat.softmax(batch).sum())
stop = threading.Event()
def busy():  # the pool works in another thread while the process forks
    while not stop.is_set():
        rheostat.kept(batch, top_p=0.9)
other = threading.Thread(target=busy)
other.start()
children = []
for _ in range(5):
    pid = os.fork()
    if pid == 0:
        os.write(1, (repr(results()) + "\\n").encode())
        os._exit(0)
    children.append(pid)
stop.set()
other.join()
statuses = [os.waitpid(pid, 0)[1] for pid in children]
os.write(1, (repr(results()) + "\\n" + repr(statuses) + "\\n").encode())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_fork_while_the_pool_works_has_the_same_results():
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    *results, statuses = done.stdout.splitlines()
    assert statuses == "[0, 0, 0, 0, 0]", done.stderr
    assert len(results) == 6
    assert len(set(results)) == 1


UNTOLD = """
import ctypes, os, numpy as np, rheostat
fork = ctypes.PyDLL(None).fork  # as a library does it, which calls none of Python's hooks
batch = np.random.default_rng(0).normal(size=(6, 90_000)).astype(np.float32)
rheostat.set_num_threads(2)
def results():
    ids = rheostat.sample(batch, seed=1, stream=list(range(6)), typical_p=0.9)
    return ids.tolist(), rheostat.build_info()["threads"]
results()  # makes the pool
children = []
for _ in range(20):
    pid = fork()
    if pid == 0:
        os.write(1, (repr(results()) + "\\n").encode())
        os._exit(0)
    children.append(pid)
statuses = [os.waitpid(pid, 0)[1] for pid in children]
os.write(1, (repr(results()) + "\\n" + repr(statuses) + "\\n").encode())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_fork_that_python_is_not_told_of_has_the_same_results():
    """While no other thread is in Python: its own locks would not outlive such a fork."""
    done = subprocess.run(
        [sys.executable, "-c", UNTOLD], capture_output=True, text=True, timeout=60, check=False
    )
    *results, statuses = done.stdout.splitlines()
    assert statuses == repr([0] * 20), done.stderr
    assert len(results) == 21
    assert len(set(results)) == 1


DEEP = """
import os, numpy as np, rheostat
batch = np.random.default_rng(0).normal(size=(6, 90_000)).astype(np.float32)
rheostat.set_num_threads(2)
wanted = rheostat.sample(batch, seed=1, stream=list(range(6)), top_p=0.9).tolist()
for depth in range(70):
    pid = os.fork()
    if pid:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    if rheostat.sample(batch, seed=1, stream=list(range(6)), top_p=0.9).tolist() != wanted:
        os._exit(1)
    rheostat.set_num_threads(2 + depth % 2)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_long_line_of_forks_has_the_same_results():
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", DEEP]
    assert subprocess.run(command, timeout=60, check=False).returncode == 0


SAME_NUMBER = """
import ctypes, os, numpy as np, rheostat
batch = np.random.default_rng(0).normal(size=(6, 90_000)).astype(np.float32)
rheostat.set_num_threads(2)
print(os.getpid(), rheostat.sample(batch, seed=1, stream=list(range(6))).tolist(), flush=True)
assert ctypes.CDLL(None).unshare(0x20000000) == 0  # CLONE_NEWPID, for the next child
pid = os.fork()
if pid == 0:
    print(os.getpid(), rheostat.sample(batch, seed=1, stream=list(range(6))).tolist(), flush=True)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
"""
NAMESPACE = ["unshare", "--pid", "--fork", "--kill-child"]


def can_make_namespaces():
    try:
        return subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not can_make_namespaces(), reason="this user cannot make process namespaces")
def test_a_child_with_its_parent_s_process_id_has_threads_of_its_own():
    command = [*NAMESPACE, sys.executable, "-W", "ignore::DeprecationWarning", "-c", SAME_NUMBER]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    parent, child = done.stdout.splitlines()
    assert parent == child
    assert parent.startswith("1 [")
