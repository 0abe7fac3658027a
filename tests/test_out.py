"""``out``: where it may lie, what it must be, and that a failing call leaves it alone."""

import sys
import threading

import numpy as np
import pytest
import rheostat
from rheostat import KnobError

RNG = np.random.default_rng(11)
ROW = RNG.standard_normal(33).astype(np.float32)
BATCH = RNG.standard_normal((6, 33)).astype(np.float32)


def holders(shape):
    """Writeable float32 arrays of one shape in every layout, each with the memory around it."""
    memory = np.full((3 * shape[0], 3 * shape[1] + 4), 7, np.float32)
    rows, vocab = shape
    yield memory, memory[:rows, :vocab]  # rows apart
    yield memory, memory[::3, : 2 * vocab : 2]  # strided, as llama.cpp's are
    yield memory, memory[:rows, :vocab][::-1, ::-1]  # both backwards
    flat = np.full(rows * vocab, 7, np.float32)
    yield flat, flat.reshape(vocab, rows).T  # Fortran order
    swapped = np.full(shape, 7, ">f4")
    yield swapped, swapped
    bytes_ = np.zeros(rows * vocab * 4 + 1, np.uint8)
    yield bytes_, bytes_[1:].view(np.float32).reshape(shape)  # unaligned


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("case", range(6))
def test_out_in_any_layout_is_written_and_nothing_beside_it(api, case, dtype):
    logits = BATCH.astype(dtype)
    memory, out = list(holders(BATCH.shape))[case]
    expected_memory = memory.copy()
    list(holders(BATCH.shape))  # the layouts are the same each time
    beside = np.ones_like(memory, bool)
    marks = list(holders(BATCH.shape))[case]
    marks[1][...] = 0
    if memory.dtype != np.uint8:
        beside = marks[0] == 7
    else:
        beside[1:] = False
    assert api.top_k(logits, 0, out=out) is out
    np.testing.assert_array_equal(np.asarray(out, np.float32), logits.astype(np.float32))
    np.testing.assert_array_equal(memory[beside], expected_memory[beside])


@pytest.mark.parametrize("case", range(6))
def test_out_may_be_the_logits_in_any_layout(api, case):
    _, x = list(holders(BATCH.shape))[case]
    x[...] = BATCH
    assert api.top_k(x, 0, out=x) is x
    np.testing.assert_array_equal(x, BATCH)
    row = x[0]
    assert api.top_k(row, 0, out=row) is row
    np.testing.assert_array_equal(x, BATCH)


def test_out_may_be_another_view_of_the_same_elements(api):
    x = BATCH.copy()
    out = x[:]
    assert api.top_k(x, 0, out=out) is out
    np.testing.assert_array_equal(x, BATCH)


def test_out_of_one_row_and_of_no_rows(api):
    out = np.empty((1, 33), np.float32)
    assert api.top_k(ROW[None], 0, out=out) is out
    np.testing.assert_array_equal(out[0], ROW)
    out = np.empty(33, np.float32)
    assert api.top_k(ROW.tolist(), 0, out=out) is out
    np.testing.assert_array_equal(out, ROW)
    none = np.empty((0, 33), np.float32)
    assert api.top_k(none, 0, out=none) is none
    assert api.top_k(np.zeros((0, 33)), 0, out=none) is none
    one = np.ones((1, 1), np.float32)
    assert api.top_k(one, 0, out=np.lib.stride_tricks.as_strided(one, (1, 1), (0, 0))) == 1


def test_out_may_be_a_subclass(api):
    class Subclass(np.ndarray):
        pass

    out = np.empty_like(ROW).view(Subclass)
    assert api.top_k(ROW, 0, out=out) is out
    np.testing.assert_array_equal(np.asarray(out), ROW)


def test_logits_and_out_may_interleave(api):
    memory = np.zeros((6, 68), np.float32)
    memory[:, :66:2] = BATCH
    logits, out = memory[:, :66:2], memory[:, 1:67:2]
    api.top_k(logits, 0, out=out)
    np.testing.assert_array_equal(out, BATCH)
    np.testing.assert_array_equal(logits, BATCH)
    memory = np.zeros((13, 33), np.float32)  # the rows of a step of 2, the others between them
    memory[:12:2] = BATCH
    api.top_k(memory[:12:2], 0, out=memory[1::2])
    np.testing.assert_array_equal(memory[1::2], BATCH)
    columns = np.zeros((10, 10), np.float32)  # rust-numpy takes these for overlapping
    columns[:, ::3] = 1
    api.top_k(columns[:5, :3], 0, out=columns[:5, 3:6])
    api.top_k(columns[:, :9:3], 0, out=columns[:, 1:8:3])
    np.testing.assert_array_equal(columns[:, 1:8:3], 1 * columns[:, :9:3])


@pytest.mark.parametrize(
    ("out", "got"),
    [
        ([0.0], "list"),
        (0.5, "float"),
        (np.float32(1), "float32"),
        (memoryview(ROW), "memoryview"),
        (np.zeros(33), "float64"),
        (np.zeros(33, np.float16), "float16"),
        (np.zeros(33, np.int32), "int32"),
    ],
)
def test_out_of_another_type_is_named(api, out, got):
    with pytest.raises(TypeError) as error:
        api.top_k(ROW, 0, out=out)
    assert str(error.value) == f"out must be a float32 NumPy array, got {got}"


@pytest.mark.parametrize(
    ("logits", "out", "message"),
    [
        (ROW, np.zeros(32, np.float32), "out must have the shape of logits (33,), got (32,)"),
        (ROW, np.zeros((1, 33), np.float32), "out must have the shape of logits (33,), got (1, 33)"),
        (BATCH, np.zeros((33, 6), np.float32), "out must have the shape of logits (6, 33), got (33, 6)"),
        (BATCH, np.zeros((), np.float32), "out must have the shape of logits (6, 33), got ()"),
        (BATCH[:1], np.zeros(33, np.float32), "out must have the shape of logits (1, 33), got (33,)"),
    ],
)
def test_out_of_another_shape_is_named(api, logits, out, message):
    with pytest.raises(KnobError) as error:
        api.top_k(logits, 0, out=out)
    assert str(error.value) == message
    assert (error.value.argument, error.value.value) == ("out", out.shape)


def test_a_read_only_out_is_refused(api):
    out = np.zeros_like(ROW)
    out.flags.writeable = False
    for logits in (ROW, out):
        with pytest.raises(KnobError) as error:
            api.top_k(logits, 0, out=out)
        assert str(error.value) == "out must be writeable, got a read-only array"
        assert (error.value.argument, error.value.value) == ("out", "a read-only array")


def test_an_overlapping_out_is_refused(api):
    memory = np.zeros(200, np.float32)
    square = np.zeros((5, 5), np.float32)
    wide = np.zeros(40)
    pairs = [
        (memory[:100], memory[1:101]),
        (memory[:100], memory[99::-1]),
        (memory[:99:3], memory[:66:2]),
        (memory[:100].reshape(2, 50), memory[25:125].reshape(2, 50)),
        (square, square.T),
        (wide[:20], wide.view(np.float32)[:20]),
        (memory.view(np.float16)[:100], memory[:100]),
        (memory.astype(">f4"), None),
    ]
    for logits, out in pairs:
        if out is None:
            out = logits.view("<f4")  # the same memory, other numbers
        before = out.copy()
        with pytest.raises(KnobError) as error:
            api.top_k(logits, 0, out=out)
        assert str(error.value) == "out must be logits itself or not overlap it, got an overlapping array"
        assert (error.value.argument, error.value.value) == ("out", "an overlapping array")
        np.testing.assert_array_equal(out, before)


def test_references_to_out_are_given_back(api):
    x, out, short = BATCH.copy(), np.empty_like(BATCH), np.empty(3, np.float32)
    strided = np.empty((6, 66), np.float32)[:, ::2]
    before = [sys.getrefcount(a) for a in (x, out, short, strided)]
    for _ in range(2_500):
        api.top_k(x, 0, out=out)
        api.top_k(x, 0, out=x)
        api.top_k(x, 0, out=strided)
        with pytest.raises(KnobError):
            api.top_k(x, 0, out=short)
    assert [sys.getrefcount(a) for a in (x, out, short, strided)] == before


def test_threads_that_share_an_array_get_results_or_a_value_error():
    x = np.zeros((16, 1 << 15), np.float32)
    failures = []

    def work(out):
        for _ in range(50):
            try:
                rheostat.top_k(x, 0, out=out)
            except BaseException as error:
                if type(error) is not KnobError or "in use" not in str(error):
                    failures.append(error)

    threads = [threading.Thread(target=work, args=(out,)) for out in (x, np.empty_like(x), None, x)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert rheostat.top_k(x, 0, out=x) is x  # nothing stays borrowed
