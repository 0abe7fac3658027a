"""Arrays are read in place and given back, also where they change while a call runs."""

import gc
import sys
import threading
import tracemalloc
import warnings
import weakref
from contextlib import nullcontext

import ml_dtypes
import numpy as np
import pytest
import rheostat
from support import same_bits

RNG = np.random.default_rng(7)
ROW = RNG.standard_normal(37).astype(np.float32)
BATCH = RNG.standard_normal((5, 37)).astype(np.float32)
DTYPES = [np.float32, np.float64, np.float16, ml_dtypes.bfloat16]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_large_view_is_read_without_a_copy(dtype):
    vocab = 1 << 19
    memory = np.zeros((2, 2 * vocab), dtype)
    out = np.empty((2, vocab), np.float32)
    view = memory[:, :vocab]
    rheostat.top_k(view, 0, out=out)
    tracemalloc.start()
    try:
        rheostat.top_k(view, 0, out=out)
        rheostat.top_k(view[:, ::-1], 0, out=out)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10_000  # NumPy reports its allocations here: a copy would be megabytes


def test_references_are_given_back(api):
    bad = np.zeros((2, 2, 2), np.float32)
    given = [
        ROW.copy(),
        ROW.astype(np.float64),
        BATCH[:, ::-1],
        ROW.astype(ml_dtypes.bfloat16),
        [1.0, 2.0],
        bad,
    ]
    before = [sys.getrefcount(x) for x in given]
    for _ in range(10_000 // len(given)):
        for x in given[:-1]:
            api.top_k(x, 0)
        with pytest.raises(ValueError, match="got shape"):
            api.top_k(bad, 0)
    del x
    assert [sys.getrefcount(x) for x in given] == before


def test_a_result_does_not_keep_the_logits_alive(api):
    class Tracked(np.ndarray):
        pass

    x = ROW.copy().view(Tracked)
    gone = weakref.ref(x)
    result = api.top_k(x, 0)
    del x
    gc.collect()
    assert gone() is None
    same_bits(result, ROW)


def test_arrays_may_change_their_shape_while_a_call_runs():
    x = np.zeros((16, 1 << 16), np.float32)
    done = threading.Event()

    def reshape():
        while not done.is_set():
            x.resize((1 << 16, 16), refcheck=False)
            x.resize((16, 1 << 16), refcheck=False)

    thread = threading.Thread(target=reshape)
    thread.start()
    try:
        for _ in range(20):
            rheostat.top_k(x, 0)
    finally:
        done.set()
        thread.join()
    same_bits(rheostat.top_k(x, 0), x)


CHANGES = [("shape", (2, 8)), ("dtype", np.float64), ("dtype", np.int8)]


@pytest.mark.parametrize(("attribute", "value"), CHANGES)
def test_a_row_that_an_argument_changes_is_refused(attribute, value):
    """A knob may run Python code between the look at a short row and the work on it. Where there is no GIL,
    other threads may do so at any time, and the row is read through a view, which stays as it was.
    """
    row = np.zeros(16, np.float32)
    has_gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    as_it_was = rheostat.sample(row, temperature=0.5, seed=1)

    class Meddler:
        def __array__(self, dtype=None, copy=None):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # NumPy advises against it
                setattr(row, attribute, value)
            return np.array(0.5)

    message = "logits must stay as they are during a call, got an array that was changed meanwhile"
    with pytest.raises(rheostat.KnobError, match=message) if has_gil else nullcontext():
        assert rheostat.sample(row, temperature=Meddler(), seed=1) == as_it_was
    again = row.reshape(-1).view(np.float32)
    assert rheostat.softmax(again, out=again).tolist() == [1 / 16] * 16  # nobody reads it any more


def test_a_callable_may_give_a_row_another_shape():
    """While a callable of the chain runs, the row is read through a view of its own."""
    row = np.arange(16, dtype=np.float32)

    def meddle(ids, logits, probabilities):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            row.shape = (4, 4)
        return ids[-2:]

    assert rheostat.kept(row, chain=(meddle,)).tolist() == [14, 15]
    assert row.shape == (4, 4)
