"""The published vectors, as they are and re-cut."""

import itertools
import json
from pathlib import Path

import pytest

VECTORS = json.loads((Path(__file__).parent / "data" / "stop_vectors.json").read_text())
vectors = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])


def plain(value):
    """Bytes are written {"hex": ...}."""
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value


def start(api, vector):
    stops = [plain(stop) for stop in vector["stops"]]
    knobs = {"tie": vector["tie"], "include": vector["include"]}
    return api.StopSet(stops, kind=vector["kind"], **knobs).matcher()


def joined(vector, parts):
    """Pieces or outputs of the vector's kind, one after the other."""
    if vector["kind"] == "tokens":
        return [id for part in parts for id in part]
    return ("" if vector["kind"] == "text" else b"").join(parts)


def stream(vector):
    """The symbols of all pieces, and how many of them are fed unarmed."""
    pieces = [plain(piece) for piece in vector["chunks"]]
    if vector["kind"] == "tokens":
        unarmed = vector["armed_from"]
        return joined(vector, pieces), len(joined(vector, pieces[:unarmed]))
    pieces = [piece.encode() if isinstance(piece, str) else piece for piece in pieces]
    return b"".join(pieces), len(b"".join(pieces[: vector["armed_from"]]))


def assert_finish(matcher, vector, discarded=None):
    finish, hit = vector["finish"], matcher.hit
    if finish is None:
        assert hit is None
        return
    assert (hit.index, hit.start, hit.end) == (finish["stop"], finish["start"], finish["end"])
    assert hit.discarded == (finish["discarded"] if discarded is None else discarded)
    stop = plain(vector["stops"][hit.index])
    assert hit.stop == (tuple(stop) if vector["kind"] == "tokens" else stop)


@vectors
def test_vector(api, vector):
    matcher = start(api, vector)
    pieces = [plain(piece) for piece in vector["chunks"]]
    emitted = [plain(output) for output in vector["emitted"]]
    for number, expected in enumerate(emitted):
        assert matcher.hit is None
        assert matcher.feed(pieces[number], armed=number >= vector["armed_from"]) == expected
    assert_finish(matcher, vector)
    assert (matcher.hit is not None) or len(emitted) == len(pieces)
    if vector["held"] is not None:
        assert matcher.held == plain(vector["held"])
    for piece in pieces if matcher.hit else []:
        assert matcher.feed(piece) == joined(vector, [])
    assert matcher.flush() == plain(vector["flush"])
    assert matcher.flush() == joined(vector, [])


@vectors
def test_vector_in_one_call(api, vector):
    pieces = [plain(piece) for piece in vector["chunks"]]
    matcher = start(api, vector)
    emitted = [plain(output) for output in vector["emitted"]]
    found = matcher.feed_many(pieces, armed_from=vector["armed_from"])
    assert found == (joined(vector, emitted), len(emitted))
    assert_finish(matcher, vector)


def expected_output(vector):
    return joined(vector, [plain(output) for output in [*vector["emitted"], vector["flush"]]])


@vectors
def test_vector_cut_into_single_symbols(api, vector):
    symbols, unarmed = stream(vector)
    matcher, output = start(api, vector), joined(vector, [])
    for at in range(len(symbols)):
        output += matcher.feed(symbols[at : at + 1], armed=at >= unarmed)
    assert_finish(matcher, vector, discarded=0)
    assert output + matcher.flush() == expected_output(vector)


@vectors
def test_vector_cut_in_two_everywhere(api, vector):
    """What is unarmed stays a piece of its own: arming is by pieces."""
    symbols, unarmed = stream(vector)
    for cut in range(len(symbols) + 1):
        places = sorted({0, unarmed, cut, len(symbols)})
        matcher, output = start(api, vector), joined(vector, [])
        discarded = 0
        for begin, end in itertools.pairwise(places):
            output += matcher.feed(symbols[begin:end], armed=begin >= unarmed)
            if matcher.hit and begin < matcher.hit.end:
                discarded = end - matcher.hit.end
        assert_finish(matcher, vector, discarded)
        assert output + matcher.flush() == expected_output(vector)
