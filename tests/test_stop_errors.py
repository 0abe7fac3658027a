"""Every error of the stop classes: one sentence, the same in both implementations."""

import pickle
import threading

import numpy as np
import pytest
import rheostat
from hypothesis import given
from hypothesis import strategies as st
from rheostat import KnobError
from stop_cases import checked

MIB = 1 << 20

CONSTRUCTION = [
    ("empty text", [["a", "b", ""]], {}, KnobError, "stops[2] must not be empty, got ''"),
    ("empty bytes", [[b""]], {}, KnobError, "stops[0] must not be empty, got b''"),
    ("empty ids", [[3, []]], {}, KnobError, "stops[1] must not be empty, got []"),
    ("a bare str", ["STOP"], {}, TypeError, "stops must be a sequence of stops, got 'STOP'"),
    ("none", [None], {}, TypeError, "stops must be a sequence of stops, got None"),
    ("a set", [{"a"}], {}, TypeError, "stops must be a sequence of stops, got {'a'}"),
    ("a dict", [{"a": 1}], {}, TypeError, "stops must be a sequence of stops, got {'a': 1}"),
    ("mixed", [["a", b"b"]], {}, TypeError, "stops[1] must be str for kind 'text', got b'b'"),
    ("mixed bytes", [[b"a", "b"]], {}, TypeError, "stops[1] must be bytes for kind 'bytes', got 'b'"),
    (
        "mixed ids",
        [[1, "b"]],
        {},
        TypeError,
        "stops[1] must be a token id or a sequence of token ids for kind 'tokens', got 'b'",
    ),
    (
        "no stop at all",
        [[1.5]],
        {},
        TypeError,
        "stops[0] must be str, bytes, a token id or a sequence of token ids, got 1.5",
    ),
    ("str in ids", [[[1, "b"]]], {}, TypeError, "stops[0][1] must be a token id, got 'b'"),
    (
        "surrogate",
        [["a", "x\ud800"]],
        {},
        KnobError,
        "stops[1] must not hold a lone surrogate, got 'x\\ud800'",
    ),
    ("negative", [[-1]], {}, KnobError, "stops[0] must be a token id in [0, 4294967295], got -1"),
    (
        "too large",
        [[1, [2, 2**32]]],
        {},
        KnobError,
        "stops[1][1] must be a token id in [0, 4294967295], got 4294967296",
    ),
    ("bool", [[True]], {}, KnobError, "stops[0] must be a token id in [0, 4294967295], got True"),
    ("kind", [[]], {"kind": "str"}, KnobError, "kind must be 'text', 'bytes' or 'tokens', got 'str'"),
    ("kind type", [[]], {"kind": 3}, TypeError, "kind must be 'text', 'bytes' or 'tokens', got 3"),
    (
        "kind of others",
        [["a"]],
        {"kind": "bytes"},
        TypeError,
        "stops[0] must be bytes for kind 'bytes', got 'a'",
    ),
    ("tie", [["a"]], {"tie": "last"}, KnobError, "tie must be 'first' or 'longest', got 'last'"),
    ("tie type", [["a"]], {"tie": None}, TypeError, "tie must be 'first' or 'longest', got None"),
    ("include", [["a"]], {"include": 1}, TypeError, "include must be a bool, got 1"),
    (
        "too long",
        [["a" * MIB, "b"]],
        {},
        KnobError,
        "stops must hold at most 1048576 symbols in all, got 1048577",
    ),
]

PIECES = [
    (["a"], 3, TypeError, "must be str or bytes for kind 'text', got 3"),
    (["a"], bytearray(b"a"), TypeError, "must be str or bytes for kind 'text', got bytearray(b'a')"),
    (["a"], "\udc80", KnobError, "must not hold a lone surrogate, got '\\udc80'"),
    ([b"a"], "a", TypeError, "must be bytes for kind 'bytes', got 'a'"),
    ([1], "a", TypeError, "must be a token id or a sequence of token ids for kind 'tokens', got 'a'"),
    ([1], b"a", TypeError, "must be a token id or a sequence of token ids for kind 'tokens', got b'a'"),
    ([1], 1.0, TypeError, "must be a token id or a sequence of token ids for kind 'tokens', got 1.0"),
    ([1], -7, KnobError, "must be a token id in [0, 4294967295], got -7"),
    ([1], 10**30, KnobError, f"must be a token id in [0, 4294967295], got {10**30}"),
    ([1], False, KnobError, "must be a token id in [0, 4294967295], got False"),
]


def caught(kind, call, /, *args, **knobs):
    """The message; the type is exactly the one expected."""
    with pytest.raises(kind) as found:
        call(*args, **knobs)
    assert type(found.value) is kind
    return str(found.value)


@pytest.mark.parametrize(
    ("arguments", "knobs", "kind", "message"),
    [case[1:] for case in CONSTRUCTION],
    ids=[case[0] for case in CONSTRUCTION],
)
def test_a_wrong_stop_set_is_refused_in_one_sentence(api, arguments, knobs, kind, message):
    assert caught(kind, api.StopSet, *arguments, **knobs) == message


@pytest.mark.parametrize(("stops", "piece", "kind", "rule"), PIECES)
def test_a_wrong_piece_is_refused_and_changes_nothing(api, stops, piece, kind, rule):
    stop_set = api.StopSet(stops)
    matcher, batch = stop_set.matcher(), stop_set.batch(2)
    good = {"text": "b", "bytes": b"b", "tokens": 2}[stop_set.kind]
    before = matcher.__getstate__()
    assert caught(kind, matcher.feed, piece) == f"piece {rule}"
    assert caught(kind, matcher.feed_many, [good, piece]) == f"pieces[1] {rule}"
    assert caught(kind, batch.feed, [good, piece]) == f"pieces[1] {rule}"
    assert caught(kind, stop_set.find, piece) == f"whole {rule}"
    assert matcher.__getstate__() == before


def test_an_error_names_its_argument_and_value(api):
    with pytest.raises(KnobError) as found:
        api.StopSet(["a", ""])
    assert (found.value.argument, found.value.value) == ("stops", "")
    with pytest.raises(KnobError) as found:
        api.StopSet([1]).matcher().feed([1, -5])
    assert (found.value.argument, found.value.value) == ("piece", -5)
    assert str(found.value) == "piece[1] must be a token id in [0, 4294967295], got -5"
    with pytest.raises(KnobError) as found:
        api.StopSet([1]).matcher().feed_many([1, [1, -5]])
    assert str(found.value) == "pieces[1][1] must be a token id in [0, 4294967295], got -5"


def test_stops_of_a_mebibyte_in_all_are_allowed():
    stops = rheostat.StopSet(["a" * (MIB - 1), "b"])
    assert stops.max_len == MIB - 1
    assert stops.find("x" + "a" * MIB).start == 1


def test_disarming_is_refused_and_changes_nothing(api):
    matcher = api.StopSet(["ab"]).matcher()
    matcher.feed("a")
    before, message = matcher.__getstate__(), "armed must stay True once it was True, got False"
    assert caught(KnobError, matcher.feed, "b", armed=False) == message
    assert caught(KnobError, matcher.feed_many, ["x", "b"], 1) == message
    assert matcher.__getstate__() == before
    batch = api.StopSet(["ab"]).batch(3)
    batch.feed(["a", "a", "a"], armed=[False, True, True])
    assert caught(KnobError, batch.feed, ["b", "b", "b"], armed=False) == f"{message} for row 1"
    assert batch.hits.tolist() == [-1, -1, -1]
    assert batch.feed(["b"], rows=[0]) == [""]


def test_feeding_after_flush_is_refused_until_reset(api):
    matcher = api.StopSet(["ab"]).matcher()
    matcher.flush()
    message = "feed must not follow flush without a reset"
    assert caught(ValueError, matcher.feed, "") == message
    assert caught(ValueError, matcher.feed_many, []) == message
    matcher.reset()
    assert matcher.feed("x") == "x"
    batch = api.StopSet(["ab"]).batch(2)
    batch.flush([1])
    assert caught(ValueError, batch.feed, ["a", "a"]) == f"{message} for row 1"
    batch.reset([1])
    assert batch.feed(["x", "y"]) == ["x", "y"]


def test_wrong_flags_and_counts_are_refused(api):
    matcher = api.StopSet(["ab"]).matcher()
    assert caught(TypeError, matcher.feed, "a", 1) == "armed must be a bool, got 1"
    assert caught(TypeError, matcher.feed, "a", armed=None) == "armed must be a bool, got None"
    assert matcher.feed("a", np.bool_(True)) == ""
    many = matcher.feed_many
    assert caught(TypeError, many, "ab") == "pieces must be a sequence of pieces, got 'ab'"
    assert caught(KnobError, many, ["b"], -1) == "armed_from must be >= 0, got -1"
    assert caught(TypeError, many, ["b"], 0.5) == "armed_from must be an int, got 0.5"
    assert caught(TypeError, many, ["b"], True) == "armed_from must be an int, got True"
    fresh = api.StopSet(["ab"]).matcher()
    assert fresh.feed_many(["ab"], armed_from=10**30) == ("ab", 1)
    assert caught(TypeError, api.StopMatcher, ["ab"]) == "stop_set must be a StopSet, got ['ab']"


def test_a_wrong_batch_is_refused(api):
    text, other = api.StopSet(["a"]), api.StopSet([b"a"])
    batch = api.StopBatch
    assert caught(TypeError, batch, text, 2.0) == "n must be an int, got 2.0"
    assert caught(TypeError, batch, text, True) == "n must be an int, got True"
    assert caught(KnobError, batch, text, -1) == "n must be in [0, 1048576], got -1"
    assert caught(KnobError, batch, text, 2**70) == f"n must be in [0, 1048576], got {2**70}"
    assert caught(KnobError, batch, [text], 2) == "stop_set must have one entry per row, 2, got 1"
    assert caught(TypeError, batch, [text, "a"], 2) == "stop_set[1] must be a StopSet, got 'a'"
    assert caught(TypeError, batch, "a", 2) == "stop_set must be a StopSet or a sequence of StopSets, got 'a'"
    message = "stop_set[1] must be of kind 'text' like stop_set[0], got kind 'bytes'"
    assert caught(TypeError, batch, [text, other], 2) == message


def test_wrong_rows_are_refused(api):
    batch = api.StopSet(["a"]).batch(3)
    table = api.TokenTable.from_bytes([b"b"])
    feed, ids = batch.feed, batch.feed_ids
    assert caught(TypeError, feed, "abc") == "pieces must be a sequence of pieces, got 'abc'"
    assert caught(KnobError, feed, ["b"]) == "pieces must have one entry per row, 3, got 1"
    assert caught(KnobError, feed, ["b"], [3]) == "rows[0] must be in [0, 3), got 3"
    assert caught(KnobError, feed, ["b"], np.array([-1])) == "rows[0] must be in [0, 3), got -1"
    assert caught(TypeError, feed, ["b"], ["0"]) == "rows[0] must be an int, got '0'"
    assert caught(TypeError, feed, ["b"], [True]) == "rows[0] must be an int, got True"
    assert caught(TypeError, feed, ["b"], 0) == "rows must be a sequence of ints, got 0"
    assert caught(TypeError, feed, ["b"], [0], 1) == "armed must be a bool or a sequence of bools, got 1"
    assert caught(TypeError, feed, ["b"], [0], [1]) == "armed[0] must be a bool, got 1"
    message = "armed must have one entry per row, 1, got 2"
    assert caught(KnobError, feed, ["b"], [0], [True, False]) == message
    assert caught(KnobError, ids, [0, 0, 1], table) == "ids[2] must be in [0, 1), got 1"
    assert caught(KnobError, ids, np.array([0, 2, 1]), table) == "ids[1] must be in [0, 1), got 2"
    assert (
        caught(KnobError, ids, np.array([0], np.int32), table) == "ids must have one entry per row, 3, got 1"
    )
    assert caught(TypeError, ids, [0], [b"b"]) == "table must be a TokenTable, got [b'b']"
    message = "feed_ids must have stops of kind 'text' or 'bytes', got kind 'tokens'"
    assert caught(TypeError, api.StopSet([1]).batch(1).feed_ids, [0], table) == message
    assert caught(KnobError, batch.reorder, [0, 1]) == "index must have one entry per row, 3, got 2"
    assert caught(KnobError, batch.reorder, [0, 1, 7]) == "index[2] must be in [0, 3), got 7"
    assert caught(KnobError, batch.flush, [5]) == "rows[0] must be in [0, 3), got 5"
    assert caught(KnobError, batch.reset, [5]) == "rows[0] must be in [0, 3), got 5"
    assert batch.feed(["b", "b", "b"]) == ["b", "b", "b"]


def test_a_wrong_token_table_is_refused(api):
    make = api.TokenTable.from_bytes
    assert caught(TypeError, make, 3) == "tokens must be a sequence of bytes or None, got 3"
    assert caught(TypeError, make, [b"a", "b"]) == "tokens[1] must be bytes or None, got 'b'"
    table = make([b"a"])
    assert caught(IndexError, table.__getitem__, 1) == "id must be in [0, 1), got 1"
    assert caught(IndexError, table.__getitem__, -1) == "id must be in [0, 1), got -1"
    assert caught(IndexError, table.__getitem__, 2**70) == f"id must be in [0, 1), got {2**70}"
    assert caught(TypeError, table.__getitem__, "a") == "id must be an int, got 'a'"
    assert caught(TypeError, api.TokenTable) == "cannot create 'rheostat.TokenTable' instances"


def test_a_state_of_another_stop_set_or_version_is_refused(api):
    matcher = api.StopSet(["ab"]).matcher()
    matcher.feed("xa")
    state, restore = matcher.__getstate__(), matcher.__setstate__
    for other in (["ac"], [b"ab"], ["ab", "ab"]):
        foreign = api.StopSet(other).matcher().__getstate__()
        assert (
            caught(KnobError, restore, foreign) == f"state must come from an equal stop set, got {foreign[1]}"
        )
    assert caught(KnobError, restore, (2, "new")) == "state must be of version 1, got 2"
    assert matcher.__getstate__() == state


STATES = {
    "no tuple": lambda s: [*s],
    "empty": lambda s: (),
    "short": lambda s: s[:-1],
    "version as bool": lambda s: (True, *s[1:]),
    "version as text": lambda s: ("1", *s[1:]),
    "phase": lambda s: (*s[:2], "asleep", *s[3:]),
    "phase type": lambda s: (*s[:2], 1, *s[3:]),
    "hit without a stop": lambda s: (*s[:2], "hit", *s[3:]),
    "flushed with a state": lambda s: (*s[:2], "flushed", *s[3:]),
    "no such stop": lambda s: (*s[:3], 9, *s[4:]),
    "negative stop": lambda s: (*s[:3], -1, *s[4:]),
    "too deep": lambda s: (*s[:4], 99, *s[5:]),
    "stop at the root": lambda s: (*s[:3], 1, 0, b"", 5, 5, None),
    "whole character waits": lambda s: (*s[:5], b"a", *s[6:]),
    "ill-formed bytes wait": lambda s: (*s[:5], b"\xff", *s[6:]),
    "four bytes wait": lambda s: (*s[:5], b"\xf0\x9f\xab\xa0", *s[6:]),
    "text waits": lambda s: (*s[:5], "", *s[6:]),
    "waiting bytes that were not given out": lambda s: (*s[:3], 0, 3, b"\xe2", 3, 0, None),
    "less fed than the state is deep": lambda s: (*s[:6], 1, *s[7:]),
    "fed beyond counting": lambda s: (*s[:6], 2**63, 2**63 - 2, None),
    "emitted more": lambda s: (*s[:7], s[7] + 1, None),
    "emitted as float": lambda s: (*s[:7], float(s[7]), None),
    "hit while armed": lambda s: (*s[:8], (0, 0)),
    "hit of no stop": lambda s: (*s[:2], "hit", 0, 0, b"", 9, 6, (7, 0)),
    "hit before there was room": lambda s: (*s[:2], "hit", 0, 0, b"", 2, 0, (0, 0)),
    "hit at the wrong place": lambda s: (*s[:2], "hit", 0, 0, b"", 9, 7, (0, 0)),
    "hit that discards too much": lambda s: (*s[:2], "hit", 0, 0, b"", 9, 6, (0, 2**64)),
    "hit as list": lambda s: (*s[:2], "hit", 0, 0, b"", 9, 6, [0, 0]),
}


@pytest.mark.parametrize("name", STATES)
def test_a_malformed_state_is_refused_and_changes_nothing(api, name):
    matcher = api.StopSet(["abc", "b\u00e9"]).matcher()
    matcher.feed("xab")
    good = matcher.__getstate__()
    state = STATES[name](good)
    message = f"state must be one that StopMatcher.__getstate__ gave, got {state!r}"
    assert caught(KnobError, matcher.__setstate__, state) == message
    assert matcher.__getstate__() == good


ODD = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        1,
        2,
        3,
        9,
        2**31,
        2**63,
        2**64,
        1.5,
        "armed",
        "hit",
        "x",
        b"",
        b"\xe2",
        b"a",
        (0, 0),
        (1, 2),
    ]
)


@checked
@given(changes=st.dictionaries(st.integers(2, 8), ODD, min_size=1), text=st.text("abc\u20ac", max_size=5))
def test_any_state_is_either_refused_by_both_or_understood_alike(changes, text):
    answers = []
    for api in (rheostat, rheostat.reference):
        matcher = api.StopSet(["abc", "b\u20ac"]).matcher()
        matcher.feed(text.encode()[:-1])
        state = [*matcher.__getstate__()]
        for place, value in changes.items():
            state[place] = value
        try:
            matcher.__setstate__(tuple(state))
            outputs = [matcher.feed(letter) for letter in "abcab"] if state[2] != "flushed" else []
            answers.append((outputs, matcher.flush(), matcher.__getstate__()))
        except ValueError as error:
            answers.append((type(error), str(error)))
    assert answers[0] == answers[1]


@checked
@given(at=st.integers(0, 400), byte=st.integers(0, 255))
def test_a_damaged_pickle_never_crashes(api, at, byte):
    """Whatever pickle itself makes of it; a stop set or state that arrives is checked as any other."""
    matcher = api.StopSet(["abc"]).matcher()
    matcher.feed("xab")
    state = bytearray(pickle.dumps(matcher.__getstate__()))
    state[at % len(state)] = byte
    try:
        loaded = pickle.loads(bytes(state))
    except Exception:
        return
    try:
        matcher.__setstate__(loaded)
    except ValueError:
        assert matcher.fed == 3
    assert isinstance(matcher.feed("c") if matcher.__getstate__()[2] != "flushed" else "", str)


def test_threads_that_share_a_matcher_lose_nothing():
    matcher = rheostat.StopSet(["\u00e9\u00e9\u00e9"]).matcher()
    outputs = [[] for _ in range(4)]

    def work(mine):
        mine.extend(matcher.feed("\u00e9!") for _ in range(5000))

    threads = [threading.Thread(target=work, args=(mine,)) for mine in outputs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    text = "".join(piece for mine in outputs for piece in mine) + matcher.flush()
    assert (len(text), matcher.fed, matcher.emitted) == (40000, 60000, 60000)
