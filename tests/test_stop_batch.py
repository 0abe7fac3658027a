"""A batch is its rows: each behaves as a matcher of its own."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import rheostat
from hypothesis import given
from hypothesis import strategies as st
from stop_cases import cases, checked


@checked
@given(case=cases(), data=st.data())
def test_rows_equal_single_matchers(api, case, data):
    """Rows in any order and number, armed row by row, reordered, reset and flushed at random."""
    sets = [case.stop_set(api), api.StopSet([case.symbols("ab")]), api.StopSet([], kind=case.kind)]
    rows = len(sets)
    batch, singles = api.StopBatch(sets, rows), [stops.matcher() for stops in sets]
    armed_yet = [False] * rows
    for piece in case.pieces:
        some = data.draw(st.lists(st.integers(0, rows - 1), max_size=rows, unique=True))
        armed = [armed_yet[row] or data.draw(st.booleans()) for row in some]
        fed = [case.symbols(piece + case.alphabet[row % 2]) for row in some]
        expected = [singles[row].feed(*args) for row, *args in zip(some, fed, armed, strict=True)]
        assert batch.feed(fed, rows=some, armed=armed) == expected
        for row, flag in zip(some, armed, strict=True):
            armed_yet[row] = flag
        match data.draw(st.sampled_from(["nothing", "reorder", "reset"])):
            case "reorder":
                index = data.draw(st.lists(st.integers(0, rows - 1), min_size=rows, max_size=rows))
                batch.reorder(index)
                singles = [singles[row].clone() for row in index]
                armed_yet = [armed_yet[row] for row in index]
            case "reset":
                batch.reset([1])
                singles[1].reset()
                armed_yet[1] = False
        hits = [matcher.hit for matcher in singles]
        assert batch.hits.tolist() == [hit.index if hit else -1 for hit in hits]
        assert batch.ends.tolist() == [hit.end if hit else -1 for hit in hits]
    assert batch.flush([2, 0]) == [singles[2].flush(), singles[0].flush()]
    assert batch.flush() == [matcher.flush() for matcher in singles]


def test_feed_ids_feeds_the_bytes_of_the_tokens(api):
    tokens = [b"caf\xc3", b"\xa9", None, b"STOP", b"", b"ST"]
    table = api.TokenTable.from_bytes(tokens)
    assert (len(table), list(table)) == (6, tokens)
    for ids in ([0, 5, 2], np.array([0, 5, 2]), np.array([0, 5, 2], np.int32), (0, 5, 2)):
        batch = api.StopSet(["STOP"]).batch(3)
        assert batch.feed_ids(ids, table) == ["caf", "", ""]
        assert batch.feed_ids([1, 4, 3], table) == ["\u00e9", "", ""]
        assert batch.hits.tolist() == [-1, -1, 0]
        assert batch.feed_ids([1], table, rows=[1], armed=True) == ["ST\ufffd"]
        assert batch.flush() == ["", "", ""]


def test_hits_and_ends_are_arrays_of_their_own(api):
    batch = api.StopSet(["a", "bb"]).batch(3)
    batch.feed(["xa", "b", "xbby"])
    hits, ends = batch.hits, batch.ends
    assert (hits.dtype, ends.dtype, hits.tolist(), ends.tolist()) == (
        np.int32,
        np.int64,
        [0, -1, 1],
        [2, -1, 3],
    )
    hits[:] = 7
    assert batch.hits.tolist() == [0, -1, 1]


def test_a_row_may_be_fed_twice_in_a_call(api):
    batch = api.StopSet(["ab"]).batch(1)
    assert batch.feed(["xa", "b"], rows=[0, 0]) == ["x", ""]
    assert batch.hits.tolist() == [0]


def test_a_failing_call_changes_no_row(api):
    batch = api.StopSet(["ab"]).batch(2)
    batch.feed(["", ""], armed=[False, True])
    try:
        batch.feed(["ab", "ab"], armed=False)
    except ValueError:
        assert batch.hits.tolist() == [-1, -1]
    assert batch.feed(["ab", "b"]) == ["", "b"]


def test_stop_sets_move_with_their_rows(api):
    batch = api.StopBatch([api.StopSet(["a"]), api.StopSet(["b"])], 2)
    batch.reorder([1, 0])
    assert batch.feed(["ab", "ab"]) == ["a", ""]
    assert batch.hits.tolist() == [0, 0]


def test_batches_of_ids_and_of_nothing(api):
    batch = api.StopSet([[1, 2], 3]).batch(2)
    assert batch.feed([1, [5, 3]]) == [[], [5]]
    assert batch.flush() == [[1], []]
    empty = api.StopSet(["a"]).batch(0)
    assert (len(empty), empty.feed([]), empty.hits.tolist()) == (0, [], [])
    assert len(api.StopBatch([], 0)) == 0


def test_a_piece_that_is_safe_is_given_back_as_it_came():
    """The very str, and for a token's id the one str that stands for its text: no text is made twice."""
    batch = rheostat.StopSet(["END"]).batch(2)
    piece = "".join(["ordi", "nary"])
    assert batch.feed([piece, "E"])[0] is piece
    table = rheostat.TokenTable.from_bytes(["caf\u00e9".encode(), b"\xc3", b"", None])
    first, again = (batch.feed_ids([0], table, rows=[0])[0] for _ in range(2))
    assert first == "caf\u00e9"
    assert first is again
    given = [batch.feed_ids([id], table, rows=[0]) for id in (1, 0, 2, 3)]
    assert given == [[""], ["\ufffdcaf\u00e9"], [""], [""]]
    as_bytes = rheostat.StopSet([b"END"]).batch(1)
    assert [as_bytes.feed_ids([id], table) for id in (0, 1)] == [["caf\u00e9".encode()], [b"\xc3"]]


def test_threads_share_a_batch_and_a_fresh_table():
    """The str of a token is made outside of the batch's lock: nobody waits for it and the interpreter."""
    tokens = [f"token {id}".encode() for id in range(200)]
    batch = rheostat.StopSet(["END"]).batch(4)
    table = rheostat.TokenTable.from_bytes(tokens)
    start = threading.Barrier(4)

    def feed(row):
        start.wait()
        return [batch.feed_ids([id], table, rows=[row])[0] for id in range(200)]

    with ThreadPoolExecutor(4) as pool:
        for given in pool.map(feed, range(4)):
            assert given == [token.decode() for token in tokens]
