"""Text comes out as Python's own incremental decoder gives it, however it is cut."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stop_cases import checked

NASTY = [
    "h\u00e9llo \u20ac \U0001fae0".encode(),
    b"\xf0\x9f\xab\xa0\xf0\x9f\xab",  # whole, then cut off
    b"\xc0\xaf\xc1\xbf",  # overlong, two bytes
    b"\xe0\x80\xaf\xe0\x9f\xbf\xe0\xa0\x80",  # overlong, three; the last is the least allowed
    b"\xf0\x80\x80\xaf\xf0\x8f\xbf\xbf\xf0\x90\x80\x80",  # overlong, four
    b"\xed\xa0\x80\xed\xbf\xbf\xed\x9f\xbf",  # surrogates, then the last before them
    b"\xf4\x90\x80\x80\xf4\x8f\xbf\xbf",  # above U+10FFFF, then that itself
    b"\xf5\x80\x80\x80\xff\xfe\x80\xbf",  # never in UTF-8
    b"\xe2\x82a\xe2\x82\xe2\x82\xac",  # truncated by a letter, and by another beginning
    b"\xf0\x9f\xf0\x9f\xab\xf0\x9f\xab\xa0",
    b"\xc3\xc3\xa9\xc3",
    b"\xe2\x28\xa1\xf0\x28\x8c\xbc\xf0\x90\x28\xbc",
]


def decoded(pieces):
    """What Python gives for each piece, and at the end."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    return [decoder.decode(piece) for piece in pieces], decoder.decode(b"", final=True)


def assert_as_python(api, pieces):
    matcher = api.StopSet([]).matcher()
    outputs, rest = decoded(pieces)
    assert [matcher.feed(piece) for piece in pieces] == outputs
    assert matcher.held == b""
    assert matcher.clone().flush() == rest
    assert matcher.flush() == rest


@pytest.mark.parametrize("data", NASTY, ids=bytes.hex)
def test_nasty_bytes_at_all_cuts(api, data):
    for first in range(len(data) + 1):
        for second in range(first, len(data) + 1):
            assert_as_python(api, [data[:first], data[first:second], data[second:]])
    assert_as_python(api, [data[i : i + 1] for i in range(len(data))])


BYTE = st.sampled_from(
    [0x41, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC2, 0xE0, 0xE2, 0xED, 0xEF, 0xF0, 0xF4, 0xF5]
)


@checked
@given(pieces=st.lists(st.lists(BYTE | st.integers(0, 255), max_size=4).map(bytes), max_size=6))
def test_random_bytes(api, pieces):
    assert_as_python(api, pieces)


@checked
@given(
    pieces=st.lists(st.lists(BYTE, max_size=5).map(bytes), max_size=6),
    stop=st.sampled_from(["\u20ac", "A", "\u00a0A", "\ufffd"]),
    include=st.booleans(),
)
def test_with_a_stop_the_text_is_that_of_the_released_bytes(api, pieces, stop, include):
    """A stop matches on the raw bytes, so a replacement character never is one."""
    data, wanted = b"".join(pieces), stop.encode()
    start = data.find(wanted)
    matcher = api.StopSet([stop], include=include).matcher()
    text = "".join([matcher.feed(piece) for piece in pieces]) + matcher.flush()
    released = data if start < 0 else data[: start + len(wanted) if include else start]
    assert text == released.decode("utf-8", "replace")
    assert (matcher.hit and matcher.hit.start) == (None if start < 0 else start)


def test_a_stop_that_is_the_replacement_character_matches_only_itself(api):
    matcher = api.StopSet(["\ufffd"]).matcher()
    assert matcher.feed(b"a\xffb\xef\xbf") == "a\ufffdb"
    assert matcher.held == b"\xef\xbf"
    assert matcher.feed(b"\xbd!") == ""
    assert matcher.hit[:4] == (0, "\ufffd", 3, 6)


def test_an_unfinished_character_is_emitted_but_not_held(api):
    matcher = api.StopSet(["STOP"]).matcher()
    assert matcher.feed(b"x\xe2\x82") == "x"
    assert (matcher.held, matcher.fed, matcher.emitted) == (b"", 3, 3)
    assert matcher.feed(b"\xacST") == "\u20ac"
    assert (matcher.held, matcher.fed, matcher.emitted) == (b"ST", 6, 4)
