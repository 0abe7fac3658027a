"""`check_stops` finds planted faults and names their cause; a right matcher passes."""

import json
from pathlib import Path

import pytest
import rheostat
from rheostat import KnobError
from rheostat.testing import check_stops
from rheostat.testing.stops_check import CAUSES
from rheostat.testing.stops_streams import streams

VECTORS = json.loads((Path(__file__).parent / "data" / "stop_vectors.json").read_text())


def over(matcher, pieces):
    shown = []
    for piece in pieces:
        shown.append(matcher.feed(piece))
        if matcher.hit is not None:
            return shown, True
    return [*shown, matcher.flush()], False


def right(stops, pieces, api=rheostat, **knobs):
    return over(api.StopSet(stops, kind="text", **knobs).matcher(), pieces)


@pytest.mark.parametrize("tie", ["first", "longest"])
@pytest.mark.parametrize("include", [False, True])
def test_a_right_matcher_passes(api, tie, include):
    def fn(stops, pieces):
        return right(stops, pieces, api, tie=tie, include=include)

    report = check_stops(fn, tie=tie, include=include)
    assert report.ok, str(report)
    assert str(report) == f"All {report.streams} streams agree."
    assert report.streams == len(streams()) >= 400


def test_the_published_vectors_of_text_are_what_is_checked_against():
    chosen = [
        v for v in VECTORS
        if v["kind"] == "text" and v["armed_from"] == 0 and all(isinstance(p, str) for p in v["chunks"])
    ]  # fmt: skip
    assert len(chosen) > 20
    for vector in chosen:
        found = []

        def fn(stops, pieces, vector=vector, found=found):
            shown = [*vector["emitted"], *([] if vector["finish"] else [vector["flush"]])]
            found.append(shown)
            return list(shown), vector["finish"] is not None

        pair = (vector["stops"], vector["chunks"])
        report = check_stops(fn, tie=vector["tie"], include=vector["include"], streams=[pair])
        assert report.ok, (vector["name"], str(report))
        assert found


# Planted faults.


def within_pieces(stops, pieces):
    """Sees a stop in one piece only."""
    shown = []
    for piece in pieces:
        found = [piece.find(stop) for stop in stops if stop in piece]
        shown.append(piece[: min(found)] if found else piece)
        if found:
            return shown, True
    return [*shown, ""], False


def one_piece_late(stops, pieces):
    """Looks at a piece when the next one comes."""
    matcher = rheostat.StopSet(stops, kind="text").matcher()
    shown = []
    for before in ["", *pieces[:-1]]:
        shown.append(matcher.feed(before))
        if matcher.hit is not None:
            return shown, True
    last = matcher.feed(pieces[-1])
    return [*shown, last + ("" if matcher.hit else matcher.flush())], False


def on_a_first_letter(stops, pieces):
    """Stops where a stop begins."""
    return right([stop[:1] for stop in stops], pieces)


def holds_the_longest(stops, pieces):
    """Holds back as much as the longest stop is long, whatever it says."""
    longest = max(map(len, stops), default=1) - 1
    text, given, shown = "", 0, []
    for piece in pieces:
        text += piece
        hit = rheostat.StopSet(stops, kind="text").find(text)
        until = len(text.encode()[: hit.start].decode()) if hit else max(len(text) - longest, given)
        shown.append(text[given:until])
        given = until
        if hit:
            return shown, True
    return [*shown, text[given:]], False


def without_flush(stops, pieces):
    shown, stopped = right(stops, pieces)
    return (shown if stopped else [*shown[:-1], ""]), stopped


def holds_nothing(stops, pieces):
    """Shows each piece at once, and what came before the stop of the last one."""
    text, shown = "", []
    for piece in pieces:
        text += piece
        hit = rheostat.StopSet(stops, kind="text").find(text)
        if hit:
            return [*shown, text.encode()[: hit.start].decode()[len("".join(shown)) :]], True
        shown.append(piece)
    return [*shown, ""], False


def in_order_of_the_list(stops, pieces):
    """Looks for the first stop in all the text, then for the second."""
    matcher, text, given = rheostat.StopSet(stops, kind="text").matcher(), "", ""
    shown = []
    for piece in pieces:
        text += piece
        out = matcher.feed(piece)
        if matcher.hit is not None:
            first = next(stop for stop in stops if stop in text)
            return [*shown, text[: text.find(first)][len(given) :]], True
        shown.append(out)
        given += out
    return [*shown, matcher.flush()], False


def shouts(stops, pieces):
    shown, stopped = right(stops, pieces)
    return [text.upper() for text in shown], stopped


def breaks(stops, pieces):
    if not stops:
        raise IndexError("no stops")
    return right(stops, pieces)


PLANTED = {
    "within pieces": (within_pieces, "missed", "does not see a stop that comes in several pieces"),
    "late": (one_piece_late, "late", "reads on after a stop is complete"),
    "early": (on_a_first_letter, "early", "stops though no stop is complete"),
    "withheld": (holds_the_longest, "withheld", "holds back what no stop can claim any more"),
    "lost": (without_flush, "lost", "never shows some of the text before the end"),
    "leak": (holds_nothing, "leak", "shows what a stop could still claim"),
    "list order": (in_order_of_the_list, "order", "ends at another stop of a piece than the one that is"),
    "tie": (
        lambda stops, pieces: right(stops, pieces, tie="longest"),
        "tie", "ends at another of the stops that are complete at the same place",
    ),
    "include": (
        lambda stops, pieces: right(stops, pieces, include=True),
        "leak", "shows a stop, or what comes after it",
    ),
    "other text": (shouts, "other text", "shows other text than came"),
    "error": (breaks, "error", "raises IndexError: no stops"),
}  # fmt: skip


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_named_and_shown_on_a_small_stream(fault):
    fn, cause, what = PLANTED[fault]
    report = check_stops(fn)
    found = [d for d in report.differences if d.cause == cause and d.what.startswith(what)]
    assert len(found) == 1, str(report)
    assert cause in CAUSES
    assert not report.ok
    small = found[0]
    assert sum(map(len, small.stops + small.pieces)) <= 8, str(report)
    assert f"{cause}: it {what}" in str(report)
    if cause != "error":
        shown, _ = fn(list(small.stops), list(small.pieces))
        assert tuple(shown) == small.theirs
        assert tuple(right(small.stops, small.pieces)[0]) == small.right


def test_the_most_frequent_comes_first_and_each_stream_counts_once():
    report = check_stops(holds_nothing)
    counts = [difference.streams for difference in report.differences]
    assert counts == sorted(counts, reverse=True)
    assert str(report).splitlines()[0] == f"{sum(counts)} of {report.streams} streams differ."


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (lambda stops, pieces: ["a"], "fn must return (shown, stopped), got list"),
        (lambda stops, pieces: ("a", True), "fn must return a list of str as shown, got 'a'"),
        (lambda stops, pieces: ([b"a"], True), "fn must return a list of str as shown, got [b'a']"),
    ],
)
def test_an_answer_of_another_kind_is_a_type_error(fn, message):
    with pytest.raises(TypeError) as caught:
        check_stops(fn)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tie": "last"}, "tie must be 'first' or 'longest', got 'last'"),
        ({"streams": [([""], ["a"])]}, "stops[0] must not be empty, got ''"),
        ({"streams": []}, "streams must hold at least one stream, got none"),
        (
            {"fn": lambda stops, pieces: ([], False), "streams": [(["x"], ["a", "b"])]},
            "fn must return as shown an entry for each piece, and one more if no stop was found, "
            "got 0 for 2 pieces",
        ),
        (
            {"fn": lambda stops, pieces: ([*pieces, ""], True), "streams": [(["x"], ["a"])]},
            "fn must return as shown an entry for each piece, and one more if no stop was found, "
            "got 2 for 1 pieces",
        ),
    ],
)
def test_bad_arguments_are_told_in_one_sentence(arguments, message):
    given = {"fn": right} | arguments
    with pytest.raises(KnobError) as caught:
        check_stops(given.pop("fn"), **given)
    assert str(caught.value) == message
